"""The choice itself, for many rows at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from spikingbrain.sampling.adjust import Row, adjusted, forbid_stops, placed
from spikingbrain.sampling.draws import uniform
from spikingbrain.sampling.exponential import exponential
from spikingbrain.sampling.settings import Sampling, f32

NONE = -1
"""In the place of a token: the logits are not finite, or every token is forbidden."""
MOST_NUMBERS = 2**21
"""Of rows that are drawn together: some 100 MB of temporary memory."""
_NEAR = (4.0, 8.0, 16.0)


def choose(rows: Sequence[Row], logits: Tensor) -> Tensor:
    """Tokens after each row's text, `[rows]` int64, by the model's own logits, `[rows, vocabulary]` f32. Text and settings must be of
    this vocabulary (`Sampling.check`)."""
    logits = torch.where(logits.isnan(), float("-inf"), logits)
    forbid_stops(rows, logits)
    logits = adjusted(rows, logits)
    together, vocabulary = max(1, MOST_NUMBERS // logits.shape[1]), logits.shape[1]
    chosen = torch.zeros(len(rows), dtype=torch.int64, device=logits.device)
    for form in (_greedy, _drawn_from_all, _drawn_from_best):
        own = [row for row, (sampling, _) in enumerate(rows) if _form(sampling, vocabulary) == form]
        for start in range(0, len(own), together):
            part = own[start : start + together]
            at = placed(part, torch.int64, logits)
            chosen[at] = form([rows[row] for row in part], logits[at])
    found = logits.gather(1, chosen[:, None])[:, 0]
    return torch.where(found.isfinite() & logits.amax(dim=1).isfinite(), chosen, NONE)


def _form(sampling: Sampling, vocabulary: int) -> object:
    if sampling.is_greedy:
        return _greedy
    return _drawn_from_best if sampling.top_p < 1.0 or _has_few(sampling, vocabulary) else _drawn_from_all


def _has_few(sampling: Sampling, vocabulary: int) -> bool:
    return 0 < sampling.top_k < vocabulary


def _greedy(rows: Sequence[Row], logits: Tensor) -> Tensor:
    return _order(logits).argmax(dim=1)


def _drawn_from_all(rows: Sequence[Row], logits: Tensor) -> Tensor:
    return _drawn(rows, exponential(_exponents(rows, logits)).to(torch.float64))


def _drawn_from_best(rows: Sequence[Row], logits: Tensor) -> Tensor:
    """Top-k, then top-p among those."""
    exponents, vocabulary = _exponents(rows, logits), logits.shape[1]
    few = placed([[_has_few(sampling, vocabulary)] for sampling, _ in rows], torch.bool, logits)
    top_k = placed([[sampling.top_k] for sampling, _ in rows], torch.int64, logits)
    top_p = placed([[sampling.top_p] for sampling, _ in rows], torch.float64, logits)
    total, near = _nucleus(exponents, top_p)
    counts = torch.where(few, top_k, near)
    # An order without equals: of equal logits the one with the smaller id is the better.
    ids = torch.arange(vocabulary, device=logits.device)
    keys = _order(logits).to(torch.int64) * 2**32 + (2**32 - 1 - ids)
    best = keys.topk(max(1, int(counts.max())), dim=1).indices
    places = torch.arange(best.shape[1], device=logits.device)
    weights = torch.where(places < counts, exponential(exponents.gather(1, best)).to(torch.float64), 0.0)
    sums = weights.cumsum(dim=1)
    reached = sums >= top_p * torch.where(few, sums[:, -1:], total)
    # Up to the token with which the sum reaches top-p.
    kept = (top_p >= 1.0) | (reached.cumsum(dim=1) - reached.to(torch.int64) == 0)
    return best.gather(1, _drawn(rows, torch.where(kept, weights, 0.0))[:, None])[:, 0]


def _nucleus(exponents: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
    """The weight of all tokens, `[rows, 1]` f64, and how many lie close enough to the best to hold `top_p` of it, `[rows, 1]`."""
    weights = exponential(exponents).to(torch.float64)
    total = weights.cumsum(dim=1)[:, -1:]
    count = torch.full_like(total, exponents.shape[1], dtype=torch.int64)
    for reach in reversed(_NEAR):
        near = exponents >= -reach
        enough = torch.where(near, weights, 0.0).cumsum(dim=1)[:, -1:] >= top_p * total
        count = torch.where(enough, near.sum(dim=1, keepdim=True), count)
    return total, count


def _exponents(rows: Sequence[Row], logits: Tensor) -> Tensor:
    """How far below the largest, by temperature. A division, because the inverse of a tiny temperature is infinite."""
    temperature = placed([[f32(sampling.temperature)] for sampling, _ in rows], torch.float32, logits)
    largest = logits.amax(dim=1, keepdim=True)
    # A row without a largest number gets no token: its numbers must only not be in the way.
    return torch.where(largest.isfinite(), (logits - largest) / temperature, float("-inf"))


def _drawn(rows: Sequence[Row], weights: Tensor) -> Tensor:
    """One draw of each row's weights, `[rows, tokens]` f64, the best of which is 1: places, `[rows]`. Sums are made token by token, where
    the device does so, as CPUs do."""
    min_p = placed([[f32(sampling.min_p)] for sampling, _ in rows], torch.float64, weights)
    weights = torch.where(weights >= min_p, weights, 0.0)
    draws = placed([[uniform(sampling.seed, tally.generated)] for sampling, tally in rows], torch.float64, weights)
    left = draws * weights.cumsum(dim=1)[:, -1:]
    passed = torch.cat([left, -weights], dim=1).cumsum(dim=1)[:, 1:] < 0.0
    last = weights.shape[1] - 1 - (weights > 0.0).to(torch.int8).flip(dims=[1]).argmax(dim=1)
    return torch.where(passed.any(dim=1), passed.to(torch.int8).argmax(dim=1), last)


def _order(logits: Tensor) -> Tensor:
    """f32 as int32 in the same, total, order: a positive zero is above a negative one."""
    bits = logits.contiguous().view(torch.int32)
    return bits ^ (bits >> 31 & 0x7FFF_FFFF)
