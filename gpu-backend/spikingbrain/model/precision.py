"""Which type sums are kept in."""

import torch


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """At least f32: half types sum in f32, f64 stays f64."""
    return torch.promote_types(dtype, torch.float32)
