"""Gated linear attention for training: all chunks of a run at once, products in the trunk's type, sums in f32.

Its definition is `model/gated_linear/naive.py`. Decays are exponents of differences that are at most 0
(`gpu-backend/docs/model.md#45-chunked-form`): taken apart into `exp(G_t)` and `exp(-G_s)` they overflow where a gate is nearly closed, as
the tied gate of the 76B is, and gradients become NaN.
"""

import torch
from torch import Tensor

from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.model.span import LinearForm

# Decays of all pairs of a chunk are in memory, per key channel: a longer chunk costs more than the fewer states save.
CHUNK_TOKENS = 16


def gated_sums(dtype: torch.dtype) -> LinearForm:
    """The form whose products are in `dtype`; see `naive` for shapes, which are f32 on either side."""

    def form(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
        tokens = x.keys.shape[0]
        padding = -tokens % CHUNK_TOKENS

        def chunked(part: Tensor) -> Tensor:
            """`[tokens, kv_heads, ...]` to `[chunks, kv_heads, CHUNK_TOKENS, ...]`; what is padded adds nothing and decays nothing."""
            padded = torch.cat([part, part.new_zeros(padding, *part.shape[1:])])
            return torch.unflatten(padded, 0, (-1, CHUNK_TOKENS)).transpose(1, 2)

        queries, keys, values = chunked(x.grouped_queries), chunked(x.keys), chunked(x.values).to(dtype)
        sums = chunked(x.log_gates).cumsum(dim=2)
        from_start, to_end, whole = sums.exp(), (sums[:, :, -1:] - sums).exp(), sums[:, :, -1].exp()
        near = _scores(queries.to(dtype), keys, sums) @ values
        added = (keys * to_end).to(dtype).transpose(-1, -2) @ values
        before = []
        for decay, more in zip(whole.unbind(0), added.float().unbind(0), strict=True):
            before.append(state)
            state = decay[:, :, None] * state + more
        decayed = (queries * from_start[:, :, :, None]).to(dtype).flatten(2, 3)
        out = near.float() + (decayed @ torch.stack(before).to(dtype)).float()
        # [chunks, kv_heads, CHUNK_TOKENS * group, dim] back to [tokens, heads, dim].
        out = torch.unflatten(out, 2, (CHUNK_TOKENS, -1)).transpose(1, 2).flatten(0, 1)
        return out[:tokens].reshape(x.queries.shape), state

    return form


def _scores(queries: Tensor, keys: Tensor, sums: Tensor) -> Tensor:
    """Of the pairs of each chunk, `[chunks, kv_heads, CHUNK_TOKENS * group, CHUNK_TOKENS]`, in the type of `queries`."""
    tokens = sums.shape[2]
    later = torch.ones(tokens, tokens, dtype=torch.bool, device=sums.device).triu(diagonal=1)
    # What is masked is masked before exp, where it could be infinite.
    decay = (sums[:, :, :, None] - sums[:, :, None]).masked_fill(later[:, :, None], float("-inf")).exp()
    decayed = (keys[:, :, None] * decay).to(queries.dtype)
    return (queries @ decayed.transpose(-1, -2)).flatten(2, 3)
