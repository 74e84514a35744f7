"""The recurrent form: the definition."""

import torch
from torch import Tensor

from spikingbrain.model.evicted.inputs import Inputs


def naive(x: Inputs, sums: Tensor) -> tuple[Tensor, Tensor]:
    """`[num, den]_t = phi_q(q_t) S_t`, then `S_{t+1} = g S_t + phi_k(k) [v, 1]^T` with the token that leaves after query `t`.

    `sums` is `[kv_heads, features, head_dim + 1]`, f32 or wider. Returns `[tokens, heads, head_dim + 1]` and the sums for the next query.
    """
    outputs = []
    decay = x.log_decay.exp()[:, None, None]
    for query, key, value in zip(x.grouped_queries, x.keys, x.values, strict=True):
        outputs.append((query @ sums).flatten(0, 1))
        sums = decay * sums + key[:, :, None] * value[:, None, :]
    return torch.stack(outputs), sums
