"""Conversations that are about copying: facts told early, much other text, then questions whose answers are those facts.

The other text is a conversion's training text, none of it held out. Names and kinds of facts are others than those that `recall` asks for.
"""

import random
from dataclasses import dataclass

from tokenizers import Tokenizer

from spikingbrain.convert.data.chat_template import Message
from spikingbrain.convert.data.corpus import Corpus, open_corpus
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.convert.work import Work
from spikingbrain.rules import ConfigError

FACTS = 6
QUESTIONS = 3
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


@dataclass(frozen=True)
class Between:
    """Other text: the beginning of a document, `least` to `most` tokens."""

    corpus: Corpus
    tokenizer: Tokenizer
    least: int
    most: int

    def text(self, draw: random.Random) -> str:
        tokens = draw.randrange(self.least, self.most)
        long = self.corpus.longer_than(self.most)
        if not long:
            raise ConfigError("data.copies_between", "at most the tokens of the longest training document", self.most)
        document = self.corpus.document(draw.choice(long)).tolist()
        decoded: str = self.tokenizer.decode(document[:tokens])
        return decoded


def copies(work: Work) -> None:
    settings = work.settings.data
    if settings.copies == 0 or (work.folder / "copies.json").is_file():
        return
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    least, most = settings.copies_between
    between = Between(open_corpus(work.folder / "train"), tokenizer, least, most)
    drawn = (conversation(random.Random(f"{work.settings.seed} {index}"), between) for index in range(settings.copies))
    work.write_answers("copies", ((f"conversation {index}", messages) for index, messages in enumerate(drawn)))


def conversation(draw: random.Random, between: Between) -> list[Message]:
    facts: dict[str, tuple[str, str]] = {}
    while len(facts) < FACTS:
        told, asked, answer = fact(draw)
        facts.setdefault(asked, (told, answer))
    notes = " ".join(told for told, _ in facts.values())
    questions = draw.sample(list(facts), QUESTIONS)
    opening = f"Here are some notes. {notes}\n\nAnd here is a text.\n\n{between.text(draw)}\n\n{questions[0]}"
    pairs = zip([opening, *questions[1:]], questions, strict=True)
    return [message for said, question in pairs for message in (_message("user", said), _message("assistant", facts[question][1]))]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
