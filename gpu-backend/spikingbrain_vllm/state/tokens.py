"""Digests of token ids: which text a state has read."""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WORD_BYTES = 4


@dataclass(frozen=True)
class Prefix:
    """A text's first tokens."""

    tokens: int
    digest: str
    """SHA-256 of their ids as little-endian u32, hexadecimal."""

    def begins(self, text: Sequence[int]) -> bool:
        return self.tokens <= len(text) and token_digest(text[: self.tokens]) == self.digest


def token_digest(tokens: Iterable[int]) -> str:
    words = array("I", tokens)
    if words.itemsize != WORD_BYTES:
        words = array("L", words)
    return hashlib.sha256(words.tobytes()).hexdigest()
