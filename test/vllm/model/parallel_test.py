"""Models on several ranks, and on more ranks than they have KV heads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from spikingbrain.config import Spiking
from spikingbrain_vllm.telemetry.settings import additional_config
from support.engine import answer, compare, engine, prompts
from support.models import MODELS, reference, write_model
from support.spikes import Counted, expected_spikes

pytestmark = [pytest.mark.ranks, pytest.mark.usefixtures("forked_ranks")]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("seven", {"tensor_parallel_size": 4}),
    ("seventy-six", {"tensor_parallel_size": 2, "enable_expert_parallel": True}),
    ("evicted", {"tensor_parallel_size": 2}),
]


@pytest.mark.parametrize(("name", "ranks"), CASES)
def test_ranks_give_together_what_one_gives(tmp_path: Path, name: str, ranks: dict[str, Any]) -> None:
    folder, expected = write_model(MODELS[name], tmp_path / name), reference(MODELS[name])
    with engine(folder, **ranks) as llm:
        assert compare(expected, answer(llm, prompts())).is_equal


def test_a_threshold_is_of_all_ranks_channels(tmp_path: Path) -> None:
    """In a spiking mode, of what o and down read; and the ranks together count the reference's spikes."""
    config, directory = replace(MODELS["seven"], spiking=Spiking(mode="paper")), tmp_path / "spikes"
    expected, choices = reference(config), {"tensor_parallel_size": 2, "additional_config": additional_config(directory)}
    with engine(write_model(config, tmp_path / "spiking"), **choices) as llm:
        assert compare(expected, answer(llm, prompts((30, 1), seed=4), tokens=12)).is_equal
        for read, spikes, _ in Counted(llm, config, directory, ranks=2).ask(prompts((20, 1, 33, 9), seed=4), [True] * 4):
            assert spikes == expected_spikes(expected, read)
