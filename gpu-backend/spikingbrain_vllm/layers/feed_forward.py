"""SwiGLU, dense or routed (`gpu-backend/docs/model.md#34-swiglu`)."""

import torch
from spikingbrain.config import Experts
from spikingbrain.model.feed_forward import route
from torch import Tensor, nn
from vllm.model_executor.layers.activation import SiluAndMul
from vllm.model_executor.layers.fused_moe import FusedMoEFactory
from vllm.model_executor.layers.linear import MergedColumnParallelLinear, ReplicatedLinear, RowParallelLinear


class Dense(nn.Module):
    def __init__(self, hidden: int, inner: int, prefix: str) -> None:
        super().__init__()
        self.gate_up_proj = MergedColumnParallelLinear(
            hidden, [inner, inner], bias=False, prefix=f"{prefix}.gate_up_proj", return_bias=False
        )
        self.down_proj = RowParallelLinear(inner, hidden, bias=False, prefix=f"{prefix}.down_proj", return_bias=False)
        self.activation = SiluAndMul()

    def forward(self, x: Tensor) -> Tensor:
        """`[tokens, hidden]` to the same."""
        out: Tensor = self.down_proj(self.activation(self.gate_up_proj(x)))
        return out


class Routed(nn.Module):
    """vLLM's fused experts, and the shared one that every token uses with weight 1."""

    def __init__(self, hidden: int, experts: Experts, prefix: str) -> None:
        super().__init__()
        self.router = ReplicatedLinear(hidden, experts.count, bias=False, prefix=f"{prefix}.router", return_bias=False)

        def routing(hidden_states: Tensor, gating_output: Tensor, topk: int, renormalize: bool) -> tuple[Tensor, Tensor]:
            chosen, scores = route(gating_output, experts)
            return scores.to(torch.float32), chosen.to(torch.int32)

        self.experts = FusedMoEFactory(
            num_experts=experts.count,
            top_k=experts.used,
            hidden_size=hidden,
            intermediate_size=experts.inner,
            renormalize=experts.normalised,
            custom_routing_function=routing,
            prefix=f"{prefix}.experts",
        )
        shared = experts.shared_inner
        self.shared_expert = Dense(hidden, shared, f"{prefix}.shared_expert") if shared > 0 else None

    def forward(self, x: Tensor) -> Tensor:
        """`[tokens, hidden]` to the same."""
        routed: Tensor = self.experts(hidden_states=x, router_logits=self.router(x))
        return routed if self.shared_expert is None else self.shared_expert(x) + routed
