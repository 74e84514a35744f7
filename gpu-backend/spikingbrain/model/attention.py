"""Softmax attention: full, or a sliding window, with sinks (`gpu-backend/docs/model.md#5-softmax-attention`)."""

import torch
from torch import Tensor

from spikingbrain.precision import accumulator
from spikingbrain.state.key_values import KeyValues
from spikingbrain.state.sight import Sight


def attend(queries: Tensor, positions: Tensor, held: KeyValues, sight: Sight) -> Tensor:
    """Queries `[tokens, heads, head_dim]` at `positions`, `[tokens]`, over keys and values that include theirs. Scale `head_dim ** -0.5`,
    sums in f32 or wider. Returns the shape and type of the queries."""
    tokens, _, dim = queries.shape
    keys, values = held.dense(accumulator(queries.dtype))
    grouped = queries.to(keys.dtype).reshape(tokens, keys.shape[1], -1, dim)
    scores = torch.einsum("tngd,snd->tngs", grouped, keys) * dim**-0.5
    seen = sight.mask(positions, held.positions)
    weights = scores.masked_fill(~seen[:, None, None, :], float("-inf")).softmax(dim=-1)
    return torch.einsum("tngs,snd->tngd", weights, values).reshape(queries.shape).to(queries.dtype)
