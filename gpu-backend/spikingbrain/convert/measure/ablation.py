"""What each part of a trained branch is worth: the same student with one of them switched off, nothing trained anew."""

import json
from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

from spikingbrain.convert.data.corpus import open_corpus
from spikingbrain.convert.measure.evaluation import held_out_documents
from spikingbrain.convert.measure.quality import TEACHER, Tallies, Tally, residuals, tally
from spikingbrain.convert.student import STATE
from spikingbrain.convert.trunk.branch import Branches, switch_sums_off
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import TrunkReader
from spikingbrain.convert.work import Work


def ablate(work: Work) -> None:
    evaluation, corpus = work.settings.evaluation, open_corpus(work.folder / "held")
    if evaluation.ablation_documents == 0:
        work.report("ablate: no documents in the settings")
        return
    indices = held_out_documents(corpus, evaluation.ablation_documents, evaluation.document_tokens)
    tokens = min(evaluation.document_tokens, evaluation.teacher_tokens)
    documents = [torch.from_numpy(corpus.document(index)[:tokens].astype(np.int64)) for index in indices]
    trained = work.trained_branches()
    variants = ablated(trained[STATE]) | {name: branches for name, branches in trained.items() if name != STATE}
    found = compare(work.trunk, work.settings.reach, variants, documents, segment=work.settings.mixer.sink_cap)
    (work.folder / "ablation.json").write_text(json.dumps({"documents": indices, "beyond the window": found}), encoding="utf-8")
    for name, measured in found.items():
        work.report(f"{name}: " + ", ".join(f"{what} {value:.4f}" for what, value in measured.items()))


def ablated(branches: Branches) -> dict[str, Branches]:
    """By what is left of it: copies of a variant with a state."""
    whole, salient, sums, neither = (deepcopy(branches) for _ in range(4))
    for branches_without in (salient, neither):
        switch_sums_off(branches_without)
    for branch in (*sums, *neither):
        branch.salience = None
    return {"salient tokens and sums": whole, "salient tokens": salient, "sums": sums, "neither": neither}


def compare(
    trunk: Trunk, reach: Reach, variants: dict[str, Branches], texts: Sequence[Tensor], segment: int
) -> dict[str, dict[str, float]]:
    """Perplexity beyond the window and divergence from the teacher there, by variant; the teacher reads whole texts too."""
    students = {name: TrunkReader(trunk, reach, branches) for name, branches in variants.items()}
    edges = [0, reach.window + reach.kept, 1 << 40]
    tallies = {name: Tallies(edges) for name in (TEACHER, *students)}
    for text in texts:
        tally(trunk, residuals(trunk, students, text, len(text), segment), text, tallies)
    return {name: _measured(each.buckets[1]) for name, each in tallies.items()}


def _measured(beyond: Tally) -> dict[str, float]:
    return {"perplexity": beyond.perplexity, "divergence": beyond.divergence / beyond.compared}
