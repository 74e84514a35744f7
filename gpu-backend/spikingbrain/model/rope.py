"""Rotary position embedding, half-split (`gpu-backend/docs/model.md#51-rotary-positions`): dimension `i` is rotated with dimension
`i + rotated / 2`."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Angles:
    """Of a run of positions, each `[tokens, 1, rotated / 2]`."""

    cosines: Tensor
    sines: Tensor


def angles(first: int, tokens: int, rotated: int, theta: float, like: Tensor) -> Angles:
    """Of positions `first` to `first + tokens - 1`: position times `theta^(-2i / rotated)`, in f64 so that far positions do not blur,
    then in the type and on the device of `like`."""
    # Not every device has f64.
    positions = torch.arange(first, first + tokens, dtype=torch.float64, device="cpu")
    frequencies = theta ** (-2.0 * torch.arange(rotated // 2, dtype=torch.float64, device="cpu") / max(rotated, 1))
    turned = (positions[:, None] * frequencies)[:, None, :]
    return Angles(turned.cos().to(like), turned.sin().to(like))


def rotate(x: Tensor, at: Angles) -> Tensor:
    """Rotates the leading dimensions of every head of `x`, `[tokens, heads, head_dim]`; the others stay."""
    pairs = at.cosines.shape[-1]
    first, second, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    return torch.cat([first * at.cosines - second * at.sines, second * at.cosines + first * at.sines, rest], dim=-1)
