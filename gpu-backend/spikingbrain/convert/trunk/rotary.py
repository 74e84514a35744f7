"""RoPE for whole sequences, half-split (`gpu-backend/docs/model.md#51-rotary-positions`), from a table in the type of the products."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rotary:
    cosines: Tensor
    """`[positions, 1, head_dim]`"""
    sines: Tensor
    """`[positions, 1, head_dim]`; the first half is negative, as it meets the second half of the input."""

    @staticmethod
    def at(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> "Rotary":
        """Angles in f64: at position 200,000 f32 would be off by a hundredth of a radian."""
        frequencies = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
        angles = positions.double()[:, None, None] * frequencies
        sines = angles.sin()
        return Rotary(angles.cos().repeat(1, 1, 2).to(dtype), torch.cat([-sines, sines], dim=-1).to(dtype))

    @property
    def back(self) -> "Rotary":
        """Undoes this one."""
        return Rotary(self.cosines, -self.sines)

    def __call__(self, x: Tensor) -> Tensor:
        """`[..., positions, heads, head_dim]`"""
        half = x.shape[-1] // 2
        return x * self.cosines + torch.cat([x[..., half:], x[..., :half]], dim=-1) * self.sines
