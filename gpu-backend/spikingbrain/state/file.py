"""A state as bytes and back, bit for bit, in the engine's format (`wasm/STATE_FORMAT.md`): the same state, the same bytes.

Values of a half-precision model are widened, which loses nothing; what is wider than f32 is refused.
"""

import torch

from spikingbrain.config import Config, Layer
from spikingbrain.spike.key_value_codes import Int8Rows
from spikingbrain.state.evicted import Evicted
from spikingbrain.state.header import Digests, header_bytes, read_header
from spikingbrain.state.key_values import KeyValues, Rows
from spikingbrain.state.layout import Group, evicted_before, groups_at
from spikingbrain.state.rows import Encoding, Reader, StateError, group_bytes, recurrent_bytes, salient_bytes
from spikingbrain.state.salient import Salient
from spikingbrain.state.state import LayerState, State

__all__ = ["Digests", "StateError", "load_state", "save_state"]


def save_state(
    state: State, config: Config, digests: Digests | None = None, *, int8_rows: bool = False, bf16_recurrent: bool = False
) -> bytes:
    """Everything needed to continue. `int8_rows` rounds dense keys and values to codes, `bf16_recurrent` linear states and sums."""
    held = [layer.key_values for layer in state.layers if layer.key_values is not None]
    has_codes = any(isinstance(one.keys, Int8Rows) for one in held)
    encoding = Encoding(int8_rows=has_codes or (int8_rows and bool(held)), bf16_recurrent=bf16_recurrent)
    head = b"".join(_head(layer, bool(evicted_before(config, state.position)), encoding) for layer in state.layers)
    front = header_bytes(config, state.position, encoding, digests or Digests(), len(head))
    groups = [group_bytes(_held(state, group), encoding) for group in groups_at(config, state.position)]
    return b"".join([front, head, *groups])


def load_state(data: bytes, config: Config, dtype: torch.dtype, device: torch.device, digests: Digests | None = None) -> State:
    """What `save_state` or the engine wrote, for weights of this type and device. Keys and values stay of the type that the bytes have.
    Anything else is refused, by name, before memory is taken for it."""
    if dtype == torch.float64:
        raise StateError("the weights must be of f32 or a half type; they are float64")
    reader = Reader(data, dtype, device)
    position, head_bytes = read_header(reader, config, digests or Digests())
    begin = reader.at
    heads = [_read_head(reader, config, layer, evicted_before(config, position)) for layer in config.layers]
    if reader.at - begin != head_bytes:
        raise StateError(f"bytes of the head must be {reader.at - begin}; they are {head_bytes}")
    key_values: dict[int, KeyValues] = {}
    for group in groups_at(config, position):
        # In this order: a position far away in a short file must not take memory.
        rows = reader.group(len(group), len(group.layers), config.kv_heads, config.head_dim)
        positions = torch.tensor([*group.kept, *group.near], dtype=torch.int64, device=device)
        key_values |= {layer: KeyValues(*one, positions) for layer, one in zip(group.layers, rows, strict=True)}
    if reader.left:
        raise StateError(f"nothing may follow the last group; {reader.left} bytes do")
    return State(position, tuple(LayerState(linear, key_values.get(index), evicted) for index, (linear, evicted) in enumerate(heads)))


def _held(state: State, group: Group) -> list[tuple[Rows, Rows]]:
    held = [state.layers[layer].key_values for layer in group.layers]
    return [(one.keys, one.values) for one in held if one is not None]


def _head(layer: LayerState, has_evicted: bool, encoding: Encoding) -> bytes:
    parts = [] if layer.linear is None else [recurrent_bytes(layer.linear, encoding)]
    if layer.evicted is not None and has_evicted:
        parts += [recurrent_bytes(layer.evicted.sums, encoding), salient_bytes(layer.evicted.salient, encoding)]
    return b"".join(parts)


def _read_head(reader: Reader, config: Config, layer: Layer, evicted: range) -> tuple[torch.Tensor | None, Evicted | None]:
    heads, dim = config.kv_heads, config.head_dim
    linear = reader.recurrent(heads, dim, dim) if layer.is_linear else None
    if not layer.is_evicted or config.evicted is None:
        return linear, None
    if not evicted:
        nothing = torch.zeros(heads, 2 * dim, dim + 1, device=reader.device)
        return linear, Evicted(nothing, _no_salient(reader, heads, dim))
    sums = reader.recurrent(heads, 2 * dim, dim + 1)
    return linear, Evicted(sums, reader.salient(evicted, config.evicted.salient, heads, dim))


def _no_salient(reader: Reader, heads: int, dim: int) -> Salient:
    return reader.salient(range(0), 0, heads, dim)
