"""What is still known of a text that has left the window: numbers that were told long ago, and questions asked late in a chat.

An answer counts where every one of its tokens is the likeliest after those before it: greedy decoding would give it, and one pass tells.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from spikingbrain.convert.data.corpus import open_corpus
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.convert.measure.facts import Fact, facts_for
from spikingbrain.convert.measure.quality import TEACHER
from spikingbrain.convert.student import Reader
from spikingbrain.convert.trunk.cache import continue_greedily
from spikingbrain.convert.trunk.frozen import Trunk, read_trunk
from spikingbrain.convert.trunk.reader import TrunkReader
from spikingbrain.convert.trunk.teacher import teacher_residual
from spikingbrain.convert.work import Work

COLOURS = ("red", "green", "white", "black", "yellow", "brown", "grey", "purple")
THINGS = ("door", "garden", "boat", "bridge", "tower", "cabin", "train", "market")
# Text before the fact, so that it is not among the tokens that are always seen.
LEAD_TOKENS = 24
ANSWER_TOKENS = 32


def recall(work: Work) -> None:
    settings, corpus, seed = work.settings.recall, open_corpus(work.folder / "held"), work.settings.seed
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    students = {name: TrunkReader(work.trunk, work.settings.reach, branches) for name, branches in work.trained_branches().items()}
    segment, found = work.settings.mixer.sink_cap, dict[str, dict[str, int]]()
    longest = LEAD_TOKENS + max(settings.distances, default=0)
    documents = [torch.from_numpy(corpus.document(index).astype(np.int64)) for index in corpus.longer_than(longest)]

    def count(name: str, trunk: Trunk, students: Mapping[str, Reader], asked: Sequence[Asked]) -> None:
        found[name] = answered(trunk, students, asked, segment)
        work.report(f"{name}: " + ", ".join(f"{who} {counted}" for who, counted in found[name].items()))

    for distance in settings.distances if settings.needles > 0 else ():
        choice = random.Random(seed)
        asked = [needle(tokenizer, work.opening, documents[index % len(documents)], distance, choice) for index in range(settings.needles)]
        count(f"number told {distance} tokens ago", work.trunk, students, asked)
    facts = facts_for(work.settings.data.chat_kinds)
    chats = {"fact asked at the beginning": [torch.zeros(0, dtype=torch.int64)]}
    if work.settings.data.held_out_chats > 0:
        chats["fact asked behind a chat"] = list(torch.from_numpy(np.load(work.folder / "chat-held.npy").astype(np.int64)))
    # In f32, so that the teacher agrees with itself: bf16 rounds otherwise in a batch than alone.
    exact = read_trunk(work.source, torch.float32)
    students = {name: TrunkReader(exact, work.settings.reach, branches) for name, branches in work.trained_branches().items()}
    for name, before in chats.items():
        asked = questions(exact, tokenizer, work.opening, before, facts)
        count(name, exact, students, asked)
        answers = [tokenizer.decode(one.tokens[-one.answer :].tolist()) for one in asked]
        found[f"{name}, right answers"] = {TEACHER: sum(map(Fact.is_right, facts, answers))}
    (work.folder / "recall.json").write_text(json.dumps(found), encoding="utf-8")


@dataclass(frozen=True)
class Asked:
    """A text that ends with an answer."""

    tokens: Tensor
    answer: int
    """Of its tokens, the last so many are the answer."""


def needle(tokenizer: Tokenizer, before: str, filler: Tensor, distance: int, choice: random.Random) -> Asked:
    """A number told `distance` tokens of other text before it is asked for, and its digits. `filler` has that many and a few more;
    `before` is what a chat begins with."""
    name = f"{choice.choice(COLOURS)} {choice.choice(THINGS)}"
    number = "".join(choice.choice("0123456789") for _ in range(4))
    told = _encode(tokenizer, f"\nThe secret number of the {name} is {number}.\n")
    asked = _encode(tokenizer, f"\nWhat is the secret number of the {name}?{_TURN}The secret number of the {name} is ")
    opening = _encode(tokenizer, f"{before}<|im_start|>user\n")
    text = [*opening, *filler[:LEAD_TOKENS].tolist(), *told, *filler[LEAD_TOKENS : LEAD_TOKENS + distance].tolist(), *asked]
    digits = _encode(tokenizer, number)
    return Asked(torch.tensor(text + digits), len(digits))


def questions(trunk: Trunk, tokenizer: Tokenizer, before: str, chats: Sequence[Tensor], facts: Sequence[Fact]) -> list[Asked]:
    """The facts, each behind one of the chats, with the teacher's own greedy answers."""
    end = tokenizer.token_to_id("<|im_end|>")
    prompts = []
    for index, fact in enumerate(facts):
        chat = chats[index % len(chats)].tolist()
        closed = chat if not chat or chat[-1] == end else [*chat, end]
        opening = [*closed, *_encode(tokenizer, "\n")] if chat else _encode(tokenizer, before)
        prompts.append([*opening, *_encode(tokenizer, f"<|im_start|>user\n{fact.question}{_TURN}")])
    asked = []
    for prompt, answer in zip(prompts, continue_greedily(trunk, prompts, ANSWER_TOKENS), strict=True):
        whole = answer[: answer.index(end) + 1] if end in answer else answer
        asked.append(Asked(torch.tensor(prompt + whole), len(whole)))
    return asked


@torch.no_grad()
def answered(trunk: Trunk, students: Mapping[str, Reader], asked: Sequence[Asked], segment: int) -> dict[str, int]:
    """How many answers each would give, the teacher too."""
    counts = dict.fromkeys((TEACHER, *students), 0)
    for one in asked:
        residuals = {TEACHER: teacher_residual(trunk, one.tokens)}
        residuals |= {name: torch.cat([part for _, part in student.long(one.tokens, segment)]) for name, student in students.items()}
        for name, residual in residuals.items():
            likeliest = trunk.logits(residual[-one.answer - 1 : -1]).argmax(dim=-1)
            counts[name] += int(torch.equal(likeliest, one.tokens[-one.answer :]))
    return counts


_TURN = "<|im_end|>\n<|im_start|>assistant\n"


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)
