"""Softmax attention in parts: each gives its outputs and the log of its sum of exponentials, which is all that joining them needs."""

import torch
from torch import Tensor


def attend(query: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Queries `[..., tokens, heads, dim]` over `[..., keys, kv_heads, dim]`, all f32; `seen` is `[..., tokens, keys]`. Scale `dim ** -0.5`.
    Returns `[..., tokens, heads, dim]` and the natural log of the sums, `[..., tokens, heads]`, minus infinity where nothing is seen."""
    grouped = query.reshape(*query.shape[:-2], keys.shape[-2], -1, query.shape[-1])
    scores = torch.einsum("...tngd,...snd->...tngs", grouped, keys) * query.shape[-1] ** -0.5
    scores = scores.masked_fill(~seen[..., :, None, None, :], float("-inf"))
    logs = scores.logsumexp(dim=-1)
    weights = (scores - logs.clamp(min=torch.finfo(logs.dtype).min)[..., None]).exp()
    out = torch.einsum("...tngs,...snd->...tngd", weights, values)
    return out.flatten(-3, -2), logs.flatten(-2)


def merge(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """Of the results of `attend` over two sets of keys, what one softmax over both gives. One of them must see something."""
    (out, logs), (other, other_logs) = first, second
    joined = torch.logaddexp(logs, other_logs)
    return out * (logs - joined).exp()[..., None] + other * (other_logs - joined).exp()[..., None]
