"""Supervised fine-tuning: the students' next-token loss on the answers of chats, where they may differ from the teacher at all."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from spikingbrain.convert.train.distil import LOGIT_POSITIONS, answer_positions, pull
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.student import Student


def sft_step(trunk: Trunk, reach: Reach, variants: Mapping[str, Branches], tokens: Tensor, mask: Tensor) -> dict[str, list[float]]:
    """Adds a gradient to every variant and returns its mean loss, nats a token, over those tokens of answers (`mask`, as long as `tokens`)
    that are predicted when something has left the window."""
    chosen = answer_positions(mask, reach.window + reach.kept)
    losses = {}
    for name, branches in variants.items():
        student = Student(trunk, reach, branches)
        residual, _ = student.residual(tokens, student.begin())
        mean, gradient = next_token_loss(trunk, residual.detach()[chosen], tokens[chosen + 1])
        losses[name] = [mean]
        pull(residual, chosen, gradient)
    return losses


def next_token_loss(trunk: Trunk, residual: Tensor, following: Tensor) -> tuple[float, Tensor]:
    """Mean of `-log p(following)` over positions, nats, and its gradient by `residual`, `[positions, hidden]`."""
    total = 0.0
    gradients = []
    for start in range(0, residual.shape[0], LOGIT_POSITIONS):
        leaf = residual[start : start + LOGIT_POSITIONS].clone().requires_grad_()
        summed = cross_entropy(trunk.logits(leaf), following[start : start + LOGIT_POSITIONS], reduction="sum")
        loss = summed / residual.shape[0]
        gradients.append(torch.autograd.grad(loss, leaf)[0])
        total += loss.item()
    return total, torch.cat(gradients)
