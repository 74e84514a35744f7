"""A state as bytes and back, bit for bit, in the engine's format (`wasm/engine/src/state/snapshot.rs`): the same state, the same bytes.

Little-endian: magic `SBST`, version 2, SHA-256 of what decides a state's meaning (`state_fingerprint.py`), the type of keys and values
(0 for f32, 1 for int8), position; then for each layer its linear states, its sums of evicted tokens, the tokens that its softmax branch
still sees, in order, and its salient tokens. A token is, for each KV head, its key and its value in f32, or the f32 scales of both and then
their codes. Salient tokens differ from head to head: they come KV head by KV head, slot by slot, each as its position (u32), its salience
(f32), key and value. Values of a half-precision model are widened, which loses nothing; what is wider than f32 is refused.
"""

import struct

import torch

from spikingbrain.config import Config, Layer
from spikingbrain.model.attention import Sight
from spikingbrain.model.evicted.memory import Evicted
from spikingbrain.model.key_values import KeyValues
from spikingbrain.model.state import LayerState, State
from spikingbrain.model.state_fingerprint import fingerprint
from spikingbrain.model.state_rows import Reader, StateError, float_bytes, salient_bytes, token_bytes
from spikingbrain.spike.key_value_codes import Int8Rows

__all__ = ["StateError", "load_state", "save_state"]

MAGIC = b"SBST"
VERSION = 2
# Magic, version, fingerprint, type of keys and values, position.
HEADER = struct.Struct("<4sI32sIQ")
FLOAT32, INT8 = 0, 1
LARGEST_POSITION = 2**30


def save_state(state: State, config: Config) -> bytes:
    """Everything needed to continue."""
    held = [layer.key_values for layer in state.layers if layer.key_values is not None]
    is_int8 = any(isinstance(one.keys, Int8Rows) for one in held)
    parts = [HEADER.pack(MAGIC, VERSION, fingerprint(config), INT8 if is_int8 else FLOAT32, state.position)]
    for layer in state.layers:
        sums = None if layer.evicted is None else layer.evicted.sums
        parts += [float_bytes(tensor) for tensor in (layer.linear, sums) if tensor is not None]
        if layer.key_values is not None:
            parts.append(token_bytes(layer.key_values.keys, layer.key_values.values))
        if layer.evicted is not None:
            parts.append(salient_bytes(layer.evicted.salient))
    return b"".join(parts)


def load_state(data: bytes, config: Config, dtype: torch.dtype, device: torch.device) -> State:
    """What `save_state` or the engine wrote, for weights of this type and device. Keys and values stay of the type that the bytes have.
    Anything else is refused, by name, before memory is taken for it."""
    if dtype == torch.float64:
        raise StateError("the weights must be of f32 or a half type; they are float64")
    reader = Reader(data, dtype, device)
    magic, version, digest, kind, position = HEADER.unpack(reader.take(HEADER.size))
    if magic != MAGIC:
        raise StateError(f"the bytes must start with {MAGIC!r}; they start with {magic!r}")
    if version != VERSION:
        raise StateError(f"version must be {VERSION}; it is {version}")
    if digest != fingerprint(config):
        raise StateError("state must belong to a model of this config; it belongs to another")
    if kind not in (FLOAT32, INT8):
        raise StateError(f"type of keys and values must be {FLOAT32} or {INT8}; it is {kind}")
    if not config.learned_sinks <= position <= LARGEST_POSITION:
        raise StateError(f"position must be from {config.learned_sinks} to {LARGEST_POSITION}; it is {position}")
    layers = tuple(_layer(reader, config, layer, position, kind == INT8) for layer in config.layers)
    if reader.left:
        raise StateError(f"nothing may follow the last layer; {reader.left} bytes do")
    return State(position, layers)


def _layer(reader: Reader, config: Config, layer: Layer, position: int, is_int8: bool) -> LayerState:
    heads, dim = config.kv_heads, config.head_dim
    linear = reader.floats(heads, dim, dim) if layer.is_linear else None
    sums = reader.floats(heads, 2 * dim, dim + 1) if layer.is_evicted else None
    if layer.softmax is None:
        return LayerState(linear, None)
    kept, near = _visible(config, layer.softmax, position)
    keys, values = reader.rows((len(kept) + len(near), heads), dim, is_int8)
    key_values = KeyValues(keys, values, torch.tensor([*kept, *near], dtype=torch.int64, device=reader.device))
    if sums is None or config.evicted is None:
        return LayerState(linear, key_values)
    evicted = range(config.kept, near.start)
    return LayerState(linear, key_values, Evicted(sums, reader.salient(evicted, config.evicted.salient, heads, dim, is_int8)))


def _visible(config: Config, softmax: str, position: int) -> tuple[range, range]:
    """Positions that a softmax branch still sees: kept ones that are not near, and near ones."""
    sight = Sight.of(config, softmax)
    first = min(sight.first_near(position), position)
    return range(min(sight.kept, first)), range(first, position)
