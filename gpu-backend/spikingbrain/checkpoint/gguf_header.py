"""The header of a GGUF, from untrusted bytes: its metadata and its table of tensors, by the rules of `wasm/engine/src/weights/gguf.rs`.

What the engine's reader refuses is refused here, in its words; `test/hostile` has the files that both must refuse. The `gguf` package
trusts every length that a file claims, so it decodes values and writes files, and does not read headers.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import CheckpointError
from .gguf_cursor import MAX_HEADER_BYTES, Cursor
from .gguf_tensors import GgufTensor, place, read_tensor_info

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 65_536
SMALLEST_ENTRY_BYTES, SMALLEST_TENSOR_BYTES = 13, 24
# What of a value the engine keeps; longer ones are counted there and no more.
MAX_KEPT_STRING_BYTES = 4_096
MAX_KEPT_ITEMS = 4_096
BOOL, STRING, ARRAY, FLOAT32 = 7, 8, 9, 6
# By value type.
SCALARS: dict[int, np.dtype[Any]] = {
    number: np.dtype(f"<{kind}")
    for number, kind in {0: "u1", 1: "i1", 2: "u2", 3: "i2", 4: "u4", 5: "i4", 6: "f4", 7: "u1", 10: "u8", 11: "i8", 12: "f8"}.items()
}


@dataclass(frozen=True)
class GgufHeader:
    """Everything before the tensors' data."""

    metadata: dict[str, Any]
    """Integers, floats, bools, texts, and lists of one kind of them."""
    tensors: list[GgufTensor] = field(default_factory=list)
    """By offset; each lies within the file, and none within another."""


def read_header(data: memoryview | bytes) -> GgufHeader:
    """The header of the file that `data` is the whole of. Memory is in proportion to the file's bytes."""
    cursor = Cursor(data)
    magic = cursor.take(len(MAGIC))
    if magic != MAGIC:
        raise CheckpointError(f"the file starts with {magic!r}, not with 'GGUF'")
    version = cursor.u32()
    if version not in VERSIONS:
        raise CheckpointError(f"version is {version}; 2 and 3 (little-endian) are supported")
    tensors, entries = cursor.u64(), cursor.u64()
    if tensors > MAX_HEADER_BYTES // SMALLEST_TENSOR_BYTES or entries > MAX_HEADER_BYTES // SMALLEST_ENTRY_BYTES:
        raise CheckpointError(f"{tensors} tensors and {entries} metadata entries do not fit a header")
    metadata: dict[str, Any] = {}
    for _ in range(entries):
        key = cursor.name("a metadata key")
        if key in metadata:
            raise CheckpointError(f"metadata key '{key}' appears twice")
        metadata[key] = _value(cursor, cursor.u32(), key)
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 1 <= alignment <= MAX_ALIGNMENT or alignment.bit_count() != 1:
        raise CheckpointError(f"general.alignment must be a power of two up to {MAX_ALIGNMENT}; it is {str(alignment)[:60]!r}")
    found = [read_tensor_info(cursor, alignment) for _ in range(tensors)]
    cursor.take(-cursor.at % alignment)
    return GgufHeader(metadata, place(found, cursor.at, alignment, len(data)))


def _value(cursor: Cursor, kind: int, key: str) -> object:
    if kind == STRING:
        raw = cursor.text(f"the value of '{key}'")
        if len(raw) <= MAX_KEPT_STRING_BYTES:
            cursor.keep(len(raw))
        return raw
    if kind == ARRAY:
        return _array(cursor, cursor.u32(), cursor.u64(), key)
    if kind not in SCALARS:
        raise CheckpointError(f"'{key}' has value type {kind}; 0 to 12 exist")
    return _numbers(cursor.take(SCALARS[kind].itemsize), kind, key)[0]


def _array(cursor: Cursor, kind: int, count: int, key: str) -> list[Any]:
    if count > MAX_HEADER_BYTES:
        raise CheckpointError(f"'{key}' claims {count} items; at most {MAX_HEADER_BYTES} are possible")
    if kind == STRING:
        return _texts(cursor, count, key)
    if kind == ARRAY:
        raise CheckpointError(f"'{key}' is an array of arrays, which is not supported")
    if kind not in SCALARS:
        raise CheckpointError(f"'{key}' is an array of type {kind}; 0 to 12 exist")
    return _numbers(cursor.take(count * SCALARS[kind].itemsize), kind, key)


def _texts(cursor: Cursor, count: int, key: str) -> list[str]:
    texts, is_kept = [], count <= MAX_KEPT_ITEMS
    for _ in range(count):
        text = cursor.text(f"an item of '{key}'")
        is_kept = is_kept and len(text) <= MAX_KEPT_STRING_BYTES
        if is_kept:
            cursor.keep(len(text))
        texts.append(text)
    return texts


def _numbers(raw: bytes, kind: int, key: str) -> list[Any]:
    values = np.frombuffer(raw, dtype=SCALARS[kind])
    if kind == BOOL:
        if (strange := values[values > 1]).size:
            raise CheckpointError(f"'{key}' is a bool of value {strange[0]}; 0 and 1 are allowed")
        return [bool(value) for value in values]
    # A float32 as the shortest decimal that means it, so that 1e-6 comes back as 1e-6.
    return [float(str(value)) for value in values] if kind == FLOAT32 else list(values.tolist())
