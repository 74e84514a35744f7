"""How well students continue text, beside their teacher: perplexity by position, divergence and greedy agreement."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.student import Student
from spikingbrain.convert.trunk.teacher import teacher_residual

LOGIT_POSITIONS = 256
TEACHER = "teacher"


@dataclass
class Tally:
    """Sums over the positions of one bucket."""

    positions: int = 0
    loss: float = 0.0
    """Negative log-likelihood of the next token, nats."""
    divergence: float = 0.0
    """`KL(teacher || this)`, nats."""
    agreement: int = 0
    """Positions at which the likeliest token is the teacher's."""

    def add(self, other: "Tally") -> None:
        self.positions += other.positions
        self.loss += other.loss
        self.divergence += other.divergence
        self.agreement += other.agreement

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss / self.positions)


@dataclass
class Tallies:
    """One tally a bucket: bucket i holds positions from `edges[i]` to below `edges[i + 1]`; a position predicts the token after it."""

    edges: Sequence[int]
    buckets: list[Tally] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.buckets = self.buckets or [Tally() for _ in self.edges[1:]]

    def between(self, first: int, last: int) -> Tally:
        """The sum of whole buckets; both must be edges."""
        total = Tally()
        for bucket in self.buckets[self.edges.index(first) : self.edges.index(last)]:
            total.add(bucket)
        return total


@torch.no_grad()
def residuals(trunk: Trunk, students: Mapping[str, Student], tokens: Tensor, with_teacher: bool, segment: int) -> dict[str, Tensor]:
    """Each subject's last residual, `[tokens, hidden]`."""
    found = {TEACHER: teacher_residual(trunk, tokens)} if with_teacher else {}
    return found | {name: torch.cat([part for _, part in student.long(tokens, segment)]) for name, student in students.items()}


@torch.no_grad()
def tally(trunk: Trunk, found: Mapping[str, Tensor], tokens: Tensor, into: Mapping[str, Tallies]) -> None:
    """Adds one text to every subject's tallies. Divergence and agreement stay 0 where the teacher is not among the subjects."""
    for start in range(0, tokens.shape[0] - 1, LOGIT_POSITIONS):
        stop = min(start + LOGIT_POSITIONS, tokens.shape[0] - 1)
        logs = {name: trunk.logits(residual[start:stop]).log_softmax(dim=-1) for name, residual in found.items()}
        for name, log in logs.items():
            loss = -log.gather(1, tokens[start + 1 : stop + 1, None])[:, 0]
            divergence, agreement = torch.zeros_like(loss), torch.zeros_like(loss)
            if TEACHER in logs:
                divergence = (logs[TEACHER].exp() * (logs[TEACHER] - log)).sum(dim=-1)
                agreement = (log.argmax(dim=-1) == logs[TEACHER].argmax(dim=-1)).float()
            edges = into[name].edges
            for bucket, low, high in zip(into[name].buckets, edges, edges[1:], strict=False):
                part = slice(max(low - start, 0), max(high - start, 0))
                count = loss[part].shape[0]
                if count > 0:
                    bucket.add(Tally(count, loss[part].sum().item(), divergence[part].sum().item(), int(agreement[part].sum())))
