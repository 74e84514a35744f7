"""A state as bytes and back, bit for bit: a safetensors file.

It holds `position`, `config` (a digest of everything that decides what a state means) and for each layer `layers.{i}.linear`,
`layers.{i}.evicted`, `layers.{i}.keys` and `.values`, or, where they are int8, `.keys.codes`, `.keys.scales` and so on. The positions of keys and values follow
from the config.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from spikingbrain.config import Config, Layer
from spikingbrain.model.attention import Sight
from spikingbrain.model.key_values import KeyValues
from spikingbrain.model.state import LayerState, State
from spikingbrain.spike.key_value_codes import Int8Rows

LARGEST_POSITION = 2**31 - 1


class StateError(ValueError):
    """Bytes that hold no state of this model."""


def save_state(state: State, config: Config) -> bytes:
    tensors = {name: tensor.contiguous() for name, tensor in _tensors(state)}
    return bytes(save({**tensors, "position": torch.tensor([state.position]), "config": _digest(config)}))


def load_state(data: bytes, config: Config, dtype: torch.dtype, device: torch.device) -> State:
    """What `save_state` wrote, for weights of this type and device. Anything else is refused, by name, before memory is taken for it."""
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise StateError(f"state must be a safetensors file; {error}") from error
    digest, position = tensors.pop("config", None), tensors.pop("position", None)
    if digest is None or not torch.equal(digest, _digest(config)):
        raise StateError("state must belong to a model of this config; it belongs to another")
    if position is None or position.shape != (1,) or position.dtype != torch.int64:
        raise StateError(f"position must be one int64; it is {position}")
    if not config.learned_sinks <= int(position) <= LARGEST_POSITION:
        raise StateError(f"position must be from {config.learned_sinks} to {LARGEST_POSITION}; it is {int(position)}")
    empty = State.empty(config, dtype, torch.device("cpu"))
    spans = [_held(config, layer, int(position)) for layer in config.layers]
    expected = {name: (tensor.dtype, _shape(name, tensor, spans)) for name, tensor in _tensors(empty)}
    for name in sorted(set(expected) | set(tensors)):
        _check(name, tensors.get(name), expected.get(name))
    layers = enumerate(zip(empty.layers, spans, strict=True))
    return State(int(position), tuple(_filled(layer, f"layers.{index}", tensors, span, device) for index, (layer, span) in layers))


def _tensors(state: State) -> Iterator[tuple[str, Tensor]]:
    for index, layer in enumerate(state.layers):
        if layer.linear is not None:
            yield f"layers.{index}.linear", layer.linear
        if layer.evicted is not None:
            yield f"layers.{index}.evicted", layer.evicted
        if layer.key_values is not None:
            for part, rows in (("keys", layer.key_values.keys), ("values", layer.key_values.values)):
                if isinstance(rows, Int8Rows):
                    yield f"layers.{index}.{part}.codes", rows.codes
                    yield f"layers.{index}.{part}.scales", rows.scales
                else:
                    yield f"layers.{index}.{part}", rows


def _held(config: Config, layer: Layer, position: int) -> tuple[range, range]:
    """Positions that a softmax branch holds: kept ones that are not near, and near ones."""
    if layer.softmax is None:
        return range(0), range(0)
    sight = Sight.of(config, layer.softmax)
    first = min(sight.first_near(position), position)
    return range(min(sight.kept, first)), range(first, position)


def _shape(name: str, empty: Tensor, spans: list[tuple[range, range]]) -> list[int]:
    index, part = name.split(".")[1:3]
    if part in ("linear", "evicted"):
        return list(empty.shape)
    return [sum(len(span) for span in spans[int(index)]), *empty.shape[1:]]


def _check(name: str, found: Tensor | None, expected: tuple[torch.dtype, list[int]] | None) -> None:
    is_found = None if found is None else (found.dtype, list(found.shape))
    if is_found != expected:
        raise StateError(f"'{name}' must be {_described(expected)}; it is {_described(is_found)}")
    if found is not None and found.is_floating_point() and not bool(found.isfinite().all()):
        raise StateError(f"'{name}' must be finite; it is not")


def _described(tensor: tuple[torch.dtype, list[int]] | None) -> str:
    return "absent" if tensor is None else f"{tensor[0]} {tensor[1]}"


def _filled(layer: LayerState, at: str, tensors: dict[str, Tensor], span: tuple[range, range], device: torch.device) -> LayerState:
    def rows(part: str) -> Tensor | Int8Rows:
        if f"{at}.{part}" in tensors:
            return tensors[f"{at}.{part}"].to(device)
        return Int8Rows(tensors[f"{at}.{part}.codes"].to(device), tensors[f"{at}.{part}.scales"].to(device))

    def key_values() -> KeyValues:
        positions = torch.cat([torch.arange(one.start, one.stop, device=device) for one in span])
        return KeyValues(rows("keys"), rows("values"), positions)

    return LayerState(
        linear=tensors[f"{at}.linear"].to(device) if layer.linear is not None else None,
        key_values=key_values() if layer.key_values is not None else None,
        evicted=tensors[f"{at}.evicted"].to(device) if layer.evicted is not None else None,
    )


def _digest(config: Config) -> Tensor:
    """SHA-256, `[32]` uint8. The name decides nothing."""
    described = json.dumps(asdict(replace(config, name="")), sort_keys=True)
    return torch.tensor(list(hashlib.sha256(described.encode()).digest()), dtype=torch.uint8)
