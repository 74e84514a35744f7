"""The golden tokens (`test/golden/served.py`) of the built-in model as set-up merges it, and as a Hugging Face folder."""

import json
from pathlib import Path

import pytest
import served
from spikingbrain.cli.main import main

MERGED = Path(__file__).parents[2] / ".cache" / "spikingbrain" / "spikingbrain-135m.gguf"


def test_the_reference_gives_the_golden_tokens() -> None:
    assert served.check(MERGED) == []


def test_an_exported_folder_gives_the_golden_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short prompts'. Another token in the file is noticed."""
    assert main(["export", str(MERGED), str(tmp_path / "folder"), "--type", "f32"]) == 0
    vectors = json.loads(served.FILE.read_text(encoding="utf-8"))
    vectors[1]["tokens"][3] += 1
    (tmp_path / "moved.json").write_text(json.dumps(vectors), encoding="utf-8")
    monkeypatch.setattr(served, "FILE", tmp_path / "moved.json")
    assert served.check(tmp_path / "folder", len(served.SHORT)) == [served.SHORT[1]]
