"""What a model's weights come from: a contract that a folder and a GGUF file both meet."""

from collections.abc import Iterator
from typing import Protocol

import torch

from spikingbrain.config import Config

from .names import TensorName

# 16 Mi values are 64 MiB in f32: large enough to be quick, small beside any memory that holds a model.
CHUNK_VALUES = 1 << 24


class WeightSource(Protocol):
    """A checked checkpoint: every tensor that the config asks for is there, in its shape."""

    @property
    def config(self) -> Config:
        """The model's config, with what only the tensors tell (the gate's form) filled in."""

    @property
    def names(self) -> list[TensorName]:
        """All tensors, in the order in which reading them is cheapest."""

    def rows(self, name: TensorName, start: int, stop: int) -> torch.Tensor:
        """Rows `start` to `stop` (elements of a vector) in f32, `[stop - start, columns]` or `[stop - start]`."""


def row_chunks(name: TensorName, values: int = CHUNK_VALUES) -> Iterator[tuple[int, int]]:
    """Cuts a tensor's rows into ranges of at most `values` values, or of one row where that is longer."""
    columns = name.shape[1] if len(name.shape) > 1 else 1
    step = max(1, values // columns)
    for start in range(0, name.shape[0], step):
        yield start, min(start + step, name.shape[0])


def read_tensor(source: WeightSource, name: TensorName, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A whole tensor in `dtype`; beside it only a chunk is in memory."""
    out = torch.empty(name.shape, dtype=dtype)
    for start, stop in row_chunks(name):
        out[start:stop] = source.rows(name, start, stop)
    return out
