"""One layer: a mixer, then a feed-forward (`gpu-backend/docs/model.md#31-residual-block`)."""

from spikingbrain.config import Config
from spikingbrain.model.rope import Angles
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.layernorm import RMSNorm

from spikingbrain_vllm.layers.feed_forward import Dense, Routed
from spikingbrain_vllm.layers.mixer import Mixer


class Block(nn.Module):
    def __init__(self, config: Config, index: int, vllm_config: VllmConfig, prefix: str) -> None:
        super().__init__()
        layer = config.layers[index]
        self.attn_norm = RMSNorm(config.hidden, config.epsilon)
        self.attn = Mixer(config, index, vllm_config, f"{prefix}.attn")
        self.mlp_norm = RMSNorm(config.hidden, config.epsilon)
        if layer.feed_forward == "moe" and config.experts is not None:
            self.mlp: nn.Module = Routed(config, index, config.experts, f"{prefix}.mlp")
        else:
            self.mlp = Dense(config, index, config.feed_forward_inner, f"{prefix}.mlp")

    def forward(self, residual: Tensor, at: Angles, of_sinks: bool = False) -> Tensor:
        """The residual `[tokens, hidden]` after the layer."""
        residual = residual + self.attn(self.attn_norm(residual), at, of_sinks)
        return residual + self.mlp(self.mlp_norm(residual))
