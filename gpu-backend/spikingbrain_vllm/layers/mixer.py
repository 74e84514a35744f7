"""What mixes tokens in a layer, as `spikingbrain.model.mixer` does it."""

from spikingbrain.config import Config, Layer, LearnedGate
from spikingbrain.model.rope import Angles, rotate
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.layernorm import RMSNorm

from spikingbrain_vllm.layers.linear_branch import LinearBranch
from spikingbrain_vllm.layers.norms import AllHeadsNorm
from spikingbrain_vllm.layers.projections import Gate, Projections
from spikingbrain_vllm.layers.softmax_branch import SoftmaxBranch


class Mixer(nn.Module):
    """One branch, or a linear and a softmax one in parallel."""

    def __init__(self, config: Config, layer: Layer, vllm_config: VllmConfig, prefix: str) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        self.separate = layer.is_parallel and config.parallel_projections == "separate"
        if self.separate:
            self.linear, self.softmax = (Projections(config, f"{prefix}.{branch}") for branch in ("linear", "softmax"))
        else:
            self.shared = Projections(config, prefix)
        linear = config.linear if layer.is_linear else None
        self.gk_proj = Gate(config, linear.gate, f"{prefix}.gk_proj") if linear and isinstance(linear.gate, LearnedGate) else None
        self.g_norm = RMSNorm(config.head_dim, config.epsilon) if linear and linear.head_norm else None
        if layer.is_parallel:
            self.linear_norm, self.softmax_norm = self._branch_norm(), self._branch_norm()
        self.linear_branch = LinearBranch(config, f"{prefix}.linear_branch") if linear else None
        self.softmax_branch = SoftmaxBranch(config, layer.softmax, vllm_config, f"{prefix}.softmax_branch") if layer.softmax else None

    def _branch_norm(self) -> nn.Module:
        if self.separate:
            return RMSNorm(self.config.hidden, self.config.epsilon)
        if self.config.branch_norm == "head":
            return RMSNorm(self.config.head_dim, self.config.epsilon)
        projections = self.shared
        return AllHeadsNorm(projections.heads, self.config.heads * self.config.head_dim, self.config.epsilon)

    def forward(self, x: Tensor, at: Angles) -> Tensor:
        """`x` is the normed residual, `[tokens, hidden]`; returns what is added to the residual."""
        if self.separate:
            linear = self.linear_norm(self.linear.output(self._linear(self.linear.project(x), x, at).flatten(1)))
            softmax = self.softmax_norm(self.softmax.output(self._softmax(self.softmax.project(x), at).flatten(1)))
            return linear + softmax
        projected = self.shared.project(x)
        if not self.layer.is_parallel:
            heads = self._linear(projected, x, at) if self.layer.is_linear else self._softmax(projected, at)
            return self.shared.output(heads.flatten(1))
        linear, softmax = self._linear(projected, x, at), self._softmax(projected, at)
        if self.config.branch_norm == "full":
            linear, softmax = linear.flatten(1), softmax.flatten(1)
        return self.shared.output((self.linear_norm(linear) + self.softmax_norm(softmax)).reshape(x.shape[0], -1))

    def _linear(self, projected: tuple[Tensor, Tensor, Tensor], x: Tensor, at: Angles) -> Tensor:
        query, key, value = projected
        assert self.config.linear is not None and self.linear_branch is not None
        gate = None if self.gk_proj is None else self.gk_proj.full(self.gk_proj.low(x))
        if self.config.linear.rope:
            query, key = rotate(query, at), rotate(key, at)
        heads = self.linear_branch(query, key, value, gate)
        return heads if self.g_norm is None else self.g_norm(heads.contiguous())

    def _softmax(self, projected: tuple[Tensor, Tensor, Tensor], at: Angles) -> Tensor:
        query, key, value = projected
        assert self.softmax_branch is not None
        return self.softmax_branch(rotate(query, at), rotate(key, at), value)
