"""The teacher's weights as few, large matrices in the type of the products; nothing of them is ever trained."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear, rms_norm, silu

from spikingbrain.checkpoint.names import TensorName
from spikingbrain.checkpoint.source import WeightSource, read_tensor
from spikingbrain.config import Config
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.rules import ConfigError


@dataclass(frozen=True)
class FrozenLayer:
    attention_norm: Tensor
    """`[hidden]`"""
    query_key_value: Tensor
    """`[(heads + 2 kv_heads) * head_dim, hidden]`"""
    query_key_value_bias: Tensor | None
    output: Tensor
    """`[hidden, heads * head_dim]`"""
    feed_forward_norm: Tensor
    """`[hidden]`"""
    gate_up: Tensor
    """`[2 inner, hidden]`"""
    down: Tensor
    """`[hidden, inner]`"""


@dataclass(frozen=True)
class Trunk:
    config: Config
    embedding: Tensor
    """`[vocabulary, hidden]`"""
    layers: tuple[FrozenLayer, ...]
    norm: Tensor
    """`[hidden]`"""
    head: Tensor
    """`[vocabulary, hidden]`"""

    def embed(self, tokens: Tensor) -> Tensor:
        """`[...]` token ids to `[..., hidden]`."""
        return embedding(tokens, self.embedding)

    def normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return rms_norm(x, (x.shape[-1],), weight, self.config.epsilon)

    def project(self, layer: FrozenLayer, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries `[..., heads, head_dim]`, keys and values `[..., kv_heads, head_dim]`, before RoPE."""
        config = self.config
        sizes = [config.heads * config.head_dim, config.kv_heads * config.head_dim, config.kv_heads * config.head_dim]
        parts = linear(normed, layer.query_key_value, layer.query_key_value_bias).split_with_sizes(sizes, dim=-1)
        query, key, value = (part.view(*part.shape[:-1], -1, config.head_dim) for part in parts)
        return query, key, value

    def feed_forward(self, layer: FrozenLayer, x: Tensor, firing: Firing | None = None) -> Tensor:
        """What the feed-forward adds to the residual `x`."""
        fire = firing or Firing()
        gate, up = linear(fire(self.normed(x, layer.feed_forward_norm), "feed_forward_in"), layer.gate_up).chunk(2, dim=-1)
        return linear(fire(silu(gate) * up, "feed_forward_down"), layer.down)

    def logits(self, x: Tensor) -> Tensor:
        """Of the residual after the last layer, `[..., hidden]` to `[..., vocabulary]` in f32."""
        return linear(self.normed(x, self.norm), self.head).float()


Settle = Callable[[int, FrozenLayer], FrozenLayer]
"""What becomes of a layer, by its index, before the next one is read."""


def read_trunk(source: WeightSource, dtype: torch.dtype = torch.bfloat16, settle: Settle = lambda _, layer: layer) -> Trunk:
    """Reads an ordinary Transformer: full attention and dense feed-forwards in every layer."""
    config = source.config
    if any(layer.mixer != ("full",) or layer.feed_forward != "dense" for layer in config.layers) or config.biases.output:
        raise ConfigError("teacher", "a Transformer of full attention and dense feed-forwards, without a bias after o", config.name)
    if config.rotated != config.head_dim:
        raise ConfigError("teacher.rope_dim", f"all {config.head_dim} dimensions of a head", config.rope_dim)
    names = {name.name: name for name in source.names}

    def tensor(folder: str) -> Tensor:
        return read_tensor(source, _named(names, folder), dtype)

    def joined(at: str, parts: tuple[str, ...], kind: str = "weight") -> Tensor:
        return torch.cat([tensor(f"{at}.{part}_proj.{kind}") for part in parts])

    def layer(at: str) -> FrozenLayer:
        biased = config.biases.query_key_value
        return FrozenLayer(
            attention_norm=tensor(f"{at}.attn_norm.weight"),
            query_key_value=joined(f"{at}.attn", ("q", "k", "v")),
            query_key_value_bias=joined(f"{at}.attn", ("q", "k", "v"), "bias") if biased else None,
            output=tensor(f"{at}.attn.o_proj.weight"),
            feed_forward_norm=tensor(f"{at}.mlp_norm.weight"),
            gate_up=joined(f"{at}.mlp", ("gate", "up")),
            down=tensor(f"{at}.mlp.down_proj.weight"),
        )

    embedded = tensor("model.embeddings.weight")
    return Trunk(
        config=config,
        embedding=embedded,
        layers=tuple(settle(index, layer(f"model.layers.{index}")) for index in range(len(config.layers))),
        norm=tensor("model.norm.weight"),
        head=embedded if config.tied_head else tensor("lm_head.weight"),
    )


def _named(names: dict[str, TensorName], folder: str) -> TensorName:
    if folder not in names:
        raise ConfigError("teacher", f"a checkpoint with tensor '{folder}'", sorted(names)[:3])
    return names[folder]
