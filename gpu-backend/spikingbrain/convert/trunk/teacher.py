"""The teacher's forward pass over one whole sequence, and its greedy or sampled continuation."""

from collections.abc import Generator

import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.convert.trunk.rotary import Rotary


def rotary_for(trunk: Trunk, first: int, tokens: int) -> Rotary:
    config = trunk.config
    return Rotary.at(torch.arange(first, first + tokens), config.head_dim, config.rope_theta, trunk.embedding.dtype)


def full_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal, over rotated `[tokens, heads or kv_heads, head_dim]`; returns the shape of the queries."""
    group = query.shape[1] // key.shape[1]
    keys, values = (part.repeat_interleave(group, dim=1).transpose(0, 1)[None] for part in (key, value))
    return scaled_dot_product_attention(query.transpose(0, 1)[None], keys, values, is_causal=True)[0].transpose(0, 1)


def teacher_layers(trunk: Trunk, tokens: Tensor) -> Generator[tuple[int, Tensor, Tensor], None, Tensor]:
    """For each layer its index, its normed input `[tokens, hidden]` and what attention adds to the residual; returns the last residual."""
    rotary = rotary_for(trunk, 0, tokens.shape[0])
    x = trunk.embed(tokens)
    for index, layer in enumerate(trunk.layers):
        normed, added = attended(trunk, layer, rotary, x)
        yield index, normed, added
        x = x + added
        x = x + trunk.feed_forward(layer, x)
    return x


def attended(trunk: Trunk, layer: FrozenLayer, rotary: Rotary, x: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's normed input and what its attention adds to the residual `x`, each `[tokens, hidden]`."""
    normed = trunk.normed(x, layer.attention_norm)
    query, key, value = trunk.project(layer, normed)
    return normed, linear(full_attention(rotary(query), rotary(key), value).flatten(1), layer.output)


def teacher_residual(trunk: Trunk, tokens: Tensor) -> Tensor:
    """The residual after the last layer, `[tokens, hidden]`."""
    layers = teacher_layers(trunk, tokens)
    while True:
        try:
            next(layers)
        except StopIteration as end:
            residual: Tensor = end.value
            return residual
