"""The front of a state file: what it belongs to, and everything that its length follows from (`wasm/STATE_FORMAT.md`)."""

import struct
from dataclasses import dataclass
from itertools import starmap

from spikingbrain.config import Config
from spikingbrain.spike.modes import INT8_KEY_VALUES
from spikingbrain.state.fingerprint import fingerprint
from spikingbrain.state.layout import groups_at
from spikingbrain.state.rows import Encoding, Reader, StateError, row_bytes

MAGIC = b"SBST"
VERSION = 3
# Magic, version, fingerprint, digests of weights and tokenizer, position, learned sinks, kept tokens, type of keys and values, type of the
# recurrent part, zero, bytes of the head, groups.
FIXED = struct.Struct("<4sI32s32s32sQIIBBHQI")
# Window, bytes of a token.
GROUP = struct.Struct("<II")
LARGEST_POSITION = 2**30
UNKNOWN = bytes(32)


@dataclass(frozen=True)
class Digests:
    """What files a model's states are from, SHA-256 each. A reader that knows refuses all others, one that does not takes any."""

    model: bytes = UNKNOWN
    """Of the weights' file."""
    tokenizer: bytes = UNKNOWN
    """Of what the tokenizer is made from."""


def header_bytes(config: Config, position: int, encoding: Encoding, digests: Digests, head_bytes: int) -> bytes:
    """Of a state at `position` whose recurrent part takes so many bytes."""
    groups = _groups(config, position, encoding)
    kv, recurrent = int(encoding.int8_rows), int(encoding.bf16_recurrent)
    known = (fingerprint(config), digests.model, digests.tokenizer)
    fixed = FIXED.pack(MAGIC, VERSION, *known, position, config.learned_sinks, config.kept, kv, recurrent, 0, head_bytes, len(groups))
    return fixed + b"".join(starmap(GROUP.pack, groups))


def read_header(reader: Reader, config: Config, digests: Digests) -> tuple[int, int]:
    """The position and the length of the head; the reader then has the encoding. What is not this model's is refused, by name."""
    magic, version, *known, position, sinks, kept, kv, recurrent, zero, head_bytes, count = FIXED.unpack(reader.take(FIXED.size))
    if magic != MAGIC:
        raise StateError(f"the bytes must start with {MAGIC!r}; they start with {magic!r}")
    _expect("version", version, VERSION)
    if known[0] != fingerprint(config):
        raise StateError("state must belong to a model of this config; it belongs to another")
    for what, found, due in (("weights", known[1], digests.model), ("tokenizer", known[2], digests.tokenizer)):
        if due not in (UNKNOWN, found):
            raise StateError(f"{what} must be those of SHA-256 {due.hex()}; they are of {found.hex()}")
    if not config.learned_sinks <= position <= LARGEST_POSITION:
        raise StateError(f"position must be from {config.learned_sinks} to {LARGEST_POSITION}; it is {position}")
    _expect("learned sinks", sinks, config.learned_sinks)
    _expect("kept tokens", kept, config.kept)
    has_rows = any(layer.softmax is not None for layer in config.layers)
    if kv not in _row_types(config, has_rows):
        raise StateError(f"type of keys and values must be {' or '.join(map(str, _row_types(config, has_rows)))}; it is {kv}")
    if recurrent not in (0, 1):
        raise StateError(f"type of the recurrent part must be 0 or 1; it is {recurrent}")
    _expect("field of zeros", zero, 0)
    reader.encoding = Encoding(int8_rows=kv == 1, bf16_recurrent=recurrent == 1)
    groups = _groups(config, position, reader.encoding)
    _expect("groups", count, len(groups))
    for window, token_bytes in groups:
        found_window, found_bytes = GROUP.unpack(reader.take(GROUP.size))
        _expect("window of a group", found_window, window)
        _expect("bytes of a token", found_bytes, token_bytes)
    return position, head_bytes


def _row_types(config: Config, has_rows: bool) -> tuple[int, ...]:
    """0 for f32, 1 for int8; where there are no rows, their type is 0."""
    if not has_rows:
        return (0,)
    return (1,) if INT8_KEY_VALUES[config.spiking.mode] else (0, 1)


def _groups(config: Config, position: int, encoding: Encoding) -> list[tuple[int, int]]:
    token = config.kv_heads * row_bytes(config.head_dim, encoding)
    return [(group.window, len(group.layers) * token) for group in groups_at(config, position)]


def _expect(what: str, found: int, due: int) -> None:
    if found != due:
        raise StateError(f"{what} must be {due}; it is {found}")
