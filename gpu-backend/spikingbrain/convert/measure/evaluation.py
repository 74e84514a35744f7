"""Evaluation of trained branches on held-out documents and chats; a line a text in `evaluation.jsonl`, so that it can be resumed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikingbrain.convert.data.corpus import Corpus, open_corpus
from spikingbrain.convert.measure.quality import Tallies, Tally, residuals, tally
from spikingbrain.convert.settings import Settings
from spikingbrain.convert.student import Reader
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.work import Report, Work
from spikingbrain.rules import require


def bucket_edges(reach: Reach) -> list[int]:
    """Half the window, all that is the teacher to the bit, and doublings beyond."""
    return [0, reach.window // 2, reach.window + reach.kept, 2 * reach.window, 4 * reach.window, 8 * reach.window, 1 << 40]


def held_out_documents(corpus: Corpus, count: int, tokens: int) -> list[int]:
    """The first documents of at least `tokens` tokens of every source, one of each in a round, so that none is more than its share."""
    by_source: dict[str, list[int]] = {}
    for index in corpus.longer_than(tokens):
        by_source.setdefault(corpus.sources[index], []).append(index)
    longest = max((len(found) for found in by_source.values()), default=0)
    order = [index for rank in range(longest) for found in by_source.values() for index in found[rank : rank + 1]]
    require(len(order) >= count, "evaluation.documents", f"at most {len(order)}, which have {tokens} tokens", count)
    return order[:count]


def evaluate(work: Work) -> None:
    """The stage: adds what is missing of the evaluation's texts, shared among the processes, and reports a summary."""
    settings, team, student = work.settings, work.team, work.trained_student()
    with team.device:
        _evaluate(student.trunk, settings, student.readers(), team, work.report)


def _evaluate(trunk: Trunk, settings: Settings, students: Mapping[str, Reader], team: Team, report: Report) -> None:
    path = settings.work / "evaluation.jsonl"
    done = {(line["kind"], line["index"]) for line in read_lines(path)}
    missing = [text for text in _texts(settings) if text[:2] not in done]
    for place in team.share(len(missing)):
        kind, index, source, tokens = missing[place]
        tokens = tokens.to(team.device)
        found = residuals(trunk, students, tokens, settings.evaluation.teacher_tokens, segment=settings.mixer.sink_cap)
        tallies = {name: Tallies(bucket_edges(settings.reach)) for name in found}
        tally(trunk, found, tokens, tallies)
        entry = {"kind": kind, "index": index, "source": source, "tokens": len(tokens), "edges": bucket_edges(settings.reach)}
        entry["tallies"] = {name: [asdict(bucket) for bucket in each.buckets] for name, each in tallies.items()}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        report(f"{kind} {index} of {source}")
    team.wait()
    for kind in ("document", "chat"):
        for name, measured in summary([line for line in read_lines(path) if line["kind"] == kind], settings.reach).items():
            report(f"{kind}s, {name}: " + ", ".join(f"{what} {value:.4f}" for what, value in measured.items()))


def summary(lines: Sequence[Mapping[str, Any]], reach: Reach) -> dict[str, dict[str, float]]:
    """Per subject: perplexity over all positions, by bucket and beyond the window; mean divergence and agreement over all positions."""
    totals: dict[str, Tallies] = {}
    for line in lines:
        for name, buckets in line["tallies"].items():
            total = totals.setdefault(name, Tallies(line["edges"]))
            for own, other in zip(total.buckets, buckets, strict=True):
                own.add(Tally(**other))
    return {name: _measures(total, reach) for name, total in totals.items()}


def _measures(total: Tallies, reach: Reach) -> dict[str, float]:
    edges = total.edges
    whole, beyond = total.between(edges[0], edges[-1]), total.between(reach.window + reach.kept, edges[-1])
    measures = {"perplexity": whole.perplexity}
    if whole.compared > 0:
        measures |= {"divergence": whole.divergence / whole.compared, "agreement": whole.agreement / whole.compared}
    if beyond.positions > 0:
        measures["perplexity beyond the window"] = beyond.perplexity
    if beyond.compared > 0:
        measures["divergence beyond the window"] = beyond.divergence / beyond.compared
    for low, high, bucket in zip(edges, edges[1:], total.buckets, strict=False):
        if bucket.positions > 0:
            measures[f"perplexity {low}-{high}"] = bucket.perplexity
    return measures


def _texts(settings: Settings) -> Iterator[tuple[str, int, str, Tensor]]:
    evaluation, corpus = settings.evaluation, open_corpus(settings.work / "held")
    for index in held_out_documents(corpus, evaluation.documents, evaluation.document_tokens):
        yield "document", index, corpus.sources[index], torch.from_numpy(corpus.document(index)[: evaluation.document_tokens])
    if evaluation.chats > 0:
        chats = np.load(settings.work / "chat-held.npy").astype(np.int64)
        require(len(chats) >= evaluation.chats, "evaluation.chats", f"at most {len(chats)}", evaluation.chats)
        for index in range(evaluation.chats):
            yield "chat", index, "chat", torch.from_numpy(chats[index])


def read_lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
