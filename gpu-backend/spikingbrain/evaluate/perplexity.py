"""Perplexity of a text: the exponential of the mean negative log-probability of its tokens."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer as FastTokenizer

from .scorer import Scorer


@dataclass(frozen=True)
class Perplexity:
    """Sums over all scored tokens; logarithms are natural."""

    tokens: int
    bytes: int
    """UTF-8 bytes of the texts' scored parts."""
    negative_log_likelihood: float

    @property
    def perplexity(self) -> float:
        return math.exp(self.negative_log_likelihood / self.tokens)

    @property
    def bits_per_byte(self) -> float:
        """Comparable between tokenizers."""
        return self.negative_log_likelihood / math.log(2) / self.bytes


def perplexity(
    scorer: Scorer,
    tokenizer: FastTokenizer,
    documents: Sequence[str],
    length: int,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Perplexity:
    """Scores the documents, cut into stretches of at most `length` tokens that each begin anew, up to `limit` tokens in all.

    The first token of a stretch is context only.
    """
    texts = [_encode(tokenizer, text) for text in documents]
    stretches = [ids[start : start + length] for ids in texts for start in range(0, len(ids), length)]
    stretches = _limited([stretch for stretch in stretches if len(stretch) > 1], limit)
    total = sum(map(len, stretches))
    done = scored = size = 0
    loss = 0.0
    for stretch in stretches:
        (scores,) = scorer.score(stretch[:1], [stretch[1:]])
        loss -= scores.total
        scored += len(stretch) - 1
        # In the byte alphabet a character is a byte; added tokens are plain ASCII.
        size += sum(len(tokenizer.id_to_token(token) or "") for token in stretch[1:])
        done += len(stretch)
        progress(done, total)
    return Perplexity(scored, size, loss)


def _encode(tokenizer: FastTokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _limited(stretches: list[list[int]], limit: int | None) -> list[list[int]]:
    kept: list[list[int]] = []
    left = math.inf if limit is None else limit
    for stretch in stretches:
        if left < 2:
            break
        kept.append(stretch if left >= len(stretch) else stretch[: int(left)])
        left -= len(kept[-1])
    return kept
