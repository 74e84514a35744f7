"""The proof at full size, on a tiny model: it holds when all is well, notices a single wrong bit, and measures what a process takes."""

import subprocess
import sys
from pathlib import Path

import pytest
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.export.full_size import Step, compare, describe, measure, write
from spikingbrain.export.gguf_writer import write_gguf
from support.checkpoint_models import SEVEN

MIB = 1 << 20


def test_compare_sees_every_bit(tmp_path: Path) -> None:
    write(SEVEN, tmp_path / "checkpoint")
    out = tmp_path / "model.gguf"
    write_gguf(open_checkpoint(tmp_path / "checkpoint"), out, "q4_0")
    compare(SEVEN, out, "q4_0")
    content = bytearray(out.read_bytes())
    content[-5_000] ^= 1
    out.write_bytes(content)
    with pytest.raises(AssertionError, match=r"differs from the weights it was made of"):
        compare(SEVEN, out, "q4_0")


def test_measure_sees_the_peak() -> None:
    program = "import time; held = bytearray({}); time.sleep(1.5); del held"
    small, large = (measure("hold", [sys.executable, "-c", program.format(size)]) for size in (MIB, 64 * MIB))
    assert 55 * MIB < large.resident - small.resident < 75 * MIB
    assert 55 * MIB < large.anonymous - small.anonymous < 75 * MIB
    with pytest.raises(subprocess.CalledProcessError):
        measure("fail", [sys.executable, "-c", "raise SystemExit(3)"])


def test_the_record_says_what_was_measured() -> None:
    record = describe("7b", "q4_0", [3 * MIB, 5 * MIB], 2 * MIB, [Step("convert", 12.3, 7 * MIB, 4 * MIB)])
    assert "7,616,542,976 parameters, random; 2 safetensors shards, 8.0 MiB in all, the largest 5.0 MiB" in record
    assert "| convert | 12 | 7.0 MiB | 4.0 MiB |" in record
