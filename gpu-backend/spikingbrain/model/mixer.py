"""What mixes tokens in a layer: one branch, or a linear and a softmax one in parallel (`gpu-backend/docs/model.md#21-layers`)."""

import torch
from torch import Tensor

from spikingbrain.config import Config, Layer
from spikingbrain.model.attention import attend
from spikingbrain.model.evicted.branch import evicted_branch
from spikingbrain.model.gated_linear.inputs import prepare
from spikingbrain.model.neurons import Neurons
from spikingbrain.model.projection import outputs, project
from spikingbrain.model.rms_norm import rms_norm
from spikingbrain.model.rope import rotate
from spikingbrain.model.span import Projected, Span
from spikingbrain.model.weights import AttentionProjections, GateProjections, MixerWeights
from spikingbrain.precision import accumulator
from spikingbrain.state.key_values import KeyValues
from spikingbrain.state.sight import Sight
from spikingbrain.state.state import LayerState


def mix(span: Span, layer: Layer, weights: MixerWeights, x: Tensor, state: LayerState, neurons: Neurons) -> tuple[Tensor, LayerState]:
    """`x` is the normed residual, `[tokens, hidden]`; returns what is added to the residual, and the layer's new state."""
    x = neurons(x, "attention_in", _fan_out(weights))
    projected = [project_heads(span.config, projections, x) for projections in weights.projections]
    branches = []
    linear, key_values, evicted = state.linear, state.key_values, state.evicted
    if linear is not None:
        gate = gate_logits(weights.gate, x, neurons)
        heads, linear = linear_branch(span, projected[0], gate, weights.head_norm, linear)
        branches.append(heads)
    if evicted is not None and key_values is not None and weights.evicted is not None:
        heads, key_values, evicted = evicted_branch(span, weights.evicted, projected[0], x, key_values, evicted, neurons)
        branches.append(heads)
    elif key_values is not None and layer.softmax is not None:
        sight = Sight.of(span.config, layer.softmax)
        heads, key_values = _softmax_branch(span, projected[-1], sight, key_values, neurons)
        branches.append(heads)
    return merge(span.config, weights, branches, neurons), LayerState(linear, key_values, evicted)


def linear_branch(span: Span, projected: Projected, gate: Tensor | None, head_norm: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
    """Heads' outputs, `[tokens, heads, head_dim]`, and the new state."""
    linear = span.config.linear
    if linear is None or (span.is_sinks and not linear.reads_sinks):
        return torch.zeros_like(projected.query), state
    query, key, value = (part.to(accumulator(part.dtype)) for part in (projected.query, projected.key, projected.value))
    if linear.rope:
        query, key = rotate(query, span.angles), rotate(key, span.angles)
    z = None if gate is None else gate.to(key.dtype).reshape(key.shape)
    heads, state = span.form(prepare(linear, query, key, value, z), state)
    if head_norm is not None:
        heads = rms_norm(heads, head_norm.to(heads.dtype), span.config.epsilon)
    return heads.to(projected.query.dtype), state


def _softmax_branch(span: Span, projected: Projected, sight: Sight, held: KeyValues, neurons: Neurons) -> tuple[Tensor, KeyValues]:
    """Heads' outputs, `[tokens, heads, head_dim]`, and what is still visible to the next token."""
    tokens = projected.query.shape[0]
    held = held.append(rotate(projected.key, span.angles), projected.value, span.first)
    positions = held.positions[-tokens:]
    seen = sight.mask(positions, held.positions).sum(dim=1)
    query = neurons(rotate(projected.query, span.angles), "query", seen[:, None, None])
    heads = attend(query, positions, held, sight)
    return heads, held.keep(sight.still_seen(held.positions, span.first + tokens))


def merge(config: Config, weights: MixerWeights, branches: list[Tensor], neurons: Neurons) -> Tensor:
    """From heads' outputs to `[tokens, hidden]`. Separate projections: norms over the hidden size, after o. Shared ones: before o."""
    if weights.branch_norms is None:
        return _output(weights.projections[0], branches[0].flatten(1), neurons)
    if len(weights.projections) > 1:
        outs = [_output(projections, heads.flatten(1), neurons) for projections, heads in zip(weights.projections, branches, strict=True)]
        return torch.stack([rms_norm(out, norm, config.epsilon) for out, norm in zip(outs, weights.branch_norms, strict=True)]).sum(dim=0)
    shaped = [heads if config.branch_norm == "head" else heads.flatten(1) for heads in branches]
    normed = [rms_norm(heads, norm, config.epsilon).flatten(1) for heads, norm in zip(shaped, weights.branch_norms, strict=True)]
    return _output(weights.projections[0], torch.stack(normed).sum(dim=0), neurons)


def _output(projections: AttentionProjections, heads: Tensor, neurons: Neurons) -> Tensor:
    return project(projections.output, neurons(heads, "attention_out", outputs(projections.output)))


def project_heads(config: Config, projections: AttentionProjections, x: Tensor) -> Projected:
    """Of the normed residual `x`, `[tokens, hidden]`."""

    def heads(out: Tensor) -> Tensor:
        return out.reshape(x.shape[0], -1, config.head_dim)

    return Projected(heads(project(projections.query, x)), heads(project(projections.key, x)), heads(project(projections.value, x)))


def gate_logits(gate: GateProjections | None, x: Tensor, neurons: Neurons) -> Tensor | None:
    """The learned gate's `z`, `[tokens, kv_heads * head_dim]`."""
    if gate is None:
        return None
    if gate.low_rank is not None:
        x = neurons(project(gate.low_rank, x), "gate_in", outputs(gate.full))
    return project(gate.full, x)


def _fan_out(weights: MixerWeights) -> int:
    first_gate = None if weights.gate is None else weights.gate.low_rank or weights.gate.full
    queries_keys_values = [part for one in weights.projections for part in (one.query, one.key, one.value)]
    evicted = () if weights.evicted is None else (weights.evicted.mix, weights.evicted.correction)
    return outputs(*queries_keys_values, first_gate, *evicted)
