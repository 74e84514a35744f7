"""What the `safetensors` package does not refuse, or not by the tensor's name: it keeps the last of two tensors of one name."""

import json
from pathlib import Path
from typing import Any

from .errors import CheckpointError, naming
from .wrong_file import require_file

KIND = "safetensors"
LENGTH_BYTES = 8
# The package's own bound.
MAX_HEADER_BYTES = 100_000_000


def check_safetensors(path: Path) -> None:
    """Refuses a header that does not fit the file, is no JSON object, or names a tensor twice or beyond the file."""
    require_file(path, KIND)
    with naming(path, f"cannot be read as {KIND}"), path.open("rb") as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > min(size - LENGTH_BYTES, MAX_HEADER_BYTES):
            most = max(0, min(size - LENGTH_BYTES, MAX_HEADER_BYTES))
            raise CheckpointError(f"the header must have at most {most} bytes in a file of {size}; it claims {length}")
        try:
            header = json.loads(file.read(length).decode(), object_pairs_hook=_without_duplicates)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"the header must be JSON in UTF-8; it is not: {error}") from error
        if not isinstance(header, dict):
            raise CheckpointError(f"the header must be a JSON object; it is {type(header).__name__}")
        for name, tensor in header.items():
            if name != "__metadata__":
                _check(name, tensor, size - LENGTH_BYTES - length)


def _check(name: str, tensor: object, most: int) -> None:
    fields = tensor if isinstance(tensor, dict) else {}
    shape, offsets = fields.get("shape"), fields.get("data_offsets")
    if not isinstance(fields.get("dtype"), str) or not _are_counts(shape) or not _are_counts(offsets) or len(offsets or []) != 2:
        rule = "a dtype, a shape and two data_offsets, all from 0"
        raise CheckpointError(f"tensor '{name}' must have {rule}; it has {str(tensor)[:80]}")
    begin, end = offsets or (0, 0)
    if not begin <= end <= most:
        raise CheckpointError(f"tensor '{name}' must have data_offsets in order within {most} bytes of data; they are {begin} and {end}")


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise CheckpointError(f"'{name}' must appear once in the header; it appears twice")
        found[name] = value
    return found
