"""`e^x` with the bits that `wasm/engine/src/math.rs` gives it, which no library promises."""

import math

import torch
from torch import Tensor

_ROUND = 12_582_912.0
"""1.5 * 2^23: adding it rounds to the nearest integer, ties to even."""
_LOG2_E = math.log2(math.e)
_LN_2 = (0.693_359_4, -2.121_944_4e-4)
"""In two parts, the first exact in few bits."""
_TERMS = (1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5)


def exponential(x: Tensor) -> Tensor:
    """Of f32, within 2 units in the last place; 0 below -87, capped at e^88. Every step is one operation, so that none is fused."""
    clamped = x.clamp(-87.0, 88.0)
    whole = (clamped * _LOG2_E + _ROUND) - _ROUND
    rest = (clamped - whole * _LN_2[0]) - whole * _LN_2[1]
    sum_ = rest * 1.987_569_1e-4
    for place, term in enumerate(_TERMS):
        sum_ = sum_ + term
        if place < len(_TERMS) - 1:
            sum_ = sum_ * rest
    value = sum_ * (rest * rest) + rest + 1.0
    scale = (whole.to(torch.int32) + 127 << 23).view(torch.float32)
    return torch.where(x < -87.0, 0.0, value * scale)
