"""Whether quality holds however long the text: the same documents are read at the beginning, and behind much other text."""

import json
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from spikingbrain.convert.data.corpus import Corpus, open_corpus
from spikingbrain.convert.measure.evaluation import held_out_documents
from spikingbrain.convert.measure.quality import token_losses
from spikingbrain.convert.student import STATE
from spikingbrain.convert.trunk.branch import Carry
from spikingbrain.convert.trunk.evicted import CHUNK_TOKENS
from spikingbrain.convert.trunk.reader import TrunkReader
from spikingbrain.convert.work import Work


def far(work: Work) -> None:
    evaluation, corpus = work.settings.evaluation, open_corpus(work.folder / "held")
    student = TrunkReader(work.trunk, work.settings.reach, work.trained_branches()[STATE])
    indices = held_out_documents(corpus, evaluation.far_documents, evaluation.document_tokens)
    documents = [torch.from_numpy(corpus.document(index)[: evaluation.document_tokens].astype(np.int64)) for index in indices]
    stops = [-(-position // CHUNK_TOKENS) * CHUNK_TOKENS for position in (0, *evaluation.far_positions)]
    text, skip = running_text(corpus, indices, stops[-1]), evaluation.document_tokens // 2
    measured = perplexities(student, documents, text, stops, skip, segment=work.settings.mixer.sink_cap)
    found = {"documents": indices, "skipped": skip, "perplexity": measured}
    (work.folder / "far.json").write_text(json.dumps(found), encoding="utf-8")
    work.report("far: " + ", ".join(f"{value:.4f} behind {position}" for position, value in measured.items()))


def running_text(corpus: Corpus, without: Sequence[int], tokens: int) -> Tensor:
    """The first `tokens` tokens of all documents but some, one after the other."""
    others = (corpus.document(index) for index in range(len(corpus.sources)) if index not in set(without))
    texts: list[Tensor] = []
    missing = tokens
    while missing > 0:
        document = next(others, None)
        if document is None:
            raise ValueError(f"held-out documents must have {tokens} tokens beside those that are measured; they have {tokens - missing}")
        texts.append(torch.from_numpy(document[:missing].astype(np.int64)))
        missing -= len(texts[-1])
    return torch.cat(texts)


@torch.no_grad()
def read_on(student: TrunkReader, text: Tensor, stops: Sequence[int], segment: int) -> Iterator[tuple[int, list[Carry]]]:
    """Reads a text once and hands out the carries at each of the positions `stops`, which are multiples of 128, in rising order."""
    carries, position = student.begin(), 0
    for stop in stops:
        while position < stop:
            part = text[position : min(position + segment, stop)]
            _, carries = student.residual(part, carries, position)
            position += part.shape[0]
        yield position, carries


@torch.no_grad()
def loss_behind(student: TrunkReader, document: Tensor, carries: list[Carry], position: int, skip: int, segment: int) -> tuple[float, int]:
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
    student: TrunkReader, documents: Sequence[Tensor], text: Tensor, stops: Sequence[int], skip: int, segment: int
) -> dict[int, float]:
    """Of the documents behind the first tokens of a text, by how many those are."""
    found = {}
    for position, carries in read_on(student, text, stops, segment):
        losses = [loss_behind(student, document, carries, position, skip, segment) for document in documents]
        found[position] = math.exp(sum(loss for loss, _ in losses) / sum(count for _, count in losses))
    return found
