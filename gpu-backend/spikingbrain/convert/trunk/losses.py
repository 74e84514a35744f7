"""What the training stages minimise, of residuals `[positions, hidden]`; where there are logits, with its gradient by the student's and for
a few of them at a time."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from spikingbrain.convert.trunk.frozen import Trunk

# Positions whose logits are in memory at once: 256 times a vocabulary of 49,152 are 50 MB in f32.
LOGIT_POSITIONS = 256


def normalised_error(added: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of what attention adds over the square of what is wanted, `[tokens, hidden]` both; a number in f32."""
    wanted = wanted.float()
    return (added.float() - wanted).square().sum() / wanted.square().sum()


def divergence(trunk: Trunk, residual: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
    """Mean of `KL(teacher || student)` over positions, nats, and its gradient by `residual`; `wanted` is the teacher's residual."""
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


def next_token_loss(trunk: Trunk, residual: Tensor, following: Tensor) -> tuple[float, Tensor]:
    """Mean of `-log p(following)` over positions, nats, and its gradient by `residual`."""
    total = 0.0
    gradients = []
    for start in range(0, residual.shape[0], LOGIT_POSITIONS):
        leaf = residual[start : start + LOGIT_POSITIONS].clone().requires_grad_()
        summed = cross_entropy(trunk.logits(leaf), following[start : start + LOGIT_POSITIONS], reduction="sum")
        loss = summed / residual.shape[0]
        gradients.append(torch.autograd.grad(loss, leaf)[0])
        total += loss.item()
    return total, torch.cat(gradients)


def pull(residual: Tensor, chosen: Tensor, gradient: Tensor) -> None:
    """Goes back from a gradient by the residual at the chosen positions."""
    whole = torch.zeros_like(residual)
    whole[chosen] = gradient
    residual.backward(whole)  # type: ignore[no-untyped-call]


def answer_positions(mask: Tensor, begin: int) -> Tensor:
    """Positions from `begin` on whose next token is an answer's, by the mask of answers' tokens."""
    return mask[begin + 1 :].nonzero()[:, 0] + begin
