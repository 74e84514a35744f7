"""What linear attention reads, and how projections become it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from spikingbrain.config import FeatureMap, LearnedGate, LinearAttention


@dataclass(frozen=True)
class Inputs:
    """Of a run of tokens."""

    queries: Tensor
    """`[tokens, heads, dim]`, after the feature map, scaled by `dim ** -0.5`."""
    keys: Tensor
    """`[tokens, kv_heads, dim]`, after the feature map."""
    values: Tensor
    """`[tokens, kv_heads, dim]`, as projected."""
    log_gates: Tensor
    """`[tokens, kv_heads, dim]`: natural log of the decay, at most 0."""

    @property
    def grouped_queries(self) -> Tensor:
        """`[tokens, kv_heads, group, dim]`: the query heads of a KV head side by side."""
        tokens, _, dim = self.queries.shape
        return self.queries.reshape(tokens, self.keys.shape[1], -1, dim)

    def part(self, start: int, stop: int) -> "Inputs":
        return Inputs(self.queries[start:stop], self.keys[start:stop], self.values[start:stop], self.log_gates[start:stop])


def prepare(linear: LinearAttention, queries: Tensor, keys: Tensor, values: Tensor, gate: Tensor | None) -> Inputs:
    """From projections, `[tokens, heads or kv_heads, dim]`; `gate` is the learned gate's `z`, `[tokens, kv_heads, dim]`."""
    return Inputs(
        queries=feature_map(linear.feature_map, queries) * queries.shape[-1] ** -0.5,
        keys=feature_map(linear.feature_map, keys),
        values=values,
        log_gates=log_gates(linear, keys, gate),
    )


def feature_map(kind: FeatureMap, x: Tensor) -> Tensor:
    return torch.relu(x) if kind == "relu" else torch.sigmoid(x)


def log_gates(linear: LinearAttention, keys: Tensor, gate: Tensor | None) -> Tensor:
    """`keys` before the feature map."""
    if isinstance(linear.gate, LearnedGate):
        if gate is None:
            raise ValueError("gate must be given for a learned gate; it is None")
        return logsigmoid(gate) / linear.gate.normalizer
    # ln(1 - sigmoid(x)) without the cancellation.
    return logsigmoid(-keys)
