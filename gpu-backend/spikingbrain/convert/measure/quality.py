"""How well students continue text, beside their teacher: perplexity by position, divergence and greedy agreement."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from spikingbrain.convert.student import Reader
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.teacher import teacher_residual

LOGIT_POSITIONS = 256
TEACHER = "teacher"


@dataclass
class Tally:
    """Sums over the positions of one bucket."""

    positions: int = 0
    loss: float = 0.0
    """Negative log-likelihood of the next token, nats."""
    compared: int = 0
    """Positions that the teacher read too."""
    divergence: float = 0.0
    """`KL(teacher || this)` over those, nats."""
    agreement: int = 0
    """Of those, where the likeliest token is the teacher's."""

    def add(self, other: "Tally") -> None:
        self.positions += other.positions
        self.loss += other.loss
        self.compared += other.compared
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
def residuals(trunk: Trunk, students: Mapping[str, Reader], tokens: Tensor, teacher_tokens: int, segment: int) -> dict[str, Tensor]:
    """Each subject's last residual, `[tokens, hidden]`; the teacher reads the first `teacher_tokens` tokens, and none where that is 0."""
    found = {TEACHER: teacher_residual(trunk, tokens[:teacher_tokens])} if teacher_tokens > 0 else {}
    return found | {name: torch.cat([part for _, part in student.long(tokens, segment)]) for name, student in students.items()}


@torch.no_grad()
def tally(trunk: Trunk, found: Mapping[str, Tensor], tokens: Tensor, into: Mapping[str, Tallies]) -> None:
    """Adds one text to every subject's tallies, compared with the teacher as far as that has read."""
    for start in range(0, tokens.shape[0] - 1, LOGIT_POSITIONS):
        stop = min(start + LOGIT_POSITIONS, tokens.shape[0] - 1)
        target = trunk.logits(found[TEACHER][start:stop]).log_softmax(dim=-1) if TEACHER in found else torch.zeros(0, 0)
        for name, residual in found.items():
            log = target if name == TEACHER else trunk.logits(residual[start:stop]).log_softmax(dim=-1)
            loss = -log.gather(1, tokens[start + 1 : start + 1 + log.shape[0], None])[:, 0]
            both = min(log.shape[0], target.shape[0])
            divergence = (target[:both].exp() * (target[:both] - log[:both])).sum(dim=-1) if both else loss[:0]
            agrees = log[:both].argmax(dim=-1) == target[:both].argmax(dim=-1) if both else loss[:0]
            edges = into[name].edges
            for bucket, low, high in zip(into[name].buckets, edges, edges[1:], strict=False):
                part = slice(max(low - start, 0), max(high - start, 0))
                met = divergence[part]
                bucket.add(Tally(len(loss[part]), loss[part].sum().item(), len(met), met.sum().item(), int(agrees[part].sum())))


@torch.no_grad()
def token_losses(trunk: Trunk, residual: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of each target, nats, `[targets]`; the residual may have more positions than there are targets."""
    starts = range(0, targets.shape[0], LOGIT_POSITIONS)
    parts = [(residual[start : start + LOGIT_POSITIONS], targets[start : start + LOGIT_POSITIONS]) for start in starts]
    return torch.cat([cross_entropy(trunk.logits(own[: wanted.shape[0]]), wanted, reduction="none") for own, wanted in parts])


@torch.no_grad()
def mean_divergence(trunk: Trunk, residual: Tensor, wanted: Tensor) -> float:
    """`KL(wanted || residual)` of the next token, nats, mean over positions; both are `[positions, hidden]`."""
    total = 0.0
    for start in range(0, residual.shape[0], LOGIT_POSITIONS):
        log, own = (trunk.logits(part[start : start + LOGIT_POSITIONS]).log_softmax(dim=-1) for part in (wanted, residual))
        total += (log.exp() * (log - own)).sum().item()
    return total / residual.shape[0]
