"""Conversion streams: its peak is one shard and one tensor, however many shards there are."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.config import Layer
from support.checkpoint_files import random_tensors, write_config
from support.checkpoint_models import SEVEN

# Peak resident bytes of a process that converts sys.argv[1]; mapped pages of the checkpoint count too. Not getrusage's figure, which begins
# with what the parent held.
PROGRAM = r"""
import re, sys
from pathlib import Path
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.export.gguf_writer import write_gguf
write_gguf(open_checkpoint(Path(sys.argv[1])), Path(sys.argv[2]), "q8_0")
print(int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1)) * 1024)
"""
PAIRS = (Layer(mixer=("linear",)), Layer(mixer=("window",))) * 8
CONFIG = replace(SEVEN, hidden=512, heads=8, kv_heads=2, head_dim=64, feed_forward_inner=2_048, layers=PAIRS)


def _write(folder: Path, suffix: str) -> list[int]:
    """A shard per layer, and one for the rest; returns their sizes."""
    write_config(folder, CONFIG)
    shards: dict[str, dict[str, torch.Tensor]] = {}
    for name in tensor_names(CONFIG):
        shard = name.name.split(".")[2] if ".layers." in name.name else "rest"
        shards.setdefault(shard, {})[name.name] = torch.ones(name.shape, dtype=torch.bfloat16)
    for shard, tensors in shards.items():
        if suffix == ".bin":
            torch.save(tensors, folder / f"pytorch_model-{shard}.bin")
        else:
            save_file(tensors, folder / f"{shard}.safetensors")
    return [path.stat().st_size for path in folder.glob(f"*{suffix}")]


def _peak(folder: Path) -> int:
    command = [sys.executable, "-c", PROGRAM, str(folder), str(folder / "out.gguf")]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def least(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Peak bytes of a conversion that has next to nothing to convert."""
    folder = tmp_path_factory.mktemp("small")
    write_config(folder, SEVEN)
    save_file(random_tensors(SEVEN), folder / "model.safetensors")
    return _peak(folder)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_peak_memory_is_one_shard_and_one_tensor(tmp_path: Path, least: int, suffix: str) -> None:
    sizes = _write(tmp_path, suffix)
    largest = max(name.shape[0] * name.shape[-1] for name in tensor_names(CONFIG) if name.linear)
    # The tensor in f32, what the quantiser holds beside it, and the tensor in the file's type; threads and buffers of fixed size.
    allowed = max(sizes) + 3 * 4 * largest + (16 << 20)
    assert _peak(tmp_path) - least < allowed < sum(sizes) / 3
