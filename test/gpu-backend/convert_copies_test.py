"""Conversations about facts that were told long before."""

import json
from pathlib import Path

from convert_recall_test import bytes_only
from spikingbrain.convert.text.conversations import read_conversations
from spikingbrain.convert.text.copies import FACTS, LEAST_BETWEEN, MOST_BETWEEN, QUESTIONS, records
from spikingbrain.convert.text.corpus import write_corpus
from spikingbrain.convert.text.documents import Document


def test_every_answer_is_a_fact_that_was_told_once_behind_other_text(tmp_path: Path) -> None:
    tokenizer = bytes_only()
    corpus = write_corpus(tmp_path / "train", [Document("a", "x" * 2 * MOST_BETWEEN), Document("b", "too short")], tokenizer)
    made = list(records(corpus, tokenizer, 20, seed=1))
    path = tmp_path / "copies.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in made), encoding="utf-8")
    for (_, messages), record in zip(read_conversations([str(path)]), made, strict=True):
        opening = messages[0]["content"]
        notes = opening.removeprefix("Here are some notes. ").split("\n\n", 1)[0]
        assert notes.count(" is ") == FACTS and "x" * LEAST_BETWEEN in opening
        assert len(messages) == 2 * QUESTIONS
        for asked, answered in zip(messages[::2], messages[1::2], strict=True):
            question, answer = asked["content"].rsplit("\n\n", 1)[-1], answered["content"]
            assert answer.startswith(question.replace("What is the", "The").removesuffix("?") + " is ")
            assert notes.count(answer) == 1
        assert record["text"] == "\n".join(message["content"] for message in messages)
    assert made == list(records(corpus, tokenizer, 20, seed=1))
    assert made[0] != next(records(corpus, tokenizer, 1, seed=2))
