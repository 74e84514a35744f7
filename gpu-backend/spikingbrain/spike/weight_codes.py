"""W8 weights (`gpu-backend/docs/model.md#84-w8-weights`): symmetric, one scale per row and group of 128 inputs. Codes are never saturated.

A code outside int8 is kept whole: the base holds its nearest int8, a sparse residual the rest.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.rules import require

GROUP = 128
LEAST_CODE, LARGEST_CODE = -128, 127
LEAST_SCALE = 1e-5


@dataclass(frozen=True)
class WeightCodes:
    """A matrix `[out, in]` as integers and scales."""

    base: Tensor
    """`[out, in]`, int8."""
    residual_at: Tensor
    """`[outside, 2]`, int64: row and column of each code that int8 cannot hold."""
    residual: Tensor
    """`[outside]`, int32: what its base lacks."""
    scales: Tensor
    """`[out, groups]`, f32; the last group may be short."""

    @property
    def shape(self) -> torch.Size:
        return self.base.shape

    @property
    def outside_share(self) -> float:
        """Share of codes that int8 cannot hold."""
        return self.residual.numel() / self.base.numel()

    def codes(self) -> Tensor:
        """`[out, in]`, int32."""
        codes = self.base.to(torch.int32)
        codes[self.residual_at[:, 0], self.residual_at[:, 1]] += self.residual
        return codes

    def dense(self) -> Tensor:
        """`code * scale`, `[out, in]` f32."""
        return self.codes() * spread(self.scales, self.shape[1])


def group_count(columns: int) -> int:
    return -(-columns // GROUP)


def spread(scales: Tensor, columns: int) -> Tensor:
    """`[out, groups]` as `[out, columns]`."""
    return scales.repeat_interleave(GROUP, dim=1)[:, :columns]


def largest_scales(weight: Tensor) -> Tensor:
    """Scales with which no code lies outside -127 to 127: `absmax / 127` of each group, at least 1e-5. `[out, in]` to `[out, groups]`."""
    magnitudes = weight.to(torch.float32).abs()
    parts = [magnitudes[:, start : start + GROUP] for start in range(0, weight.shape[1], GROUP)]
    return torch.stack([part.amax(dim=1) for part in parts], dim=1).div(127).clamp(min=LEAST_SCALE)


def quantise_weight(weight: Tensor, scales: Tensor | None = None) -> WeightCodes:
    """`round(w / s)`, half to even, in f32. `scales` are a checkpoint's, `[out, groups]`, or else as large as they must be."""
    scales = largest_scales(weight) if scales is None else scales.to(torch.float32)
    expected = (weight.shape[0], group_count(weight.shape[1]))
    require(tuple(scales.shape) == expected, "scales", f"of shape {expected}", tuple(scales.shape))
    holds = bool(torch.all((scales > 0) & scales.isfinite()))
    require(holds, "scales", "positive and finite", float(scales.min()))
    codes = torch.round(weight.to(torch.float32) / spread(scales, weight.shape[1]))
    holds = bool(torch.all(codes.abs() < 2.0**24))
    require(
        holds, "weight", "below 2^24 scales in magnitude, so that a code is a whole number", None if holds else float(codes.abs().max())
    )
    whole = codes.to(torch.int32)
    base = whole.clamp(LEAST_CODE, LARGEST_CODE)
    outside = (whole != base).nonzero()
    return WeightCodes(base.to(torch.int8), outside, (whole - base)[outside[:, 0], outside[:, 1]], scales)
