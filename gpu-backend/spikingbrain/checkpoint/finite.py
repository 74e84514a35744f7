"""Weights are finite: the engine refuses any other number, and so do the readers here."""

from pathlib import Path

import torch

from .errors import CheckpointError


def require_finite(values: torch.Tensor, name: str, path: Path) -> torch.Tensor:
    """`values`, the rows of a tensor or a part of them."""
    # A sum is finite where all its terms are, unless it overflows: the terms are looked at one by one only then.
    if values.numel() and not torch.isfinite(values.sum()) and not torch.isfinite(values).all():
        strange = values[~torch.isfinite(values)].flatten()[0].item()
        raise CheckpointError(f"{path}: tensor '{name}' must hold finite numbers; it holds {strange}")
    return values
