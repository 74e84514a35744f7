"""The chunked form: all pairs of a chunk at once, sums from chunk to chunk. What prompts are read with."""

import torch
from torch import Tensor

from spikingbrain.model.evicted.inputs import Inputs

CHUNK_TOKENS = 64


def chunk(x: Inputs, sums: Tensor, chunk_tokens: int = CHUNK_TOKENS) -> tuple[Tensor, Tensor]:
    """Shapes as for `naive`; the last chunk may be short."""
    outputs = []
    for start in range(0, x.keys.shape[0], chunk_tokens):
        output, sums = _chunk(x.part(start, start + chunk_tokens), sums)
        outputs.append(output)
    return torch.cat(outputs), sums


def _chunk(x: Inputs, sums: Tensor) -> tuple[Tensor, Tensor]:
    """With `g` the decay and queries `t`, leaving tokens `s` counted within the chunk of `C`:

    `out_t = g^t q_t S + sum over s < t of g^(t-1-s) (q_t k_s) [v_s, 1]`, `S' = g^C S + sum over s of g^(C-1-s) k_s [v_s, 1]^T`.
    """
    tokens = x.keys.shape[0]
    at = torch.arange(tokens, dtype=x.log_decay.dtype, device=x.log_decay.device)
    rate = x.log_decay[:, None]
    since = at[:, None] - 1 - at
    decay = torch.where(since >= 0, (rate[..., None] * since.clamp(min=0)).exp(), 0.0)
    scores = torch.einsum("tngf,snf,nts->tngs", x.grouped_queries, x.keys, decay)
    near = torch.einsum("tngs,snd->tngd", scores, x.values)
    far = torch.einsum("tngf,nfd,nt->tngd", x.grouped_queries, sums, (rate * at).exp())
    to_end = (rate * (tokens - 1 - at)).exp()
    added = torch.einsum("snf,snd,ns->nfd", x.keys, x.values, to_end)
    return (near + far).flatten(1, 2), (rate * tokens).exp()[..., None] * sums + added
