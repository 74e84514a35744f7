"""What the trained student is worth on text that no training read."""

import json
import random
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from spikingbrain.convert.blocks.tower import TowerStudent
from spikingbrain.convert.data.corpus import open_corpus
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.convert.measure.ablation import ablated, compare
from spikingbrain.convert.measure.evaluation import evaluate as evaluate_students
from spikingbrain.convert.measure.evaluation import held_out_documents
from spikingbrain.convert.measure.far import perplexities, running_text
from spikingbrain.convert.measure.recall import LEAD_TOKENS, Asked, answered, needle, questions
from spikingbrain.convert.towers import CONTROL, STATE, STUDENT, WINDOW
from spikingbrain.convert.trunk.evicted import CHUNK_TOKENS
from spikingbrain.convert.trunk.frozen import Trunk, read_trunk
from spikingbrain.convert.trunk.student import Student, make_branches
from spikingbrain.convert.work import Work


def evaluate(work: Work) -> None:
    if work.settings.hybrid is not None:
        tower = work.trained_tower()
        students = {name: TowerStudent(tower, name) for name in (STUDENT, WINDOW)}
        with work.team.device:
            evaluate_students(tower.trunk, work.settings, students, work.team, work.report)
        return
    reach, config = work.settings.reach, work.source.config
    variants = work.trained() | {WINDOW: make_branches(config, reach, stateless=True)}
    read = {name: Student(work.trunk, reach, branches) for name, branches in variants.items()}
    evaluate_students(work.trunk, work.settings, read, work.team, work.report)


def ablate(work: Work) -> None:
    evaluation, corpus = work.settings.evaluation, open_corpus(work.folder / "held")
    if evaluation.ablation_documents == 0:
        work.report("ablate: no documents in the settings")
        return
    indices = held_out_documents(corpus, evaluation.ablation_documents, evaluation.document_tokens)
    tokens = min(evaluation.document_tokens, evaluation.teacher_tokens)
    documents = [torch.from_numpy(corpus.document(index)[:tokens].astype(np.int64)) for index in indices]
    trained = work.trained()
    variants = ablated(trained[STATE]) | {CONTROL: trained[CONTROL]}
    found = compare(work.trunk, work.settings.reach, variants, documents, segment=work.settings.mixer.sink_cap)
    (work.folder / "ablation.json").write_text(json.dumps({"documents": indices, "beyond the window": found}), encoding="utf-8")
    for name, measured in found.items():
        work.report(f"{name}: " + ", ".join(f"{what} {value:.4f}" for what, value in measured.items()))


def far(work: Work) -> None:
    evaluation, corpus = work.settings.evaluation, open_corpus(work.folder / "held")
    student = Student(work.trunk, work.settings.reach, work.trained()[STATE])
    indices = held_out_documents(corpus, evaluation.far_documents, evaluation.document_tokens)
    documents = [torch.from_numpy(corpus.document(index)[: evaluation.document_tokens].astype(np.int64)) for index in indices]
    stops = [-(-position // CHUNK_TOKENS) * CHUNK_TOKENS for position in (0, *evaluation.far_positions)]
    text, skip = running_text(corpus, indices, stops[-1]), evaluation.document_tokens // 2
    measured = perplexities(student, documents, text, stops, skip, segment=work.settings.mixer.sink_cap)
    found = {"documents": indices, "skipped": skip, "perplexity": measured}
    (work.folder / "far.json").write_text(json.dumps(found), encoding="utf-8")
    work.report("far: " + ", ".join(f"{value:.4f} behind {position}" for position, value in measured.items()))


def recall(work: Work) -> None:
    settings, corpus, seed = work.settings.recall, open_corpus(work.folder / "held"), work.settings.seed
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    students = {name: Student(work.trunk, work.settings.reach, branches) for name, branches in work.trained().items()}
    segment, found = work.settings.mixer.sink_cap, dict[str, dict[str, int]]()
    longest = LEAD_TOKENS + max(settings.distances, default=0)
    documents = [torch.from_numpy(corpus.document(index).astype(np.int64)) for index in corpus.longer_than(longest)]

    def count(name: str, trunk: Trunk, students: Mapping[str, Student], asked: Sequence[Asked]) -> None:
        found[name] = answered(trunk, students, asked, segment)
        work.report(f"{name}: " + ", ".join(f"{who} {counted}" for who, counted in found[name].items()))

    for distance in settings.distances if settings.needles > 0 else ():
        choice = random.Random(seed)
        asked = [needle(tokenizer, documents[index % len(documents)], distance, choice) for index in range(settings.needles)]
        count(f"number told {distance} tokens ago", work.trunk, students, asked)
    chats = {"fact asked at the beginning": [torch.zeros(0, dtype=torch.int64)]}
    if work.settings.data.held_out_chats > 0:
        chats["fact asked behind a chat"] = list(torch.from_numpy(np.load(work.folder / "chat-held.npy").astype(np.int64)))
    # In f32, so that the teacher agrees with itself: bf16 rounds otherwise in a batch than alone.
    exact = read_trunk(work.source, torch.float32)
    students = {name: Student(exact, work.settings.reach, branches) for name, branches in work.trained().items()}
    for name, before in chats.items():
        count(name, exact, students, questions(exact, tokenizer, before))
    (work.folder / "recall.json").write_text(json.dumps(found), encoding="utf-8")
