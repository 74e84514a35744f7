"""Writes tensors as safetensors, sharded as Hugging Face does it; in memory is one shard."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from safetensors.torch import save_file

from .files import Progress, move_into, no_progress, require_room

SHARD_BYTES = 1 << 30


@dataclass(frozen=True)
class PlannedTensor:
    """A tensor that is made when it is written."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    make: Callable[[], torch.Tensor]

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def write_safetensors(
    tensors: Sequence[PlannedTensor], folder: Path, shard_bytes: int | None = None, progress: Progress = no_progress
) -> list[Path]:
    """Writes `model.safetensors`, or numbered shards of at most `shard_bytes` (or one tensor) with their index; returns the files."""
    total = sum(tensor.bytes for tensor in tensors)
    require_room(folder, total)
    shards = _split(tensors, shard_bytes or SHARD_BYTES)
    names = ["model.safetensors"]
    if len(shards) > 1:
        names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    done = 0
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as directory:
        for name, shard in zip(names, shards, strict=True):
            content = {tensor.name: _made(tensor) for tensor in shard}
            save_file(content, Path(directory) / name, metadata={"format": "pt"})
            done += sum(tensor.bytes for tensor in shard)
            progress(done, total)
            del content
        if len(shards) > 1:
            weight_map = {tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
            index = {"metadata": {"total_size": total}, "weight_map": weight_map}
            (Path(directory) / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        return [move_into(path, folder) for path in sorted(Path(directory).iterdir())]


def _made(tensor: PlannedTensor) -> torch.Tensor:
    made = tensor.make().contiguous()
    if tuple(made.shape) != tensor.shape or made.dtype != tensor.dtype:
        raise AssertionError(f"{tensor.name} was planned as {tensor.dtype} {tensor.shape} and is {made.dtype} {tuple(made.shape)}")
    return made


def _split(tensors: Sequence[PlannedTensor], shard_bytes: int) -> list[list[PlannedTensor]]:
    shards: list[list[PlannedTensor]] = [[]]
    used = 0
    for tensor in tensors:
        if shards[-1] and used + tensor.bytes > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(tensor)
        used += tensor.bytes
    return shards
