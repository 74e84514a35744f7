"""The optimiser of all that is trained: one AdamW whose rates depend on what a parameter is."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from spikingbrain.convert.trunk.rates import branch_rate

WARM_UP_STEPS = 5
LAST_SHARE = 0.05


def make_optimiser(branches: nn.Module, factor: float, rate_of: Callable[[str, Tensor], float] = branch_rate) -> torch.optim.AdamW:
    """`factor` scales all rates: 1 for transfer, less for distillation."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in branches.named_parameters():
        groups.setdefault(rate_of(name, parameter), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": parameters, "lr": rate * factor, "full": rate * factor} for rate, parameters in groups.items()],
        betas=(0.9, 0.98),
        weight_decay=0.0,
    )


def schedule(optimiser: torch.optim.Optimizer, step: int, steps: int) -> None:
    """Sets the rates for one step of `steps`: a short rise, then half a cosine down to a twentieth."""
    rise = min(1.0, (step + 1) / WARM_UP_STEPS)
    fall = 0.5 * (1 + math.cos(math.pi * step / steps))
    for group in optimiser.param_groups:
        group["lr"] = group["full"] * rise * (LAST_SHARE + (1 - LAST_SHARE) * fall)


def clip(parameters: Iterable[Tensor], most: float = 1.0) -> float:
    """Scales gradients to a norm of at most `most` and returns what it was; not a number raises, as every later step would be lost."""
    total = nn.utils.clip_grad_norm_(list(parameters), most)
    norm = float(total.full_tensor() if isinstance(total, DTensor) else total)
    if not math.isfinite(norm):
        raise FloatingPointError(f"the gradient's norm must be finite; it is {norm}")
    return norm
