"""Spiking modes. A text is short: where a count lies on the edge of two whole numbers, another order of sums gives the other one."""

from dataclasses import replace
from pathlib import Path

import pytest
from spikingbrain.config import Spiking, SpikingMode
from support.engine import answer, compare, engine, prompts
from support.models import MODELS, reference, write_model

CASES: list[tuple[str, SpikingMode]] = [
    ("seven", "paper"),
    ("seventy-six", "released"),
    ("separate", "paper"),
    ("evicted", "released"),
    ("softmax", "released"),
]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_what_fires_is_what_the_reference_fires(tmp_path: Path, name: str, mode: SpikingMode) -> None:
    config = replace(MODELS[name], spiking=Spiking(mode=mode))
    expected = reference(config)
    with engine(write_model(config, tmp_path / name), max_model_len=256) as llm:
        assert compare(expected, answer(llm, TEXTS[name], tokens=12)).is_equal


TEXTS = {
    "seven": prompts((30, 1), seed=4),
    "seventy-six": prompts((12, 1), seed=4),
    "separate": prompts((20, 1), seed=4),
    # Longer than its window.
    "evicted": prompts((70, 37, 1, 5), least=3),
    "softmax": prompts((70, 1), seed=4),
}


def test_the_mode_is_the_runs_to_choose(tmp_path: Path) -> None:
    """Of a folder without one; and in it the same prompt has other probabilities than without."""
    folder = write_model(MODELS["seven"], tmp_path / "seven")
    spiking = reference(replace(MODELS["seven"], spiking=Spiking(mode="paper")))
    with engine(folder, max_model_len=256, hf_overrides={"spiking_mode": "paper"}) as llm:
        outputs = answer(llm, prompts((30, 1), seed=4), tokens=12)
        assert compare(spiking, outputs).is_equal
        assert not compare(reference(MODELS["seven"]), outputs).is_equal
