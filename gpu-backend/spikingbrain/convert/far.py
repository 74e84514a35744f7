"""Whether quality holds far from the beginning, without reading there: a text's carry is moved to a later position, as if what lies between
had been cut out. Positions reach the window through rotations only, so a move turns the held keys; the state has none, and the ramp is
nearly 1 there."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from spikingbrain.convert.trunk.branch import Carry
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.rotary import Rotary
from spikingbrain.convert.trunk.student import Student


def moved(trunk: Trunk, carries: Sequence[Carry], by: int) -> list[Carry]:
    """The carries as they would be had the text's later part begun `by` positions further on; kept tokens stay where they are."""
    config = trunk.config
    turn = Rotary.at(torch.tensor([by]), config.head_dim, config.rope_theta, torch.float32)

    def one(carry: Carry) -> Carry:
        keys = turn(carry.held.keys.float()).to(carry.held.keys.dtype)
        return replace(carry, held=replace(carry.held, keys=keys))

    return [one(carry) for carry in carries]


@torch.no_grad()
def perplexity_at(student: Student, texts: Sequence[Tensor], read: int, position: int) -> float:
    """Of what follows the first `read` tokens of each text, a multiple of 128 and more than the window, when it stands at `position`."""
    loss, count = 0.0, 0
    for text in texts:
        _, carries = student.residual(text[:read], student.begin())
        rest = text[read:]
        residual, _ = student.residual(rest, moved(student.trunk, carries, position - read), position)
        loss += cross_entropy(student.trunk.logits(residual[:-1]), rest[1:], reduction="sum").item()
        count += len(rest) - 1
    return math.exp(loss / count)
