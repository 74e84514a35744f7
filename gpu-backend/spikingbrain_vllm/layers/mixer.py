"""What mixes tokens in a layer, as `spikingbrain.model.mixer` does it."""

from spikingbrain.config import Config, Layer, LearnedGate
from spikingbrain.model.rope import Angles, rotate
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.layernorm import RMSNorm

from spikingbrain_vllm.layers.evicted_branch import EvictedBranch
from spikingbrain_vllm.layers.evicted_weights import EvictedTensors
from spikingbrain_vllm.layers.linear_branch import LinearBranch
from spikingbrain_vllm.layers.neurons import FanOut, Neurons
from spikingbrain_vllm.layers.norms import AllHeadsNorm
from spikingbrain_vllm.layers.projections import Gate, Projections
from spikingbrain_vllm.layers.softmax_branch import SoftmaxBranch

MOST_POSITIONS = 2**62


class Mixer(nn.Module):
    """One branch, or a linear and a softmax one in parallel."""

    def __init__(self, config: Config, index: int, vllm_config: VllmConfig, prefix: str) -> None:
        super().__init__()
        layer = config.layers[index]
        self.config, self.layer, self.neurons = config, layer, Neurons(config, index)
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
        softmax = layer.softmax is not None and not layer.is_evicted
        self.softmax_branch = SoftmaxBranch(config, layer, vllm_config, f"{prefix}.softmax_branch") if softmax else None
        self.fan_out, self.sight = FanOut(_outputs(config, layer)), FanOut(reach=_reach(config, layer), sinks=config.learned_sinks)
        self.evicted = EvictedTensors(config) if layer.is_evicted else None
        self.evicted_branch = EvictedBranch(config, self.evicted, index, f"{prefix}.evicted_branch") if self.evicted is not None else None

    def _branch_norm(self) -> nn.Module:
        if self.separate:
            return RMSNorm(self.config.hidden, self.config.epsilon)
        if self.config.branch_norm == "head":
            return RMSNorm(self.config.head_dim, self.config.epsilon)
        projections = self.shared
        return AllHeadsNorm(projections.heads, self.config.heads * self.config.head_dim, self.config.epsilon)

    def forward(self, x: Tensor, at: Angles, of_sinks: bool = False) -> Tensor:
        """`x` is the normed residual, `[tokens, hidden]`; returns what is added to the residual. `of_sinks`: the tokens are the learned
        sinks, all of them, and the layer keeps what it makes of them."""
        x = self.neurons(x, "attention_in", self.fan_out)
        if self.separate:
            linear = self._output(self.linear, self._linear(self.linear.project(x), x, at, of_sinks))
            softmax = self._output(self.softmax, self._softmax(self.softmax.project(x), at, of_sinks))
            return self.linear_norm(linear) + self.softmax_norm(softmax)
        projected = self.shared.project(x)
        if self.evicted_branch is not None:
            return self._output(self.shared, self.evicted_branch(*projected, x))
        if not self.layer.is_parallel:
            heads = self._linear(projected, x, at, of_sinks) if self.layer.is_linear else self._softmax(projected, at, of_sinks)
            return self._output(self.shared, heads)
        linear, softmax = self._linear(projected, x, at, of_sinks), self._softmax(projected, at, of_sinks)
        if self.config.branch_norm == "full":
            linear, softmax = linear.flatten(1), softmax.flatten(1)
        return self._output(self.shared, (self.linear_norm(linear) + self.softmax_norm(softmax)).reshape(x.shape[0], -1))

    def _output(self, projections: Projections, heads: Tensor) -> Tensor:
        return projections.output(self.neurons(heads.flatten(1), "attention_out", FanOut(self.config.hidden), split=True))

    def _linear(self, projected: tuple[Tensor, Tensor, Tensor], x: Tensor, at: Angles, of_sinks: bool) -> Tensor:
        query, key, value = projected
        assert self.config.linear is not None and self.linear_branch is not None
        gate = None if self.gk_proj is None else self.gk_proj.full(self._low(self.gk_proj, x))
        if self.config.linear.rope:
            query, key = rotate(query, at), rotate(key, at)
        read = self.linear_branch.read_sinks if of_sinks else self.linear_branch
        heads = read(query, key, value, gate)
        return heads if self.g_norm is None else self.g_norm(heads.contiguous())

    def _low(self, gate: Gate, x: Tensor) -> Tensor:
        return x if gate.rank is None else self.neurons(gate.low(x), "gate_in", FanOut(self.config.kv_heads * self.config.head_dim))

    def _softmax(self, projected: tuple[Tensor, Tensor, Tensor], at: Angles, of_sinks: bool) -> Tensor:
        query, key, value = projected
        assert self.softmax_branch is not None
        read = self.softmax_branch.read_sinks if of_sinks else self.softmax_branch
        query = self.neurons(rotate(query, at), "query", self.sight)
        return read(query, self.neurons.rows(rotate(key, at)), self.neurons.rows(value))


def _outputs(config: Config, layer: Layer) -> int:
    """Rows of all matrices that read the mixer's input, on all ranks."""
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    sets = 2 if layer.is_parallel and config.parallel_projections == "separate" else 1
    outputs = sets * (queries + 2 * keys) + (3 * config.heads if layer.is_evicted else 0)
    gate = config.linear.gate if layer.is_linear and config.linear is not None else None
    return outputs + ((keys if gate.rank is None else gate.rank) if isinstance(gate, LearnedGate) else 0)


def _reach(config: Config, layer: Layer) -> int:
    """Keys that a query sees at most, its own included."""
    return config.window + config.kept if layer.softmax == "window" and config.window is not None else MOST_POSITIONS
