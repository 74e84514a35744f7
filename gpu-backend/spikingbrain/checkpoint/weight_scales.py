"""W8ASpike's weight quantiser (`gpu-backend/docs/model.md#84-w8-weights`): symmetric, one scale per row and 128 inputs, codes that are not
clamped.

Upstream stores the weight in f32 and the scales in a buffer beside it, and computes with `round(w / s) * s`.
"""

import re

import torch

from spikingbrain.spike.weight_codes import group_count, spread
from spikingbrain.spike.weight_codes import largest_scales as largest_scales_of_groups

from .errors import CheckpointError
from .names import TensorName

SUFFIX = ".weight_quantizer.scales"
# The released code takes down_proj's weight past its quantiser; the paper has no exception (`gpu-backend/docs/model.md#83-modes`).
DOWN_PROJECTION = re.compile(r"\.down_proj\.weight$")


def scales_name(name: TensorName) -> str:
    """The buffer's name in a folder, for a linear projection's weight."""
    return name.name.removesuffix(".weight") + SUFFIX


def scales_shape(name: TensorName) -> tuple[int, int, int]:
    """`[out, groups, 1]`; the last group may be short."""
    rows, columns = name.shape
    return rows, group_count(columns), 1


def largest_scales(weight: torch.Tensor) -> torch.Tensor:
    """Scales `[out, groups, 1]` with which no code of `weight`, `[out, in]`, lies outside -127 to 127."""
    return largest_scales_of_groups(weight).unsqueeze(2)


def rounded(weight: torch.Tensor, scales: torch.Tensor, name: str) -> torch.Tensor:
    """`round(w / s) * s`, half to even, for f32 rows `[out, in]` and their scales `[out, groups, 1]`; `name` is for the error."""
    if not bool(((scales > 0) & scales.isfinite()).all()):
        raise CheckpointError(f"tensor '{name}' must hold positive finite scales; its least is {scales.min().item()}")
    steps = spread(scales.squeeze(2), weight.shape[1])
    return torch.round(weight / steps) * steps
