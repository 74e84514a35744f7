"""Sequences that must give their memory to others, and begin again."""

from pathlib import Path

import pytest
from support.engine import answer, compare, counter, engine, prompts
from support.models import MODELS, reference, write_model

# Blocks of which not every sequence gets enough to its end.
CASES = [("seven", False, 22), ("seven", True, 22), ("seventy-six", False, 60), ("separate", True, 70), ("softmax", False, 34)]


@pytest.mark.parametrize(("name", "cached", "blocks"), CASES)
def test_preempted_sequences_go_on_as_if_they_had_not_been(tmp_path: Path, name: str, cached: bool, blocks: int) -> None:
    folder, expected = write_model(MODELS[name], tmp_path / name), reference(MODELS[name])
    with engine(folder, enable_prefix_caching=cached, block_size=32, num_gpu_blocks_override=blocks) as llm:
        outputs = answer(llm, prompts([60] * 6, seed=5), tokens=60, of_prompts=False)
        assert compare(expected, outputs).is_equal
        assert counter(llm, "vllm:num_preemptions") > 0
