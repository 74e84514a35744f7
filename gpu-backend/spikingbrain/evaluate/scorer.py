"""What a language model says of given tokens. The reference model is one; whatever meets the contract can be evaluated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from spikingbrain.model.model import Model
from spikingbrain.state.state import State

# Logits of so many tokens are held together: 152,064 a token are 0.6 MB.
SEGMENT_TOKENS = 128


@dataclass(frozen=True)
class TokenScores:
    """Of each token after the context."""

    logprobs: list[float]
    """Natural logarithm of its probability."""
    greedy: list[bool]
    """Whether it is the most probable one."""

    @property
    def total(self) -> float:
        return sum(self.logprobs)

    @property
    def is_greedy(self) -> bool:
        return all(self.greedy)


class Scorer(Protocol):
    """Scores continuations of a context, which is read once."""

    def score(self, context: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[TokenScores]:
        """Scores of each continuation's tokens; neither it nor the context may be empty."""


class ReferenceScorer:
    """The reference model as a `Scorer`. A state is a value, so continuations begin where the context ended without a copy."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @torch.inference_mode()
    def score(self, context: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[TokenScores]:
        """See `Scorer`."""
        state, last = self.read(self._model.new_state(), context)
        return [self._continue(state, last, continuation) for continuation in continuations]

    def generate(self, context: Sequence[int], most: int, ends: Sequence[int] = (), every: int = 1) -> Iterator[list[int]]:
        """The most probable tokens after the context: all of them so far, each time after `every` more and at the end, which is at `most`
        tokens or at one of `ends`, left out."""
        with torch.inference_mode():
            state, last = self.read(self._model.new_state(), context)
        chosen: list[int] = []
        while len(chosen) < most and (token := int(last.argmax())) not in ends:
            chosen.append(token)
            if len(chosen) % every == 0:
                yield list(chosen)
            with torch.inference_mode():
                state, last = self.read(state, [token])
        yield chosen

    def read(self, state: State, tokens: Sequence[int]) -> tuple[State, torch.Tensor]:
        """Reads tokens segment by segment; returns the new state and the log-probabilities of what comes next, `[vocabulary]`."""
        last = torch.empty(0)
        for start in range(0, len(tokens), SEGMENT_TOKENS):
            logits, state = self._model.step(state, torch.tensor(tokens[start : start + SEGMENT_TOKENS]))
            last = logits[-1].log_softmax(-1)
        return state, last

    def _continue(self, state: State, last: torch.Tensor, tokens: Sequence[int]) -> TokenScores:
        logprobs: list[float] = []
        greedy: list[bool] = []
        for start in range(0, len(tokens), SEGMENT_TOKENS):
            segment = torch.tensor(tokens[start : start + SEGMENT_TOKENS])
            logits, state = self._model.step(state, segment)
            rows = logits.log_softmax(-1)
            # The token at each place was foretold by the row before.
            before = torch.cat([last.unsqueeze(0), rows[:-1]])
            logprobs += before.gather(1, segment.unsqueeze(1)).squeeze(1).tolist()
            greedy += (before.argmax(1) == segment).tolist()
            last = rows[-1]
        return TokenScores(logprobs, greedy)
