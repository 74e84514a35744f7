"""Gated linear attention of a long prompt in torch: the chunked form of `spikingbrain.model.gated_linear`, many chunks at a time. What
is left to go one by one is the state from chunk to chunk, which costs no product."""

import torch
from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.precision import widest
from torch import Tensor
from torch.nn.functional import pad

CHUNK_TOKENS = 16
SPAN_TOKENS = 512
"""Read at a time: bounds memory, and changes nothing else."""


def spans(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
    """Shapes as for `naive`."""
    outputs = []
    for start in range(0, x.keys.shape[0], SPAN_TOKENS):
        output, state = _span(x.part(start, start + SPAN_TOKENS), state)
        outputs.append(output)
    return torch.cat(outputs), state


def _span(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
    """With `n` chunks of tokens `t`, `s`, KV heads `g`, query heads `r` of each, channels `i` of keys and `j` of values. Tokens that fill
    the last chunk have no keys and keep the state as it is. Every exponent is a difference that is at most 0."""
    tokens = x.keys.shape[0]
    keys, values, gates = (_chunks(part) for part in (x.keys, x.values, x.log_gates))
    queries = _chunks(x.grouped_queries)
    sums = gates.to(widest(gates.device)).cumsum(dim=1)
    later = torch.ones(CHUNK_TOKENS, CHUNK_TOKENS, dtype=torch.bool, device=sums.device).triu(diagonal=1)
    between = (sums[:, :, None] - sums[:, None]).to(keys.dtype).masked_fill(later[None, :, :, None, None], float("-inf")).exp()
    scores = torch.einsum("ntgri,ntsgi->ntgrs", queries, between * keys[:, None])
    near = torch.einsum("ntgrs,nsgj->ntgrj", scores, values)
    added = torch.einsum("nsgi,nsgj->ngij", keys * (sums[:, -1:] - sums).to(keys.dtype).exp(), values)
    kept = sums[:, -1].to(keys.dtype).exp()[..., None]
    begins = []
    for chunk_kept, chunk_added in zip(kept, added, strict=True):
        begins.append(state)
        state = chunk_kept * state + chunk_added
    far = torch.einsum("ntgri,ngij->ntgrj", queries * sums.to(keys.dtype).exp()[:, :, :, None], torch.stack(begins))
    return (near + far).flatten(0, 1)[:tokens].reshape(x.queries.shape), state


def _chunks(part: Tensor) -> Tensor:
    """`[tokens, …]` as `[chunks, tokens of one, …]`, filled with zeros."""
    missing = -part.shape[0] % CHUNK_TOKENS
    filled = pad(part, (*[0, 0] * (part.dim() - 1), 0, missing)) if missing else part
    return filled.reshape(-1, CHUNK_TOKENS, *part.shape[1:])
