"""Which evicted tokens stay exact, for whole segments in blocks of queries. Its definition is `model/evicted/salient.py`."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from spikingbrain.convert.trunk.reach import BLOCK_TOKENS, Reach


@dataclass(frozen=True)
class Rows:
    """Tokens that are salient or may become so: first those of the slots, each KV head its own; then a run of the text, in order."""

    keys: Tensor
    """`[rows, kv_heads, head_dim]`, not rotated."""
    values: Tensor
    claims: Tensor
    """`[rows, kv_heads]` f64; minus infinity for what is always seen."""
    slots: int
    first: int
    """Position of the first row behind the slots."""

    @staticmethod
    def empty(kv_heads: int, head_dim: int, dtype: torch.dtype) -> "Rows":
        nothing = torch.zeros(0, kv_heads, head_dim, dtype=dtype)
        return Rows(nothing, nothing, torch.zeros(0, kv_heads, dtype=torch.float64), 0, 0)

    def extended(self, keys: Tensor, held: Tensor, values: Tensor, salience: Tensor, first: int, reach: Reach) -> "Rows":
        """With a segment that begins at position `first`, whose keys are held as `held`; `salience` is `[kv_heads, head_dim]`."""
        positions = torch.arange(first, first + keys.shape[0])[:, None]
        with torch.no_grad():
            claims = torch.einsum("tnd,nd->tn", keys.float(), salience).double() + positions * (math.log(2) / reach.salience_half_life)
        claims = claims.masked_fill(positions < reach.kept, float("-inf"))
        joined = torch.cat([self.keys, held]), torch.cat([self.values, values]), torch.cat([self.claims, claims])
        return Rows(*joined, slots=self.slots, first=self.first)

    def evicted(self, position: int, window: int) -> int:
        """How many leading rows have left the window of the query at `position`."""
        return min(max(self.slots + position - window - self.first + 1, self.slots), self.claims.shape[0])

    def best(self, position: int, reach: Reach) -> Tensor:
        """Those that the query at `position` sees exactly, `[at most salient, kv_heads]`."""
        evicted = self.evicted(position, reach.window)
        return self.claims[:evicted].topk(min(reach.salient, evicted), dim=0).indices

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of `[..., kv_heads]` rows, each head its own."""
        heads = torch.arange(self.claims.shape[1])
        return self.keys[rows, heads], self.values[rows, heads]

    def for_next(self, position: int, reach: Reach) -> "Rows":
        """What a segment that begins at `position` needs of this."""
        best, evicted = self.best(position, reach), self.evicted(position, reach.window)
        waiting = torch.arange(evicted, self.claims.shape[0])[:, None].expand(-1, self.claims.shape[1])
        rows = torch.cat([best, waiting])
        keys, values = self.take(rows)
        return Rows(keys.detach(), values.detach(), self.claims.gather(0, rows), best.shape[0], self.first + evicted - self.slots)


@dataclass(frozen=True)
class Recalled:
    """Keys and values that blocks of queries may see beside the window, from the first block on in which something has left it."""

    skipped: int
    """Blocks before that one."""
    keys: Tensor
    """`[blocks, kv_heads, candidates, head_dim]`"""
    values: Tensor
    seen: Tensor
    """`[blocks, kv_heads, BLOCK_TOKENS, candidates]`, true where the query sees the candidate."""


def recall(rows: Rows, first: int, tokens: int, reach: Reach) -> Recalled | None:
    """For a segment at position `first`, whose own tokens are the last of `rows`; None where nothing has left."""
    chosen, seen = [], []
    blocks = range(first, first + tokens, BLOCK_TOKENS)
    for block in blocks:
        before, until = rows.evicted(block, reach.window), rows.evicted(block + BLOCK_TOKENS - 1, reach.window)
        if until == 0:
            continue
        leaving = torch.arange(before, until)[:, None].expand(-1, rows.claims.shape[1])
        candidates = torch.cat([rows.best(block, reach), leaving])
        claims, order = rows.claims.gather(0, candidates).sort(dim=0, descending=True)
        candidates = candidates.gather(0, order)
        leaves = torch.where(candidates < rows.slots, first, rows.first + candidates - rows.slots + reach.window)
        gone = leaves <= torch.arange(block, block + BLOCK_TOKENS)[:, None, None]
        held = gone & (gone.cumsum(dim=1) <= reach.salient) & (claims > float("-inf"))
        padding = (0, 0, 0, reach.salient + BLOCK_TOKENS - candidates.shape[0])
        seen.append(pad(held, padding).permute(2, 0, 1))
        chosen.append(pad(candidates, padding))
    if not chosen:
        return None
    keys, values = rows.take(torch.stack(chosen))
    return Recalled(len(blocks) - len(chosen), keys.transpose(1, 2), values.transpose(1, 2), torch.stack(seen))
