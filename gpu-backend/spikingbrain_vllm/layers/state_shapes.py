"""Shapes of state layers, from the config and the number of tensor-parallel ranks alone."""

from math import prod

import torch
from spikingbrain.config import Config, Layer

from spikingbrain_vllm.heads import Heads

STATE_DTYPE = torch.float32


def linear_shape(heads: Heads) -> tuple[int, int, int]:
    """One matrix for each KV head, `[kv_heads, key dim, value dim]`: the query heads of a group share it."""
    return heads.kv_count, heads.dim, heads.dim


def layer_state(config: Config, layer: Layer, heads: Heads) -> tuple[int, ...] | None:
    """Of one layer; None where it has no state layer."""
    return linear_shape(heads) if layer.is_linear else None


def largest_state(config: Config, ranks: int) -> tuple[int, ...]:
    """The largest of a model's layers."""
    heads = Heads.of(config, ranks, 0)
    shapes = [shape for layer in config.layers if (shape := layer_state(config, layer, heads)) is not None]
    return max(shapes, key=prod)
