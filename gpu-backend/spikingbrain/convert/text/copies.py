"""Conversations that are about copying: facts told early, much other text, then questions whose answers are those facts.

    python -m spikingbrain.convert.text.copies SETTINGS.toml OUT.jsonl [--records 400] [--seed 0]

The other text is the training text of that conversion (its stage `data`), none of it held out. Each line has the conversation as `messages`
for `[sft]` and the same as plain `text` for `[data] files`. Names and kinds of facts are others than those that `recall` asks for.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from spikingbrain.convert.settings import read_settings
from spikingbrain.convert.stages.work import Work
from spikingbrain.convert.team import Team
from spikingbrain.convert.text.corpus import Corpus, open_corpus
from spikingbrain.convert.text.vocabulary import open_vocabulary

FACTS = 6
QUESTIONS = 3
LEAST_BETWEEN, MOST_BETWEEN = 620, 1_250
"""Tokens of other text between the facts and the first question: all of it lies beyond a window of 512."""
TOWNS = (
    "Arden",
    "Bellmar",
    "Corvane",
    "Dunmere",
    "Eastholt",
    "Farrow",
    "Greyhaven",
    "Holloway",
    "Inverlee",
    "Kestrel",
    "Larkfield",
    "Marwick",
)
SUBJECTS = ("library", "bakery", "workshop", "clinic", "school", "theatre", "post office", "museum", "ferry", "hotel", "laboratory", "farm")
PEOPLE = (
    "Anna Brandt",
    "Luis Ortega",
    "Mei Tanaka",
    "Omar Haddad",
    "Ruth Keller",
    "Ivan Petrov",
    "Clara Moreau",
    "David Osei",
    "Nina Larsen",
)


def fact(draw: random.Random) -> tuple[str, str, str]:
    """How it is told, how it is asked for, and the answer."""
    place = f"{draw.choice(SUBJECTS)} in {draw.choice(TOWNS)}"
    what, value = draw.choice(
        (
            ("phone number", "".join(draw.choice("0123456789") for _ in range(6))),
            ("entry code", "".join(draw.choice("0123456789") for _ in range(5))),
            ("price of a ticket", f"{draw.randrange(2, 90)} dollars"),
            ("owner", draw.choice(PEOPLE)),
            ("founding year", str(draw.randrange(1702, 2020))),
            ("room of the office", f"{draw.choice('ABCDEFGH')}{draw.randrange(100, 999)}"),
        )
    )
    return f"The {what} of the {place} is {value}.", f"What is the {what} of the {place}?", f"The {what} of the {place} is {value}."


def conversation(draw: random.Random, corpus: Corpus, tokenizer: Tokenizer) -> list[dict[str, str]]:
    between = draw.randrange(LEAST_BETWEEN, MOST_BETWEEN)
    document = corpus.document(draw.choice(corpus.longer_than(MOST_BETWEEN))).tolist()
    facts: dict[str, tuple[str, str]] = {}
    while len(facts) < FACTS:
        told, asked, answer = fact(draw)
        facts.setdefault(asked, (told, answer))
    notes = " ".join(told for told, _ in facts.values())
    questions = draw.sample(list(facts), QUESTIONS)
    opening = f"Here are some notes. {notes}\n\nAnd here is a text.\n\n{tokenizer.decode(document[:between])}\n\n{questions[0]}"
    pairs = zip([opening, *questions[1:]], questions, strict=True)
    return [message for said, question in pairs for message in (_message("user", said), _message("assistant", facts[question][1]))]


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def records(corpus: Corpus, tokenizer: Tokenizer, count: int, seed: int) -> Iterator[dict[str, object]]:
    for index in range(count):
        messages = conversation(random.Random(f"{seed} {index}"), corpus, tokenizer)
        yield {"messages": messages, "text": "\n".join(message["content"] for message in messages)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Writes conversations about facts told long before.")
    parser.add_argument("settings", type=Path, help="of the conversion whose training text lies between")
    parser.add_argument("out", type=Path, help="JSON lines")
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    work = Work(read_settings(given.settings), Team(), print)
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    with given.out.open("w", encoding="utf-8") as out:
        for record in records(open_corpus(work.folder / "train"), tokenizer, given.records, given.seed):
            out.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
