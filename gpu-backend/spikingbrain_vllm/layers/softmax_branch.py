"""Softmax attention in vLLM's paged cache (`gpu-backend/docs/model.md#5-softmax-attention`)."""

from typing import Any

from spikingbrain.config import Config, Layer
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.attention import Attention

from spikingbrain_vllm.heads import Heads
from spikingbrain_vllm.layers.leading import KeptTokens, Sinks
from spikingbrain_vllm.layers.sight_attention import SightBackend
from spikingbrain_vllm.layers.state_shapes import keeps_tokens


class SoftmaxBranch(nn.Module):
    """`full`, or `window`: vLLM's sliding window of W shows W keys, the query's own included, as the config's does. With something that
    every token sees the attention is ours, else vLLM's."""

    def __init__(self, config: Config, layer: Layer, vllm_config: VllmConfig, prefix: str) -> None:
        super().__init__()
        heads = Heads.here(config)
        leading: Sinks | KeptTokens | None = None
        if config.learned_sinks > 0:
            leading = Sinks(config)
        elif keeps_tokens(config, layer):
            leading = KeptTokens(config, f"{prefix}.leading")
        self.leading = leading
        ours: dict[str, Any] = {} if leading is None else {"attn_backend": SightBackend, "leading": leading}
        self.attention = Attention(
            heads.count,
            heads.dim,
            heads.dim**-0.5,
            num_kv_heads=heads.kv_count,
            cache_config=vllm_config.cache_config,
            per_layer_sliding_window=config.window if layer.softmax == "window" else None,
            prefix=f"{prefix}.attention",
            **ours,
        )

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Rotated, `[tokens, heads or kv_heads, dim]`; returns the query's shape."""
        out: Tensor = self.attention(query.flatten(1), key.flatten(1), value.flatten(1))
        return out.view(query.shape)

    def read_sinks(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The learned sinks' own, as `forward`'s."""
        assert isinstance(self.leading, Sinks)
        return Sinks.read(self.leading, query, key, value)
