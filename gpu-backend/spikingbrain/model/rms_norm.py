"""RMSNorm (`gpu-backend/docs/model.md#32-rmsnorm`)."""

import torch
from torch import Tensor

from spikingbrain.precision import accumulator


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """`x * rsqrt(mean(x^2) + epsilon) * weight` over the last dimension, `[..., width]`; reduced in f32 or wider."""
    wide = x.to(accumulator(x.dtype))
    scale = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + epsilon)
    return (wide * scale).to(x.dtype) * weight
