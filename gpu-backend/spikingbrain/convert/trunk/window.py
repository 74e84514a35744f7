"""Windowed softmax attention over a whole segment in blocks, and what it recalls beside, with the log of its normaliser."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from spikingbrain.convert.trunk.key_sets import KeySet, attend_both
from spikingbrain.convert.trunk.reach import BLOCK_TOKENS, Reach
from spikingbrain.convert.trunk.salient import Recalled


@dataclass(frozen=True)
class Held:
    """Of the last `window` positions before a segment and of the kept ones; zeros where the text has not begun. Keys are rotated."""

    keys: Tensor
    """`[window, kv_heads, head_dim]`"""
    values: Tensor
    sink_keys: Tensor
    """`[kept, kv_heads, head_dim]`"""
    sink_values: Tensor


@dataclass(frozen=True)
class Asked:
    """What a segment recalls, and its queries as they meet that."""

    query: Tensor
    """`[tokens, heads, head_dim]`"""
    recalled: Recalled


def window_attention(
    query: Tensor, key: Tensor, value: Tensor, held: Held, first: int, reach: Reach, asked: Asked | None = None
) -> tuple[Tensor, Tensor]:
    """Rotated `[tokens, heads or kv_heads, head_dim]` at positions `first` and on. Returns the heads, `[tokens, heads, head_dim]`, and the
    natural log of each softmax's normaliser, `[tokens, heads]` f32, through which no gradient flows. A capped segment's heads leave out the
    kept tokens."""
    tokens, heads, dim = query.shape
    capped = reach.capped(first, tokens)
    if capped and (query.requires_grad or first == 0):
        raise ValueError(f"first segments and training must end at position {reach.sink_cap} at most; this ends at {first + tokens - 1}")
    kv_heads = key.shape[1]
    blocks = -(-tokens // BLOCK_TOKENS)
    padding = blocks * BLOCK_TOKENS - tokens
    sinks = (held.sink_keys, held.sink_values)
    near = [
        _near(before, now, sink, padding, blocks, reach.window)
        for before, now, sink in zip((held.keys, held.values), (key, value), sinks, strict=True)
    ]
    mask = _mask(first, blocks, reach, heads // kv_heads, query.dtype, capped)
    window = KeySet(_in_blocks(query, blocks, kv_heads), near[0], near[1], mask)
    out, normaliser = attend_both(window, None if asked is None else _recalled(asked, blocks, kv_heads))
    shape = (blocks, kv_heads, heads // kv_heads, BLOCK_TOKENS)
    out = out.view(*shape, dim).permute(0, 3, 1, 2, 4).reshape(-1, heads, dim)[:tokens]
    return out, normaliser.view(shape).permute(0, 3, 1, 2).reshape(-1, heads)[:tokens]


def _in_blocks(query: Tensor, blocks: int, kv_heads: int) -> Tensor:
    """`[blocks, kv_heads, group * block, head_dim]`"""
    padding = blocks * BLOCK_TOKENS - query.shape[0]
    shape = (blocks, BLOCK_TOKENS, kv_heads, -1, query.shape[-1])
    return pad(query, (0, 0, 0, 0, 0, padding)).view(shape).permute(0, 2, 3, 1, 4).flatten(2, 3)


def _recalled(asked: Asked, blocks: int, kv_heads: int) -> KeySet:
    recalled, query = asked.recalled, asked.query
    group = query.shape[1] // kv_heads
    seen = recalled.seen.repeat(1, 1, group, 1)
    mask = torch.zeros(seen.shape, dtype=query.dtype).masked_fill_(~seen, float("-inf"))
    return KeySet(_in_blocks(query, blocks, kv_heads)[recalled.skipped :], recalled.keys, recalled.values, mask)


def merge_sinks(out: Tensor, normaliser: Tensor, query: Tensor, held: Held) -> tuple[Tensor, Tensor]:
    """Adds the kept tokens to attention that did not see them; `query` is rotated to where the kept tokens see it."""
    tokens, heads, dim = query.shape
    kv_heads = held.sink_keys.shape[1]
    grouped = query.view(tokens, kv_heads, -1, dim).float()
    scores = torch.einsum("tngd,snd->tngs", grouped, held.sink_keys.float()).reshape(tokens, heads, -1) * dim**-0.5
    total = torch.logsumexp(torch.cat([scores, normaliser[..., None]], dim=-1), dim=-1)
    weights = (scores - total[..., None]).exp().view(tokens, kv_heads, heads // kv_heads, -1)
    sinks = torch.einsum("tngs,snd->tngd", weights, held.sink_values.float()).reshape(out.shape)
    return (out.float() * (normaliser - total).exp()[..., None] + sinks).to(out.dtype), total


def _near(before: Tensor, now: Tensor, sinks: Tensor, padding: int, blocks: int, window: int) -> Tensor:
    """`[blocks, kv_heads, kept + window + block, head_dim]`"""
    run = pad(torch.cat([before, now]), (0, 0, 0, 0, 0, padding)).unfold(0, window + BLOCK_TOKENS, BLOCK_TOKENS)
    return torch.cat([sinks.transpose(0, 1).expand(blocks, -1, -1, -1), run.transpose(2, 3)], dim=2)


_masks: dict[tuple[object, ...], Tensor] = {}


def _mask(first: int, blocks: int, reach: Reach, group: int, dtype: torch.dtype, capped: bool) -> Tensor:
    """0 or minus infinity, `[blocks, 1, group * block, kept + window + block]`. Beyond the beginning all segments have the same."""
    settled = first >= reach.window + reach.kept
    name = ("settled" if settled else first, blocks, reach, group, dtype, capped)
    if name not in _masks:
        start = (reach.window + reach.kept if settled else first) + torch.arange(blocks)[:, None, None] * BLOCK_TOKENS
        at = start + torch.arange(BLOCK_TOKENS)[:, None]
        key = start - reach.window + torch.arange(reach.window + BLOCK_TOKENS)
        near = (key >= reach.kept) & (key <= at) & (at - key < reach.window)
        kept = torch.arange(reach.kept).expand(blocks, BLOCK_TOKENS, -1) <= at
        if capped:
            kept = torch.zeros_like(kept)
        seen = torch.cat([kept, near], dim=-1).repeat(1, group, 1)[:, None]
        _masks[name] = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))
    return _masks[name]
