"""Shapes of state layers, from the config and the number of tensor-parallel ranks alone."""

from math import prod

import torch
from spikingbrain.config import Config, Layer

from spikingbrain_vllm.heads import Heads
from spikingbrain_vllm.layers.evicted_shapes import evicted_shape

STATE_DTYPE = torch.float32


def linear_shape(heads: Heads) -> tuple[int, int, int]:
    """One matrix for each KV head, `[kv_heads, key dim, value dim]`: the query heads of a group share it."""
    return heads.kv_count, heads.dim, heads.dim


def kept_shape(config: Config, heads: Heads) -> tuple[int, int, int, int]:
    """Keys, then values, of a text's first tokens: `[2, kept, kv_heads, dim]`."""
    return 2, config.kept_tokens, heads.kv_count, heads.dim


def keeps_tokens(config: Config, layer: Layer) -> bool:
    """Whether a window must remember tokens that vLLM's lets go."""
    return config.kept_tokens > 0 and layer.softmax == "window" and not layer.is_evicted


def layer_states(config: Config, layer: Layer, heads: Heads) -> list[tuple[int, ...]]:
    """Of one layer's state layers."""
    if layer.is_evicted:
        return [evicted_shape(config, heads)]
    shapes: list[tuple[int, ...]] = [linear_shape(heads)] if layer.is_linear else []
    return [*shapes, kept_shape(config, heads)] if keeps_tokens(config, layer) else shapes


def largest_state(config: Config, ranks: int) -> tuple[int, ...]:
    """The largest of a model's layers."""
    heads = Heads.of(config, ranks, 0)
    return max((shape for layer in config.layers for shape in layer_states(config, layer, heads)), key=prod)
