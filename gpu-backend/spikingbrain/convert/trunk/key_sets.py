"""Softmax attention over two sets of keys that meet differently rotated queries, as one softmax.

Each set is read by a fused kernel, whose outputs are joined by their normalisers. The kernel's backward pass takes the weights of its keys
from the normaliser it is given, and what they share in from the output: given those of the whole, it gives the whole's gradients.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class KeySet:
    """Keys and values, and the queries as they meet them."""

    query: Tensor
    """`[blocks, heads, queries, head_dim]`"""
    key: Tensor
    """`[blocks, heads, keys, head_dim]`"""
    value: Tensor
    mask: Tensor
    """0 or minus infinity, `[blocks or 1, heads or 1, queries, keys]`."""


def attend(keys: KeySet) -> tuple[Tensor, Tensor]:
    """Heads in the query's shape, and the natural log of the normaliser, f32; a query that sees nothing has zeros and minus infinity."""
    if keys.query.device.type != "cpu":
        return attend_plainly(keys)
    out, normaliser = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        keys.query, keys.key, keys.value, 0.0, False, attn_mask=keys.mask, scale=keys.query.shape[-1] ** -0.5
    )
    return out, normaliser


def attend_plainly(keys: KeySet) -> tuple[Tensor, Tensor]:
    """`attend` on any device, for queries that each see something."""
    scores = (keys.query @ keys.key.transpose(-1, -2)).float() * keys.query.shape[-1] ** -0.5 + keys.mask
    return scores.softmax(dim=-1).to(keys.value.dtype) @ keys.value, scores.logsumexp(dim=-1)


def attend_both(whole: KeySet, some: KeySet | None) -> tuple[Tensor, Tensor]:
    """`some` has queries, and keys, of the last blocks of `whole` only. Returns as `attend`; no gradient flows through the normaliser."""
    if some is None:
        out, normaliser = attend(whole)
        return out, normaliser.detach()
    joined, normaliser = _Joined.apply(whole.query, whole.key, whole.value, whole.mask, some.query, some.key, some.value, some.mask)  # type: ignore[no-untyped-call]
    return joined, normaliser


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        whole, some = KeySet(*tensors[:4]), KeySet(*tensors[4:])
        out, normaliser = attend(whole)
        other, other_normaliser = attend(some)
        sees = (some.mask == 0).any(dim=-1).expand(other_normaliser.shape)
        other_normaliser = torch.where(sees, other_normaliser, float("-inf"))
        skipped = out.shape[0] - other.shape[0]
        total = torch.logaddexp(normaliser[skipped:], other_normaliser)
        share, other_share = ((part - total).exp()[..., None] for part in (normaliser[skipped:], other_normaliser))
        mixed = out[skipped:].float() * share + torch.where(sees[..., None], other.float() * other_share, 0.0)
        out = torch.cat([out[:skipped], mixed.to(out.dtype)])
        normaliser = torch.cat([normaliser[:skipped], total])
        ctx.save_for_backward(*tensors, out, normaliser)
        ctx.mark_non_differentiable(normaliser)
        return out, normaliser

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        *tensors, out, normaliser = ctx.saved_tensors
        whole, some = KeySet(*tensors[:4]), KeySet(*tensors[4:])
        skipped = whole.query.shape[0] - some.query.shape[0]
        return (
            *_gradients(whole, gradient, out, normaliser),
            None,
            *_gradients(some, gradient[skipped:], out[skipped:], normaliser[skipped:]),
            None,
        )


def _gradients(keys: KeySet, gradient: Tensor, out: Tensor, normaliser: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        gradient.contiguous(),
        keys.query,
        keys.key,
        keys.value,
        out,
        normaliser,
        0.0,
        False,
        attn_mask=keys.mask,
        scale=keys.query.shape[-1] ** -0.5,
    )
    return query, key, value
