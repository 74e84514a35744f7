"""The table of tensors of a GGUF: what each claims to be, and that it lies where it claims (`wasm/engine/src/weights/gguf.rs`)."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from .errors import CheckpointError
from .gguf_cursor import Cursor

MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 44
MAX_ROWS = 1 << 31
MAX_OFFSET = 1 << 63
# Integers but W8's codes and outliers, f64, and types of intermediate results: nothing here and nothing in the `gguf` package decodes them.
UNREAD = {GGMLQuantizationType[name] for name in ("I16", "I64", "F64", "Q1_0", "Q8_1", "Q8_K")}
READ = {int(kind) for kind in GGMLQuantizationType} - {int(kind) for kind in UNREAD}
# Element types that numpy has; the rest are bytes.
NUMPY_TYPES: dict[GGMLQuantizationType, np.dtype[Any]] = {
    GGMLQuantizationType.F32: np.dtype("<f4"),
    GGMLQuantizationType.F16: np.dtype("<f2"),
    GGMLQuantizationType.I8: np.dtype("<i1"),
    GGMLQuantizationType.I32: np.dtype("<i4"),
}


@dataclass(frozen=True)
class GgufTensor:
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    """`[rows, columns]`, as torch has it: the file has the columns first."""
    kind: GGMLQuantizationType
    offset: int
    """From the start of the file, bytes."""
    bytes: int

    def of(self, file: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Its values out of those of the whole file, `shape`; of a type that numpy lacks its bytes, `[rows, bytes of a row]`."""
        raw = file[self.offset : self.offset + self.bytes]
        is_numbers = self.kind in NUMPY_TYPES
        values: npt.NDArray[Any] = raw.view(NUMPY_TYPES[self.kind]) if is_numbers else raw
        return values.reshape(self.shape if is_numbers else (*self.shape[:-1], -1))


def read_tensor_info(cursor: Cursor, alignment: int) -> GgufTensor:
    """The next entry of the table, its offset still that from the start of the data."""
    name = cursor.name("a tensor name")
    count = cursor.u32()
    if not 1 <= count <= MAX_DIMENSIONS:
        raise CheckpointError(f"tensor '{name}' has {count} dimensions; 1 to {MAX_DIMENSIONS} are allowed")
    sizes: list[int] = []
    for _ in range(count):
        sizes.append(cursor.u64())
        if not 0 < prod(sizes) < MAX_ELEMENTS:
            raise CheckpointError(f"tensor '{name}' has a dimension of {sizes[-1]}; the product must be positive and below 2^44")
    if (rows := prod(sizes[1:])) >= MAX_ROWS:
        raise CheckpointError(f"tensor '{name}' has {rows} rows; the product of all dimensions but the first must be below 2^31")
    number = cursor.u32()
    if number not in READ:
        raise CheckpointError(f"tensor '{name}' has ggml type {number}, which cannot be read")
    kind, offset = GGMLQuantizationType(number), cursor.u64()
    elements, block_bytes = GGML_QUANT_SIZES[kind]
    if sizes[0] % elements:
        raise CheckpointError(f"tensor '{name}' of type {kind.name} has rows of {sizes[0]} elements; a multiple of {elements} is needed")
    if offset % alignment:
        raise CheckpointError(f"tensor '{name}' has offset {offset}, which is not a multiple of the alignment {alignment}")
    return GgufTensor(name, tuple(reversed(sizes)), kind, offset, prod(sizes) // elements * block_bytes)


def place(tensors: list[GgufTensor], start: int, alignment: int, size: int) -> list[GgufTensor]:
    """By offset, each from the start of the file of `size` bytes, whose data begin at `start`. Refuses what overlaps or lies outside."""
    names: set[str] = set()
    for tensor in tensors:
        if tensor.name in names:
            raise CheckpointError(f"tensor '{tensor.name}' appears twice")
        names.add(tensor.name)
    placed: list[GgufTensor] = []
    end, previous = start, "the header"
    for tensor in sorted(tensors, key=lambda one: one.offset):
        offset = start + tensor.offset
        if offset + tensor.bytes >= MAX_OFFSET:
            raise CheckpointError(f"tensor '{tensor.name}' has offset {tensor.offset}, past any file")
        if offset < end:
            raise CheckpointError(f"tensor '{tensor.name}' overlaps {previous}")
        end, previous = offset + tensor.bytes, f"tensor '{tensor.name}'"
        placed.append(replace(tensor, offset=offset))
    for tensor in placed:
        if tensor.offset + tensor.bytes > size:
            where = "within" if tensor.offset < size else "before"
            raise CheckpointError(f"the file ends after {size} bytes, {where} tensor '{tensor.name}'")
    whole = end + -end % alignment
    if size > whole:
        raise CheckpointError(f"the file goes on past its end at byte {whole}")
    return placed
