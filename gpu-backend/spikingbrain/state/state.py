"""A sequence's state as a value.

Nothing ever writes into a state: a step returns a new one, so to fork a conversation is to keep the old value. Linear branches remember
one matrix per KV head (`gpu-backend/docs/model.md#41-the-recurrence`: the query heads of a group share it), softmax branches the keys and
values that are still visible. `file.py` makes bytes of it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import Config, Layer
from spikingbrain.precision import accumulator
from spikingbrain.state.evicted import Evicted
from spikingbrain.state.key_values import KeyValues


@dataclass(frozen=True)
class LayerState:
    linear: Tensor | None
    """`[kv_heads, key dim, value dim]`, f32 or wider; with a linear branch."""
    key_values: KeyValues | None
    """With a softmax branch."""
    evicted: Evicted | None = None
    """With an `evicted` mixer: for the next query."""


@dataclass(frozen=True)
class State:
    position: int
    """Tokens read, learned sinks included."""
    layers: tuple[LayerState, ...]

    @staticmethod
    def empty(config: Config, dtype: torch.dtype, device: torch.device) -> "State":
        """Nothing read yet, not even the sinks; `dtype` is the weights'."""
        return State(0, tuple(_empty(config, layer, dtype, device) for layer in config.layers))


def _empty(config: Config, layer: Layer, dtype: torch.dtype, device: torch.device) -> LayerState:
    shape = (config.kv_heads, config.head_dim, config.head_dim)
    return LayerState(
        linear=torch.zeros(shape, dtype=accumulator(dtype), device=device) if layer.is_linear else None,
        key_values=KeyValues.empty(config, dtype, device) if layer.softmax is not None else None,
        evicted=Evicted.empty(config, dtype, device) if layer.is_evicted else None,
    )
