"""Spike codings (`gpu-backend/docs/model.md#82-codings`): a signed count as a train of spikes over time steps, and back, exactly.

| coding | spikes | steps for a largest magnitude `m` | step `t` of `T` is worth |
|---|---|---|---|
| `binary` | 0, 1 | `m` | 1 |
| `ternary` | -1, 0, 1 | `m` | 1 |
| `bitwise` | 0, 1 | `max(1, bits of m)` | `2^(T-1-t)` |
| `bidirectional` | -1, 0, 1 | as `bitwise` | as `bitwise` |
| `twos_complement` | 0, 1 | `max(2, bits of m + 1)` | as `bitwise`, the first step negative |

The most significant step comes first. `binary` and `bitwise` need counts that are not negative.
"""

from typing import Literal

import torch
from torch import Tensor

from spikingbrain.rules import require, require_count

Coding = Literal["binary", "ternary", "bitwise", "bidirectional", "twos_complement"]

UNSIGNED: frozenset[Coding] = frozenset({"binary", "bitwise"})
UNARY: frozenset[Coding] = frozenset({"binary", "ternary"})
MOST_BITS = 62


def steps_needed(counts: Tensor, coding: Coding) -> Tensor:
    """Steps for the largest magnitude of the last dimension, `[...]` int64: one number per token. Their largest is the tensor's."""
    largest = _whole(counts).abs().amax(dim=-1)
    if coding in UNARY:
        return largest
    bits = bit_length(largest)
    return (bits + 1).clamp(min=2) if coding == "twos_complement" else bits.clamp(min=1)


def bit_length(magnitudes: Tensor) -> Tensor:
    """Binary digits of non-negative int64 numbers; 0 for 0."""
    powers = 2 ** torch.arange(MOST_BITS + 1, device=magnitudes.device)
    return torch.bucketize(magnitudes, powers, right=True)


def encode(counts: Tensor, coding: Coding, steps: int | None = None) -> Tensor:
    """`[...]` whole numbers of any type as spikes, `[steps, ...]` int8. Without `steps` as many as the largest magnitude needs, at every
    call anew; more of them change nothing but leading silence (trailing for the unary codings), fewer are an error."""
    whole = _whole(counts)
    if coding in UNSIGNED:
        least = int(whole.min()) if whole.numel() > 0 else 0
        require(least >= 0, "counts", f"non-negative for the {coding} coding", least)
    needed = int(steps_needed(whole.reshape(1, -1), coding)) if whole.numel() > 0 else 1
    steps = needed if steps is None else require_count("steps", steps, least=needed)
    if coding in UNARY:
        times = torch.arange(steps, device=whole.device).reshape(-1, *[1] * whole.dim())
        return (whole.sign() * (times < whole.abs())).to(torch.int8)
    source = whole if coding == "twos_complement" else whole.abs()
    # The arithmetic shift of a negative number repeats its sign, which is what further two's-complement digits are.
    bits = (source >> _exponents(steps, whole)) & 1
    return (bits * whole.sign() if coding == "bidirectional" else bits).to(torch.int8)


def decode(spikes: Tensor, coding: Coding) -> Tensor:
    """`[steps, ...]` back to counts, `[...]` int64."""
    if coding in UNARY:
        return spikes.to(torch.int64).sum(dim=0)
    return (spikes.to(torch.int64) * step_worths(spikes.shape[0], coding, spikes[0])).sum(dim=0)


def step_worths(steps: int, coding: Coding, like: Tensor) -> Tensor:
    """What a spike of each step is worth, `[steps, 1, ...]` int64 with as many dimensions after the first as `like` has."""
    if coding in UNARY:
        return torch.ones(steps, *[1] * like.dim(), dtype=torch.int64, device=like.device)
    exponents = _exponents(steps, like)
    worths = torch.ones_like(exponents) << exponents
    if coding == "twos_complement":
        worths[0] = -worths[0]
    return worths


def _exponents(steps: int, like: Tensor) -> Tensor:
    require_count("steps", steps, least=0, most=MOST_BITS)
    return torch.arange(steps - 1, -1, -1, device=like.device).reshape(-1, *[1] * like.dim())


def _whole(counts: Tensor) -> Tensor:
    """As int64; a fraction, an infinity or a number too large is an error rather than another number."""
    if not counts.is_floating_point():
        return counts.to(torch.int64)
    holds = bool(torch.all((counts == counts.round()) & (counts.abs() < 2.0**53)))
    require(holds, "counts", "whole numbers below 2^53", None if holds else float(counts.abs().max()))
    return counts.to(torch.int64)
