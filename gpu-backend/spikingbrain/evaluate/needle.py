"""Retrieval: a fact is put somewhere into a long text and asked for at its end."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from tokenizers import Tokenizer as FastTokenizer

from spikingbrain.rules import require

from .scorer import Scorer

CITIES = ("Berlin", "Cairo", "Delhi", "Hanoi", "Lima", "Lagos", "Oslo", "Paris", "Quito", "Tokyo")
CANDIDATES = 10


@dataclass(frozen=True)
class NeedleScore:
    """Of all trials at one length and depth."""

    length: int
    """Tokens of the whole prompt."""
    depth: float
    """Where the fact is: 0 at the beginning, 1 just before the question."""
    trials: int
    chosen: int
    """Trials in which the true number is the most probable of ten; by chance a tenth of them."""
    exact: int
    """Trials in which every token of the true number is the most probable token."""


def needle(
    scorer: Scorer,
    tokenizer: FastTokenizer,
    text: str,
    lengths: Sequence[int],
    depths: Sequence[float],
    trials: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[NeedleScore]:
    """Scores every length and depth. The text is the haystack and is repeated where it is too short; facts depend on `seed` only."""
    haystack: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    require(len(haystack) > 0, "text", "at least one token long", text)
    scores = []
    cells = list(product(lengths, depths))
    for done, (length, depth) in enumerate(cells):
        chosen = exact = 0
        for trial in range(trials):
            prompt, answers = _trial(tokenizer, haystack, length, depth, random.Random(f"{seed} {length} {depth} {trial}"))
            found = scorer.score(prompt, answers)
            # The true answer is the first of the candidates.
            chosen += int(all(found[0].total > other.total for other in found[1:]))
            exact += int(found[0].is_greedy)
        scores.append(NeedleScore(length, depth, trials, chosen, exact))
        progress(done + 1, len(cells))
    return scores


def _trial(
    tokenizer: FastTokenizer, haystack: list[int], length: int, depth: float, chance: random.Random
) -> tuple[list[int], list[list[int]]]:
    """A prompt of `length` tokens, and ten answers of which the first is right."""

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    city = chance.choice(CITIES)
    numbers = chance.sample(range(10_000, 100_000), CANDIDATES)
    fact, question = encode(f"\n\nThe secret number of {city} is {numbers[0]}.\n\n"), encode(f"\n\nThe secret number of {city} is")
    room = length - len(fact) - len(question)
    require(room > 0, "length", f"more than the {len(fact) + len(question)} tokens of fact and question", length)
    begin = chance.randrange(len(haystack))
    hay = [haystack[(begin + index) % len(haystack)] for index in range(room)]
    at = round(depth * room)
    return [*hay[:at], *fact, *hay[at:], *question], [encode(f" {number}") for number in numbers]
