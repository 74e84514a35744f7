"""JSON files of a checkpoint folder: untrusted, so every field is checked where it is taken."""

import json
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .wrong_file import require_file

# The largest honest one is a tokenizer.json of some 11 MB; this only keeps a wrong file from filling the memory.
LARGEST_BYTES = 256 << 20


def read_object(path: Path) -> dict[str, Any]:
    """The object in `path`."""
    require_file(path, "JSON")
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise CheckpointError(f"{path}: a JSON file must be at most {LARGEST_BYTES} bytes; it has {size}")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object; it holds {type(value).__name__}")
    return value


def read_object_if_there(path: Path) -> dict[str, Any]:
    """As `read_object`; an empty object where there is no such file."""
    return read_object(path) if path.is_file() else {}
