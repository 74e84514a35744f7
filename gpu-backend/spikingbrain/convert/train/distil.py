"""Distillation of the branches: the whole student's next-token distribution is drawn to the teacher's, through all layers at once."""

from collections.abc import Mapping

import torch
from torch import Tensor

from spikingbrain.convert.data.batches import Drawn
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.student import Student
from spikingbrain.convert.trunk.teacher import teacher_residual
from spikingbrain.rules import ConfigError

# Positions whose logits are in memory at once: 256 times a vocabulary of 49,152 are 50 MB in f32.
LOGIT_POSITIONS = 256


def distil_step(trunk: Trunk, reach: Reach, variants: Mapping[str, Branches], tokens: Tensor, chosen: Tensor) -> dict[str, list[float]]:
    """Adds a gradient to every variant and returns its mean KL divergence, in nats, at the chosen positions. All variants see the same
    tokens."""
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


def learnt_positions(drawn: Drawn, begin: int, generator: torch.Generator) -> Tensor:
    """Where students are drawn to the teacher, from position `begin` on: at the answers of a conversation that is about what has left the
    window, since other positions have others to learn from; else at a random half."""
    if drawn.answers is None:
        return some_positions(drawn.tokens.shape[0], begin, generator)
    chosen = answer_positions(drawn.answers, begin)
    if chosen.numel() == 0:
        raise ConfigError("data.copies_between", f"so few tokens that an answer is within {drawn.tokens.shape[0]}", "none")
    return chosen


def some_positions(tokens: int, begin: int, generator: torch.Generator) -> Tensor:
    """A random half of the positions from `begin` on."""
    count = (tokens - begin) // 2
    return torch.randperm(tokens - begin, generator=generator, device=generator.device)[:count] + begin


def answer_positions(mask: Tensor, begin: int) -> Tensor:
    """Positions from `begin` on whose next token is an answer's, by the mask of answers' tokens."""
    return mask[begin + 1 :].nonzero()[:, 0] + begin


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
