"""A state as bytes and back, bit for bit, in the engine's format (`wasm/engine/src/state/snapshot.rs`): the same state, the same bytes.

Little-endian: magic `SBST`, version 2, SHA-256 of what decides a state's meaning (`state_fingerprint.py`), the type of keys and values
(0 for f32, 1 for int8), position; then for each layer its linear states, its sums of evicted tokens, and the tokens that its softmax branch
still sees, in order. A token is, for each KV head, its key and its value in f32, or the f32 scales of both and then their codes. Keys and
values of a half-precision model are widened, which loses nothing; what is wider than f32 is refused.
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikingbrain.config import Config, Layer
from spikingbrain.model.attention import Sight
from spikingbrain.model.key_values import KeyValues
from spikingbrain.model.state import LayerState, State
from spikingbrain.model.state_fingerprint import fingerprint
from spikingbrain.spike.key_value_codes import LARGEST_CODE, Int8Rows

MAGIC = b"SBST"
VERSION = 2
# Magic, version, fingerprint, type of keys and values, position.
HEADER = struct.Struct("<4sI32sIQ")
FLOAT32, INT8 = 0, 1
LARGEST_POSITION = 2**30
FLOAT_BYTES = 4


class StateError(ValueError):
    """Bytes that hold no state of this model, or a state that the bytes cannot hold."""


def save_state(state: State, config: Config) -> bytes:
    """Everything needed to continue."""
    held = [layer.key_values for layer in state.layers if layer.key_values is not None]
    is_int8 = any(isinstance(one.keys, Int8Rows) for one in held)
    parts = [HEADER.pack(MAGIC, VERSION, fingerprint(config), INT8 if is_int8 else FLOAT32, state.position)]
    for layer in state.layers:
        parts += [_floats(tensor) for tensor in (layer.linear, layer.evicted) if tensor is not None]
        if layer.key_values is not None:
            parts.append(_tokens(layer.key_values))
    return b"".join(parts)


def load_state(data: bytes, config: Config, dtype: torch.dtype, device: torch.device) -> State:
    """What `save_state` or the engine wrote, for weights of this type and device. Keys and values stay of the type that the bytes have.
    Anything else is refused, by name, before memory is taken for it."""
    if dtype == torch.float64:
        raise StateError("the weights must be of f32 or a half type; they are float64")
    reader = _Reader(data)
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
    layers = tuple(_layer(reader, config, layer, position, kind == INT8, dtype, device) for layer in config.layers)
    if reader.left:
        raise StateError(f"nothing may follow the last layer; {reader.left} bytes do")
    return State(position, layers)


@dataclass
class _Reader:
    data: bytes
    at: int = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise StateError(f"a part of {count} bytes must follow byte {self.at}; {self.left} do")
        self.at += count
        return self.data[self.at - count : self.at]

    def floats(self, *shape: int) -> Tensor:
        at = self.at
        values = np.frombuffer(self.take(int(np.prod(shape)) * FLOAT_BYTES), dtype="<f4").reshape(shape)
        if not np.isfinite(values).all():
            raise StateError(f"numbers from byte {at} on must be finite; one is not")
        return torch.from_numpy(values.astype(np.float32))


def _layer(
    reader: _Reader, config: Config, layer: Layer, position: int, is_int8: bool, dtype: torch.dtype, device: torch.device
) -> LayerState:
    heads, dim = config.kv_heads, config.head_dim
    linear = reader.floats(heads, dim, dim).to(device) if layer.is_linear else None
    evicted = reader.floats(heads, 2 * dim, dim + 1).to(device) if layer.is_evicted else None
    if layer.softmax is None:
        return LayerState(linear, None, evicted)
    kept, near = _visible(config, layer.softmax, position)
    tokens = len(kept) + len(near)
    if is_int8:
        keys, values = _codes(reader, tokens, heads, dim, device)
        return LayerState(linear, KeyValues(keys, values, _positions(kept, near, device)), evicted)
    both = reader.floats(tokens, heads, 2 * dim).to(device=device, dtype=dtype)
    positions = _positions(kept, near, device)
    return LayerState(linear, KeyValues(both[..., :dim].clone(), both[..., dim:].clone(), positions), evicted)


def _codes(reader: _Reader, tokens: int, heads: int, dim: int, device: torch.device) -> tuple[Int8Rows, Int8Rows]:
    at, row_bytes = reader.at, 2 * FLOAT_BYTES + 2 * dim
    rows = np.frombuffer(reader.take(tokens * heads * row_bytes), dtype=np.uint8).reshape(tokens, heads, row_bytes)
    scales = np.ascontiguousarray(rows[..., : 2 * FLOAT_BYTES]).view("<f4")
    codes = np.ascontiguousarray(rows[..., 2 * FLOAT_BYTES :]).view(np.int8)
    if not (np.isfinite(scales) & (scales >= 0)).all():
        raise StateError(f"scales from byte {at} on must be finite and not negative; one is")
    if (codes < -LARGEST_CODE).any():
        raise StateError(f"codes from byte {at} on must be from -{LARGEST_CODE} to {LARGEST_CODE}; one is -128")

    def part(first: int) -> Int8Rows:
        of_part = codes[..., first * dim : (first + 1) * dim]
        of_scales = scales[..., first : first + 1].astype(np.float32)
        return Int8Rows(torch.from_numpy(of_part.copy()).to(device), torch.from_numpy(of_scales).to(device))

    return part(0), part(1)


def _visible(config: Config, softmax: str, position: int) -> tuple[range, range]:
    """Positions that a softmax branch still sees: kept ones that are not near, and near ones."""
    sight = Sight.of(config, softmax)
    first = min(sight.first_near(position), position)
    return range(min(sight.kept, first)), range(first, position)


def _positions(kept: range, near: range, device: torch.device) -> Tensor:
    """`[held]`"""
    return torch.tensor([*kept, *near], dtype=torch.int64, device=device)


def _tokens(held: KeyValues) -> bytes:
    if isinstance(held.keys, Int8Rows) and isinstance(held.values, Int8Rows):
        codes = [rows.codes.cpu().numpy() for rows in (held.keys, held.values)]
        if any((part < -LARGEST_CODE).any() for part in codes):
            raise StateError(f"codes of keys and values must be from -{LARGEST_CODE} to {LARGEST_CODE}; one is -128")
        scales = [_array(rows.scales).view(np.uint8) for rows in (held.keys, held.values)]
        return np.concatenate([*scales, *(part.view(np.uint8) for part in codes)], axis=-1).tobytes()
    if isinstance(held.keys, Int8Rows) or isinstance(held.values, Int8Rows):
        raise StateError("keys and values must be of one type; they are of two")
    return np.concatenate([_array(held.keys), _array(held.values)], axis=-1).tobytes()


def _floats(tensor: Tensor) -> bytes:
    return _array(tensor).tobytes()


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    if tensor.dtype == torch.float64:
        raise StateError("a state must be of f32 or a half type; it is float64")
    return np.ascontiguousarray(tensor.to(torch.float32).cpu().numpy())
