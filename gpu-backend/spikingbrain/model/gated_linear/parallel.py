"""The parallel form: one masked product of all pairs of tokens. Memory grows with the square of the run."""

import torch
from torch import Tensor

from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.precision import widest


def parallel(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
    """`o_t = (q_t * exp(G_t)) S_in + sum over s <= t of (sum over i of q_ti k_si exp(G_ti - G_si)) v_s`, where `G_t` sums the log-gates up
    to token `t`, and `S_out = diag(exp(G_T)) S_in + sum over s of (k_s * exp(G_T - G_s)) v_s^T`
    (`gpu-backend/docs/model.md#45-chunked-form`).

    Shapes as for `naive`. Every exponent is a difference that is at most 0, so nothing overflows however closed the gates are.
    """
    tokens = x.keys.shape[0]
    # Far tokens' sums are large and their differences small: f64 keeps the digits that f32 would lose.
    sums = x.log_gates.to(widest(x.log_gates.device)).cumsum(dim=0)
    later = torch.ones(tokens, tokens, dtype=torch.bool, device=sums.device).triu(diagonal=1)
    # [t, s, kv_heads, dim]; what is masked is masked before exp, where it could be infinite.
    decay = (sums[:, None] - sums[None, :]).masked_fill(later[:, :, None, None], float("-inf")).exp().to(x.keys.dtype)
    scores = torch.einsum("tngi,sni,tsni->tngs", x.grouped_queries, x.keys, decay)
    from_start = sums.exp().to(x.keys.dtype)
    outputs = torch.einsum("tngs,snj->tngj", scores, x.values)
    outputs = outputs + torch.einsum("tngi,tni,nij->tngj", x.grouped_queries, from_start, state)
    state = from_start[-1][:, :, None] * state + torch.einsum("sni,sni,snj->nij", x.keys, decay[-1], x.values)
    return outputs.reshape(x.queries.shape), state
