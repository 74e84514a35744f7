"""Evicted tokens that stay exact: per KV head the few with the greatest claims, whose keys have no rotation.

A token's claim is its salience `u k`, learned, plus `ln 2 / half-life` for each position, so that a claim halves against those of later
tokens: which tokens are held at a query follows from the text alone, however it was cut.
"""

import heapq
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import EvictedTokens
from spikingbrain.state.key_values import Rows
from spikingbrain.state.salient import Salient


@dataclass(frozen=True)
class Recall:
    """What the queries of a run see of salient tokens."""

    candidates: Salient
    """Those held before the run, then all that leave within it."""
    seen: Tensor
    """`[tokens, kv_heads, candidates]`, true where the query sees the candidate."""


def recall(
    salient: Salient, evicted: EvictedTokens, tokens: int, keys: Tensor, values: Rows, salience: Tensor, first: int
) -> tuple[Recall, Salient]:
    """For a run of `tokens` queries of which the last few evict: `keys`, `values` and `salience` are those of the tokens that leave after
    them, from position `first` on. Returns also the slots for the next query."""
    candidates = salient.joined(keys, values, salience, first)
    held, leaving = salient.salience.shape[0], salience.shape[0]
    rate = math.log(2) / evicted.salience_half_life
    claims = candidates.salience.double() + rate * candidates.positions.double()
    seen, slots = [], []
    for head in range(claims.shape[1]):
        left, own = _hold(claims[:, head].tolist(), candidates.positions[:, head].tolist(), held, evicted.salient)
        # A token that leaves after a query is seen from the next one on.
        joins = torch.tensor([0] * held + list(range(tokens - leaving + 1, tokens + 1)))
        goes = torch.tensor([tokens + 1 if rank is None else 0 if rank == 0 else tokens - leaving + rank for rank in left])
        at = torch.arange(tokens)[:, None]
        seen.append((at >= joins) & (at < goes))
        slots.append(torch.tensor(own, dtype=torch.int64))
    device = claims.device
    return Recall(candidates, torch.stack(seen, dim=1).to(device)), candidates.take(torch.stack(slots, dim=1).to(device))


def _hold(claims: list[float], positions: list[int], held: int, most: int) -> tuple[list[int | None], list[int]]:
    """One KV head's candidates, the first `held` of which have slots. Returns for each when it goes, and which candidate has each slot in
    the end: it goes when the candidate that takes its place joins, whose rank is counted from 1, or never (None); at 0 if it gets none."""
    goes: list[int | None] = [None] * len(claims)
    slots = list(range(held))
    slot_of = dict(zip(slots, slots, strict=True))
    heap = [(claims[one], positions[one], one) for one in slots]
    heapq.heapify(heap)
    for one in range(held, len(claims)):
        entry = (claims[one], positions[one], one)
        if len(heap) < most:
            heapq.heappush(heap, entry)
            slot_of[one] = len(slots)
            slots.append(one)
            continue
        least = heapq.heappushpop(heap, entry)[2]
        if least == one:
            goes[one] = 0
            continue
        goes[least] = one - held + 1
        slot_of[one] = slot_of.pop(least)
        slots[slot_of[one]] = one
    return goes, slots
