"""Whether quality holds however long the text: the same documents are read at the beginning, and behind much other text."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from spikingbrain.convert.data.corpus import Corpus
from spikingbrain.convert.measure.quality import token_losses
from spikingbrain.convert.trunk.branch import Carry
from spikingbrain.convert.trunk.student import Student


def running_text(corpus: Corpus, without: Sequence[int], tokens: int) -> Tensor:
    """The first `tokens` tokens of all documents but some, one after the other."""
    others = (corpus.document(index) for index in range(len(corpus.sources)) if index not in set(without))
    parts: list[Tensor] = []
    missing = tokens
    while missing > 0:
        document = next(others, None)
        if document is None:
            raise ValueError(f"held-out documents must have {tokens} tokens beside those that are measured; they have {tokens - missing}")
        parts.append(torch.from_numpy(document[:missing].astype(np.int64)))
        missing -= len(parts[-1])
    return torch.cat(parts)


@torch.no_grad()
def read_on(student: Student, text: Tensor, stops: Sequence[int], segment: int) -> Iterator[tuple[int, list[Carry]]]:
    """Reads a text once and hands out the carries at each of the positions `stops`, which are multiples of 128, in rising order."""
    carries, position = student.begin(), 0
    for stop in stops:
        while position < stop:
            part = text[position : min(position + segment, stop)]
            _, carries = student.residual(part, carries, position)
            position += part.shape[0]
        yield position, carries


@torch.no_grad()
def loss_behind(student: Student, document: Tensor, carries: list[Carry], position: int, skip: int, segment: int) -> tuple[float, int]:
    """Summed negative log-likelihood, nats, of the document's tokens after the first `skip`, when it begins at `position`; and how many."""
    loss, count = 0.0, 0
    for first in range(0, document.shape[0], segment):
        part = document[first : first + segment]
        residual, carries = student.residual(part, carries, position + first)
        targets = document[first + 1 : first + 1 + part.shape[0]]
        begin = max(skip - first, 0)
        if begin < targets.shape[0]:
            losses = token_losses(student.trunk, residual[begin:], targets[begin:])
            loss, count = loss + float(losses.sum()), count + losses.shape[0]
    return loss, count


def perplexities(
    student: Student, documents: Sequence[Tensor], text: Tensor, stops: Sequence[int], skip: int, segment: int
) -> dict[int, float]:
    """Of the documents behind the first tokens of a text, by how many those are."""
    found = {}
    for position, carries in read_on(student, text, stops, segment):
        parts = [loss_behind(student, document, carries, position, skip, segment) for document in documents]
        found[position] = math.exp(sum(loss for loss, _ in parts) / sum(count for _, count in parts))
    return found
