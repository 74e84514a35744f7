"""SwiGLU, dense or routed (`gpu-backend/docs/model.md#34-swiglu`)."""

import torch
from spikingbrain.config import Config, Experts
from spikingbrain.model.feed_forward import route
from spikingbrain.spike.modes import FIRING
from torch import Tensor, nn
from vllm.model_executor.layers.activation import SiluAndMul
from vllm.model_executor.layers.fused_moe import FusedMoEFactory
from vllm.model_executor.layers.linear import MergedColumnParallelLinear, ReplicatedLinear, RowParallelLinear
from vllm.platforms import current_platform

from spikingbrain_vllm.layers.neurons import FanOut, Neurons


class Dense(nn.Module):
    def __init__(self, config: Config, layer: int, inner: int, prefix: str, *, fires: bool = True) -> None:
        """`fires`: whether the input is to fire here, or has where it came from."""
        super().__init__()
        hidden = config.hidden
        self.gate_up_proj = MergedColumnParallelLinear(
            hidden, [inner, inner], bias=False, prefix=f"{prefix}.gate_up_proj", return_bias=False
        )
        self.down_proj = RowParallelLinear(inner, hidden, bias=False, prefix=f"{prefix}.down_proj", return_bias=False)
        self.activation, self.neurons, self.fires = SiluAndMul(), Neurons(config, layer), fires
        self.inner, self.hidden = inner, hidden

    def forward(self, x: Tensor, chosen: Tensor | None = None) -> Tensor:
        """`[tokens, hidden]` to the same. `chosen`, `[tokens]`: those whose result is used."""
        if self.fires:
            x = self.neurons(x, "feed_forward_in", FanOut(2 * self.inner))
        activated = self.activation(self.gate_up_proj(x))
        inner = self.neurons(activated, "feed_forward_down", FanOut(self.hidden), split=True, chosen=chosen)
        out: Tensor = self.down_proj(inner)
        return out


class Routed(nn.Module):
    """vLLM's fused experts, and the shared one that every token uses with weight 1. Where the experts' inner activations are to fire, which
    no fused kernel does, each expert is a `Dense` of its own."""

    def __init__(self, config: Config, layer: int, experts: Experts, prefix: str) -> None:
        super().__init__()
        self.config, self.neurons = experts, Neurons(config, layer)
        self.fan_out = FanOut(experts.count + 2 * experts.used * experts.inner + 2 * experts.shared_inner)
        self.router = ReplicatedLinear(config.hidden, experts.count, bias=False, prefix=f"{prefix}.router", return_bias=False)
        self.is_fused = "feed_forward_down" not in FIRING[config.spiking.mode]
        if self.is_fused:
            self.experts: nn.Module = fused(config, experts, f"{prefix}.experts")
        else:
            each = (Dense(config, layer, experts.inner, f"{prefix}.experts.{index}", fires=False) for index in range(experts.count))
            self.experts = nn.ModuleList(each)
        shared = experts.shared_inner
        self.shared_expert = Dense(config, layer, shared, f"{prefix}.shared_expert", fires=False) if shared > 0 else None

    def forward(self, x: Tensor) -> Tensor:
        """`[tokens, hidden]` to the same."""
        x = self.neurons(x, "feed_forward_in", self.fan_out)
        logits = self.router(x)
        routed: Tensor = self.experts(hidden_states=x, router_logits=logits) if self.is_fused else self._each(x, logits)
        return routed if self.shared_expert is None else self.shared_expert(x) + routed

    def _each(self, x: Tensor, logits: Tensor) -> Tensor:
        """All experts for all tokens, in shapes that do not depend on the routes."""
        chosen, scores = route(logits, self.config)
        assert isinstance(self.experts, nn.ModuleList)
        result = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            share = (scores * (chosen == index)).sum(dim=-1, keepdim=True).to(x.dtype)
            result = result + share * expert(x, (chosen == index).any(dim=-1))
        return result


def fused(config: Config, experts: Experts, prefix: str) -> nn.Module:
    """vLLM's own, routed as the reference routes: of equal scores the expert with the lower number. Where a rank has some of the experts,
    vLLM's kernel for CPUs takes an expert's number for its place among these, and reads past their end: there a rank is told places, and
    that an expert of another rank counts nothing."""
    told_places = current_platform.is_cpu()

    def routing(hidden_states: Tensor, gating_output: Tensor, topk: int, renormalize: bool) -> tuple[Tensor, Tensor]:
        chosen, scores = route(gating_output, experts)
        scores, chosen = scores.to(torch.float32), chosen.to(torch.int32)
        here = runner.expert_map if told_places else None
        if here is None:
            return scores, chosen
        places = here[chosen.to(torch.int64)].to(torch.int32)
        return torch.where(places < 0, 0.0, scores), places.clamp(min=0)

    runner = FusedMoEFactory(
        num_experts=experts.count,
        top_k=experts.used,
        hidden_size=config.hidden,
        intermediate_size=experts.inner,
        renormalize=experts.normalised,
        custom_routing_function=routing,
        prefix=prefix,
    )
    made: nn.Module = runner
    return made
