"""The golden vectors are what the reference computes today, and it reads back what it wrote: `npm run golden` makes them."""

import json
import sys
from pathlib import Path

import generate
import pytest
import torch
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.loading import load_model
from spikingbrain.state.file import load_state, save_state

GOLDEN = Path(__file__).parent.parent / "golden"

VECTORS = sorted(path.stem for path in GOLDEN.glob("*.json"))


def test_the_committed_files_are_current(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0, capsys.readouterr().err


def test_a_number_that_moved_is_stale() -> None:
    assert generate.is_near({"a": [1.0, 2]}, {"a": [1.0 + 1e-7, 2]})
    assert not generate.is_near({"a": [1.0, 2]}, {"a": [1.00001, 2]})
    assert not generate.is_near({"a": [1.0, 2]}, {"a": [1.0, 3]})
    assert not generate.is_near({"a": 1}, {"b": 1})


@pytest.mark.parametrize("name", VECTORS)
def test_the_state_goes_on_as_the_vector_says(name: str) -> None:
    vector = json.loads((GOLDEN / f"{name}.json").read_text())
    model = load_model(GOLDEN / vector["model"], spikes=vector["mode"])
    data = (GOLDEN / f"{name}.sbst").read_bytes()
    state = load_state(data, model.config, torch.float32, torch.device("cpu"))
    assert save_state(state, model.config) == data
    with torch.inference_mode():
        logits, _ = model.step(state, torch.tensor(vector["moreTokens"]))
    expected = torch.tensor(vector["moreLogits"])
    assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()


def test_w8_files_hold_codes_that_int8_cannot() -> None:
    source = GgufFile(GOLDEN / "seven-w8.gguf")
    assert source.is_w8
    outliers = [shape for name, shape in source.shapes.items() if name.endswith(".outliers")]
    assert len(outliers) == sum(name.linear for name in source.names)
    assert all(shape[0] > 0 for shape in outliers)
