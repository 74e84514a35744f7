"""What a harness such as `lm-eval` asks of a model, answered by the reference model. Nothing here needs the harness."""

from collections.abc import Callable, Sequence

from tokenizers import Tokenizer as FastTokenizer

from spikingbrain.rules import require

from .scorer import ReferenceScorer

Pair = tuple[Sequence[int], Sequence[int]]
"""A context and its continuation, as token ids."""
# Checked for a stop string every so many tokens: a few that come too late are cut off.
STOP_EVERY_TOKENS = 8


class ReferenceHarness:
    """Log-likelihoods and greedy answers."""

    def __init__(self, scorer: ReferenceScorer, tokenizer: FastTokenizer, ends: Sequence[int], max_length: int) -> None:
        """`ends` end an answer, and the first of them stands before a text without context. A context with which `max_length` tokens would
        be exceeded is cut from its left, as harnesses do."""
        require(len(ends) > 0, "end_tokens", "at least one", ends)
        require(max_length > 1, "max_length", "at least 2", max_length)
        self._scorer = scorer
        self._tokenizer = tokenizer
        self._ends = tuple(ends)
        self.max_length = max_length

    @property
    def prefix_token(self) -> int:
        """Stands before a text without context."""
        return self._ends[0]

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def score_pairs(
        self, pairs: Sequence[Pair], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> list[tuple[float, bool]]:
        """Of each pair the log-likelihood of the continuation, and whether it is the greedy one.

        A context that comes several times in a row, as the choices of one question do, is read once.
        """
        results: list[tuple[float, bool]] = []
        at = 0
        while at < len(pairs):
            context = pairs[at][0]
            after = next((end for end in range(at, len(pairs)) if pairs[end][0] != context), len(pairs))
            continuations = [continuation for _, continuation in pairs[at:after]]
            longest = max(map(len, continuations))
            require(longest < self.max_length, "continuation", f"shorter than max_length, {self.max_length} tokens", longest)
            scores = self._scorer.score(context[-(self.max_length - longest) :], continuations)
            results += [(score.total, score.is_greedy) for score in scores]
            at = after
            progress(at, len(pairs))
        return results

    def generate(self, context: str, until: Sequence[str], most: int) -> str:
        """The greedy answer, up to the first of the strings in `until`, an end token or `most` tokens."""
        require(0 < most < self.max_length, "max_gen_toks", f"from 1 to {self.max_length - 1}", most)
        tokens = (self.encode(context) or [self.prefix_token])[-(self.max_length - most) :]
        text = ""
        for chosen in self._scorer.generate(tokens, most, self._ends, STOP_EVERY_TOKENS):
            text = self._tokenizer.decode(chosen, skip_special_tokens=True)
            stops = [at for at in (text.find(stop) for stop in until if stop) if at >= 0]
            if stops:
                return text[: min(stops)]
        return text
