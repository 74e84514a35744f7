"""The golden tokens (`test/golden/served.py`) of the built-in model as set-up merges it, and as a Hugging Face folder."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MERGED = ROOT / ".cache" / "spikingbrain" / "spikingbrain-135m.gguf"


def check(model: Path, *arguments: str) -> None:
    script = [sys.executable, str(ROOT / "test/golden/served.py"), str(model), "--check", *arguments]
    subprocess.run(script, check=True, capture_output=True, timeout=600)


def test_the_reference_gives_the_golden_tokens() -> None:
    check(MERGED)


def test_an_exported_folder_gives_the_golden_tokens(tmp_path: Path) -> None:
    export = [sys.executable, "-m", "spikingbrain", "export", str(MERGED), str(tmp_path / "folder"), "--type", "f32"]
    subprocess.run(export, check=True, capture_output=True, timeout=600, cwd=ROOT / "gpu-backend")
    check(tmp_path / "folder", "--short")
