"""Evicted tokens that stay exact: per KV head the few with the greatest claims, whose keys have no rotation.

A token's claim is its salience `u k`, learned, plus `ln 2 / half-life` for each position, so that a claim halves against those of later
tokens: which tokens are held at a query follows from the text alone, however it was cut.
"""

import heapq
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import Config, EvictedTokens
from spikingbrain.model.key_values import Rows, join_rows, take_heads, to_dense
from spikingbrain.precision import accumulator
from spikingbrain.spike.key_value_codes import Int8Rows, quantise_rows
from spikingbrain.spike.modes import INT8_KEY_VALUES


@dataclass(frozen=True)
class Salient:
    """Slot by slot, as many for every KV head."""

    keys: Rows
    """`[slots, kv_heads, head_dim]`, not rotated."""
    values: Rows
    """As keys."""
    salience: Tensor
    """`[slots, kv_heads]`, f32 or wider."""
    positions: Tensor
    """`[slots, kv_heads]`, int64."""

    @staticmethod
    def empty(config: Config, dtype: torch.dtype, device: torch.device) -> "Salient":
        nothing = torch.zeros(0, config.kv_heads, config.head_dim, dtype=dtype, device=device)
        rows: Rows = quantise_rows(nothing) if INT8_KEY_VALUES[config.spiking.mode] else nothing
        salience = torch.zeros(0, config.kv_heads, dtype=accumulator(dtype), device=device)
        return Salient(rows, rows, salience, torch.zeros(0, config.kv_heads, dtype=torch.int64, device=device))

    def joined(self, keys: Tensor, values: Rows, salience: Tensor, first: int) -> "Salient":
        """With evicted tokens at positions `first` and on behind the slots, `[tokens, kv_heads, head_dim]` and `[tokens, kv_heads]`."""
        positions = torch.arange(first, first + salience.shape[0], device=self.positions.device)[:, None].expand(salience.shape)
        new_keys: Rows = quantise_rows(keys) if isinstance(self.keys, Int8Rows) else keys.to(self.keys.dtype)
        return Salient(
            join_rows(self.keys, new_keys),
            join_rows(self.values, values),
            torch.cat([self.salience, salience]),
            torch.cat([self.positions, positions]),
        )

    def take(self, slots: Tensor) -> "Salient":
        """`slots` is `[slots, kv_heads]`, indices per KV head."""
        return Salient(
            take_heads(self.keys, slots), take_heads(self.values, slots), self.salience.gather(0, slots), self.positions.gather(0, slots)
        )

    def dense(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """`[slots, kv_heads, head_dim]` each."""
        return to_dense(self.keys, dtype), to_dense(self.values, dtype)


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
        goes = torch.tensor([tokens + 1 if turn is None else 0 if turn == 0 else tokens - leaving + turn for turn in left])
        at = torch.arange(tokens)[:, None]
        seen.append((at >= joins) & (at < goes))
        slots.append(torch.tensor(own, dtype=torch.int64))
    device = claims.device
    return Recall(candidates, torch.stack(seen, dim=1).to(device)), candidates.take(torch.stack(slots, dim=1).to(device))


def _hold(claims: list[float], positions: list[int], held: int, most: int) -> tuple[list[int | None], list[int]]:
    """One KV head's candidates, the first `held` of which have slots. Returns for each when it goes, and which candidate has each slot in
    the end: it goes with the turn of the candidate that takes its place, counted from 1, or never (None); at 0 if it gets none."""
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
