"""INT8 keys and values (`gpu-backend/docs/model.md#56-int8-keys-and-values`): one scale per token and head."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.precision import accumulator

LARGEST_CODE = 127
LEAST_SCALE = 1e-5
LARGEST_SCALE = 1e4


@dataclass(frozen=True)
class Int8Rows:
    """Rows of codes, each with a scale."""

    codes: Tensor
    """`[tokens, kv_heads, dim]`, int8."""
    scales: Tensor
    """`[tokens, kv_heads, 1]`, f32."""

    def dense(self, dtype: torch.dtype) -> Tensor:
        """In a type no narrower than f32, whose own product it is."""
        return self.codes.to(dtype) * self.scales.to(dtype)


def quantise_rows(x: Tensor) -> Int8Rows:
    """Symmetric: `absmax / 127` over the last dimension, within 1e-5 and 1e4; codes rounded half to even, within -127 and 127."""
    wide = x.to(accumulator(x.dtype))
    scales = (wide.abs().amax(dim=-1, keepdim=True) / LARGEST_CODE).clamp(LEAST_SCALE, LARGEST_SCALE).to(torch.float32)
    codes = torch.round(wide / scales).clamp(-LARGEST_CODE, LARGEST_CODE).to(torch.int8)
    return Int8Rows(codes, scales)
