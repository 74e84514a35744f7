"""The recurrent form: the definition."""

import torch
from torch import Tensor

from spikingbrain.model.gated_linear.inputs import Inputs


def naive(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
    """`S_t = diag(a_t) S_{t-1} + k_t v_t^T`, `o_t = q_t S_t` (`gpu-backend/docs/model.md#41-the-recurrence`): the current token counts,
    undecayed.

    `state` is `[kv_heads, key dim, value dim]`, one for all query heads of a group. Returns `[tokens, heads, dim]` and the last state.
    """
    outputs = []
    for query, key, value, log_gate in zip(x.grouped_queries, x.keys, x.values, x.log_gates, strict=True):
        state = log_gate.exp()[:, :, None] * state + key[:, :, None] * value[:, None, :]
        outputs.append(query @ state)
    return torch.stack(outputs).reshape(x.queries.shape), state
