"""The adaptive-threshold neuron (`gpu-backend/docs/model.md#81-neuron`): a token's activations become signed integer spike counts."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikingbrain.precision import accumulator, widest
from spikingbrain.rules import require, require_positive

LEAST_THRESHOLD = 1e-5
LARGEST_THRESHOLD = 1e4


@dataclass(frozen=True)
class Spikes:
    """Counts and what one spike is worth."""

    counts: Tensor
    """`[..., channels]`, signed whole numbers in a float type. Not clamped: an outlier fires often."""
    threshold: Tensor
    """`[..., 1]`, f32: one per token, or per token and head."""

    def values(self, dtype: torch.dtype) -> Tensor:
        """`threshold * count`, which a product then reads instead of the activations."""
        return (self.threshold * self.counts).to(dtype)


def threshold(x: Tensor, k: float) -> Tensor:
    """`mean(|x|) / k` over the last dimension, `[..., 1]`, within 1e-5 and 1e4, in f32. The mean is taken in f64, so that no order of
    summation shows in the result."""
    require_positive("k", k)
    mean = x.detach().abs().mean(dim=-1, keepdim=True, dtype=widest(x.device))
    return (mean / k).clamp(LEAST_THRESHOLD, LARGEST_THRESHOLD).to(torch.float32)


def fire(x: Tensor, k: float) -> Spikes:
    """`round(x / threshold)`, half to even: what integrating and firing with a soft reset and no leak comes to once less than half a
    threshold of charge is left."""
    require(x.is_floating_point() and x.shape[-1] > 0, "x", "floating-point with at least one channel", (x.dtype, tuple(x.shape)))
    level = threshold(x, k)
    return Spikes(torch.round(x.detach().to(accumulator(x.dtype)) / level), level)


def through_spikes(x: Tensor, spikes: Spikes) -> Tensor:
    """What the spikes of `x` stand for, in its type. Its gradient passes straight through."""
    return straight_through(x, spikes.values(x.dtype))


def straight_through(x: Tensor, replacement: Tensor) -> Tensor:
    """The replacement, whose gradient is that of `x`."""
    return _StraightThrough.apply(x, replacement)  # type: ignore[no-any-return,no-untyped-call]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, _x: Tensor, replacement: Tensor) -> Tensor:  # noqa: ANN401
        return replacement.clone()

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return gradients[0], None
