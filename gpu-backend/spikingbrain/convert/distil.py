"""Distillation of the branches: the whole student's next-token distribution is drawn to the teacher's, through all layers at once."""

from collections.abc import Mapping

import torch
from torch import Tensor

from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.student import Student
from spikingbrain.convert.trunk.teacher import teacher_residual

# Positions whose logits are in memory at once: 256 times a vocabulary of 49,152 are 50 MB in f32.
LOGIT_POSITIONS = 256


def distil_step(
    trunk: Trunk, reach: Reach, variants: Mapping[str, Branches], tokens: Tensor, generator: torch.Generator
) -> dict[str, list[float]]:
    """Adds a gradient to every variant and returns its mean KL divergence, in nats, at a random half of the positions that
    something has left the window of. All variants see the same tokens and positions."""
    chosen = some_positions(tokens.shape[0], reach.window + reach.kept, generator)
    with torch.no_grad():
        wanted = teacher_residual(trunk, tokens)[chosen]
    divergences = {}
    for name, branches in variants.items():
        student = Student(trunk, reach, branches)
        residual, _ = student.residual(tokens, student.begin())
        mean, gradient = divergence(trunk, residual.detach()[chosen], wanted)
        divergences[name] = [mean]
        pull(residual, chosen, gradient)
    return divergences


def some_positions(tokens: int, begin: int, generator: torch.Generator) -> Tensor:
    """A random half of the positions from `begin` on."""
    count = (tokens - begin) // 2
    return torch.randperm(tokens - begin, generator=generator, device=generator.device)[:count] + begin


def pull(residual: Tensor, chosen: Tensor, gradient: Tensor) -> None:
    """Goes back from a gradient by the residual at the chosen positions, `[chosen, hidden]`."""
    whole = torch.zeros_like(residual)
    whole[chosen] = gradient
    residual.backward(whole)  # type: ignore[no-untyped-call]


def divergence(trunk: Trunk, residual: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
    """Mean of `KL(teacher || student)` over positions, nats, and its gradient by `residual`; both are `[positions, hidden]`."""
    total = 0.0
    gradients = []
    for start in range(0, residual.shape[0], LOGIT_POSITIONS):
        leaf = residual[start : start + LOGIT_POSITIONS].clone().requires_grad_()
        with torch.no_grad():
            target = trunk.logits(wanted[start : start + LOGIT_POSITIONS]).log_softmax(dim=-1)
        loss = (target.exp() * (target - trunk.logits(leaf).log_softmax(dim=-1))).sum() / residual.shape[0]
        gradients.append(torch.autograd.grad(loss, leaf)[0])
        total += loss.item()
    return total, torch.cat(gradients)
