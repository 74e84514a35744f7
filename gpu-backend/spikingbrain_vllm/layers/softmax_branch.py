"""Softmax attention in vLLM's paged cache (`gpu-backend/docs/model.md#5-softmax-attention`)."""

from typing import Literal

from spikingbrain.config import Config
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.attention import Attention

from spikingbrain_vllm.heads import Heads


class SoftmaxBranch(nn.Module):
    """`full`, or `window`: vLLM's sliding window of W shows W keys, the query's own included, as the config's does."""

    def __init__(self, config: Config, kind: Literal["window", "full"], vllm_config: VllmConfig, prefix: str) -> None:
        super().__init__()
        heads = Heads.here(config)
        self.attention = Attention(
            heads.count,
            heads.dim,
            heads.dim**-0.5,
            num_kv_heads=heads.kv_count,
            cache_config=vllm_config.cache_config,
            per_layer_sliding_window=config.window if kind == "window" else None,
            prefix=f"{prefix}.attention",
        )

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Rotated, `[tokens, heads or kv_heads, dim]`; returns the query's shape."""
        out: Tensor = self.attention(query.flatten(1), key.flatten(1), value.flatten(1))
        return out.view(query.shape)
