"""Conversations about facts that were told long before."""

import random
from pathlib import Path

import pytest
import torch
from spikingbrain.convert.data.answers import Answers
from spikingbrain.convert.data.batches import Drawn, Mix
from spikingbrain.convert.data.copies import FACTS, QUESTIONS, Between, conversation
from spikingbrain.convert.data.corpus import Corpus, write_corpus
from spikingbrain.convert.data.text.documents import Document
from spikingbrain.convert.train.distil import learnt_positions
from spikingbrain.convert.trunk.losses import answer_positions
from spikingbrain.rules import ConfigError
from support.byte_tokenizer import bytes_only

LEAST, MOST = 50, 90


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "train", [Document("a", "x" * 2 * MOST), Document("b", "too short")], bytes_only())


def test_every_answer_is_a_fact_that_was_told_once_behind_other_text(corpus: Corpus) -> None:
    between = Between(corpus, bytes_only(), LEAST, MOST)
    made = [conversation(random.Random(seed), between) for seed in range(20)]
    for messages in made:
        opening = messages[0]["content"]
        notes = opening.removeprefix("Here are some notes. ").split("\n\n", 1)[0]
        assert notes.count(" is ") == FACTS and LEAST <= opening.count("x") - notes.count("x") < MOST + len("text")
        assert len(messages) == 2 * QUESTIONS
        for asked, answered in zip(messages[::2], messages[1::2], strict=True):
            question, answer = asked["content"].rsplit("\n\n", 1)[-1], answered["content"]
            assert answer.startswith(question.replace("What is the", "The").removesuffix("?") + " is ")
            assert notes.count(answer) == 1
    assert made == [conversation(random.Random(seed), between) for seed in range(20)]
    assert made[0] != made[1]


def test_text_that_no_document_has_is_refused(corpus: Corpus) -> None:
    with pytest.raises(ConfigError, match=r"data\.copies_between must be at most the tokens of the longest training document; it is 500"):
        conversation(random.Random(0), Between(corpus, bytes_only(), LEAST, 500))


def answers_of(lengths: list[int], begin: int) -> Answers:
    """Conversations of these lengths, end to end, whose tokens from `begin` on are answers."""
    starts = [sum(lengths[:index]) for index in range(len(lengths) + 1)]
    mask = torch.cat([torch.arange(length) >= begin for length in lengths])
    return Answers(torch.arange(starts[-1]).numpy().astype("uint32"), mask.numpy(), starts)


def test_a_mix_draws_its_share_of_whole_conversations(corpus: Corpus) -> None:
    answers = answers_of([30, 40, 200], begin=20)
    mix = Mix(corpus, torch.zeros(1, 8).numpy().astype("uint32"), chat_share=0.2, seed=1, copies=answers, copies_share=0.3)
    drawn = [mix.sequence(number, 60) for number in range(400)]
    counts = {kind: sum(one.kind == kind for one in drawn) for kind in ("chat", "copies", "document")}
    assert 50 < counts["chat"] < 110 and 80 < counts["copies"] < 160
    for one in drawn:
        assert (one.answers is not None) == (one.kind == "copies")
        if one.answers is not None:
            start = int(one.tokens[0])
            assert start in answers.starts
            assert len(one.tokens) == len(one.answers) == {0: 30, 30: 40, 70: 60}[start]


def test_only_the_answers_of_such_a_conversation_are_learnt() -> None:
    tokens = torch.arange(40)
    chosen = learnt_positions(Drawn("copies", tokens, (tokens == 5) | (tokens >= 37)), 10, torch.Generator())
    # Where 37, 38 and 39 are predicted; 5 lies within the window.
    assert chosen.tolist() == [36, 37, 38]
    assert answer_positions(tokens >= 37, 37).tolist() == [37, 38]
    some = learnt_positions(Drawn("document", tokens), 10, torch.Generator().manual_seed(0))
    assert len(some) == len(set(some.tolist())) == 15 and int(some.min()) >= 10
    with pytest.raises(ConfigError, match=r"data\.copies_between must be so few tokens that an answer is within 40"):
        learnt_positions(Drawn("copies", tokens, tokens < 5), 10, torch.Generator())
