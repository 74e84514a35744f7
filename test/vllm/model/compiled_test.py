"""What torch.compile makes of a model."""

from pathlib import Path

import pytest
from support.engine import answer, compare, engine, prompts
from support.models import MODELS, reference, write_model


@pytest.mark.parametrize("name", ["seventy-six", "evicted"])
def test_a_compiled_graph_gives_the_same(tmp_path: Path, name: str) -> None:
    folder, expected = write_model(MODELS[name], tmp_path / name), reference(MODELS[name])
    with engine(folder, enforce_eager=False) as llm:
        assert compare(expected, answer(llm, prompts())).is_equal
