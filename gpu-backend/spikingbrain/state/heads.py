"""A state file's KV heads apart: what each rank of a tensor-parallel engine holds of it, as the file of a model that has only those heads.

Everything in a file is KV head by KV head at some depth (`wasm/STATE_FORMAT.md`), so ranks read and write their own parts of one file,
and no rank needs what another has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch

from spikingbrain.config import Config
from spikingbrain.state.header import FIXED, GROUP, Digests, header_bytes, read_header
from spikingbrain.state.layout import evicted_before, groups_at
from spikingbrain.state.rows import FLOAT_BYTES, HALF_BYTES, Bytes, Encoding, Reader, StateError, row_bytes


@dataclass(frozen=True)
class Shape:
    """Everything that a file's length follows from."""

    config: Config
    position: int
    encoding: Encoding

    @property
    def front_bytes(self) -> int:
        """Of the header."""
        return FIXED.size + GROUP.size * len(groups_at(self.config, self.position))

    @property
    def head_bytes(self) -> int:
        return sum(map(prod, _head_shapes(self)))

    @property
    def file_bytes(self) -> int:
        return self.front_bytes + self.head_bytes + sum(map(prod, _group_shapes(self)))

    def header(self, digests: Digests) -> bytes:
        return header_bytes(self.config, self.position, self.encoding, digests, self.head_bytes)

    def of_heads(self, heads: range) -> "Shape":
        return replace(self, config=heads_config(self.config, heads))


def heads_config(config: Config, heads: range) -> Config:
    """The same model with only these KV heads, and the query heads that use them."""
    return replace(config, kv_heads=len(heads), heads=len(heads) * config.group)


def read_shape(data: Bytes, config: Config, digests: Digests) -> Shape:
    """Of a whole file, whose length must be the one that its header says.

    Raises StateError that names what is not this model's or not valid."""
    front = bytes(data[: FIXED.size + GROUP.size * len(config.layers)])
    reader = Reader(front, torch.float32, torch.device("cpu"))
    position, head_bytes = read_header(reader, config, digests)
    shape = Shape(config, position, reader.encoding)
    if head_bytes != shape.head_bytes:
        raise StateError(f"bytes of the head must be {shape.head_bytes}; they are {head_bytes}")
    if len(data) != shape.file_bytes:
        raise StateError(f"the file must have {shape.file_bytes} bytes; it has {len(data)}")
    return shape


def take_heads(data: Bytes, shape: Shape, heads: range) -> bytes:
    """The file of a model with only these KV heads, out of the whole one."""
    of_heads = shape.of_heads(heads)
    part = np.empty(of_heads.file_bytes, dtype=np.uint8)
    part[: of_heads.front_bytes] = np.frombuffer(of_heads.header(Digests()), dtype=np.uint8)
    for here, whole in zip(_by_head(part, of_heads), _by_head(data, shape), strict=True):
        here[...] = whole[..., heads.start : heads.stop, :]
    return part.tobytes()


def put_heads(data: Bytes, shape: Shape, part: bytes, heads: range) -> None:
    """Writes what `take_heads` would take into the whole file, whose header somebody else writes."""
    of_heads = shape.of_heads(heads)
    if len(part) != of_heads.file_bytes:
        raise StateError(
            f"the part of KV heads {heads.start} to {heads.stop - 1} must have {of_heads.file_bytes} bytes; it has {len(part)}"
        )
    for here, whole in zip(_by_head(np.frombuffer(part, dtype=np.uint8), of_heads), _by_head(data, shape), strict=True):
        whole[..., heads.start : heads.stop, :] = here


def _by_head(data: Bytes, shape: Shape) -> Iterator[Bytes]:
    """Views of a file's bytes behind its header, the last but one axis of each the KV heads."""
    at = shape.front_bytes
    for one in [*_head_shapes(shape), *_group_shapes(shape)]:
        yield data[at : at + prod(one)].reshape(one)
        at += prod(one)


def _head_shapes(shape: Shape) -> list[tuple[int, ...]]:
    config, dim = shape.config, shape.config.head_dim
    number = HALF_BYTES if shape.encoding.bf16_recurrent else FLOAT_BYTES
    evicted = len(evicted_before(config, shape.position))
    shapes: list[tuple[int, ...]] = []
    for layer in config.layers:
        if layer.is_linear:
            shapes.append((config.kv_heads, dim * dim * number))
        if layer.is_evicted and config.evicted is not None and evicted:
            entry = 2 * FLOAT_BYTES + row_bytes(dim, shape.encoding)
            shapes.append((config.kv_heads, 2 * dim * (dim + 1) * number))
            shapes.append((config.kv_heads, min(config.evicted.salient, evicted) * entry))
    return shapes


def _group_shapes(shape: Shape) -> list[tuple[int, ...]]:
    row = row_bytes(shape.config.head_dim, shape.encoding)
    return [(len(group), len(group.layers), shape.config.kv_heads, row) for group in groups_at(shape.config, shape.position)]
