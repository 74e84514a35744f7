"""Which type sums are kept in."""

import torch


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """At least f32: half types sum in f32, f64 stays f64."""
    return torch.promote_types(dtype, torch.float32)


def widest(device: torch.device) -> torch.dtype:
    """f64, where the device has it; Apple's GPUs do not."""
    return torch.float32 if device.type == "mps" else torch.float64
