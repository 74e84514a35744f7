"""Which tokens a text has, and how often its output has each; it grows with the output."""

from array import array
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Tally:
    """`continued`: how many of the prompt's last tokens an earlier attempt at the same answer has sampled. They count as output.
    `counts`: whether the tokens are to be known, and not their number alone."""

    def __init__(self, prompt: Sequence[int], continued: int = 0, *, counts: bool = True) -> None:
        split = max(0, len(prompt) - continued)
        self._before, self._first = (prompt[:split], prompt[split:]) if counts else ((), ())
        self._continued, self._followed, self._counts_tokens = len(prompt) - split, 0, counts
        self._begin()

    def _begin(self) -> None:
        self._seen = array("q", dict.fromkeys(self._before))
        self._known = set(self._seen)
        self._output, self._counts = array("q"), array("f")
        self._places: dict[int, int] = {}
        self._add(self._first)

    @property
    def generated(self) -> int:
        """Tokens of the output."""
        return self._continued + self._followed

    def seen(self) -> Tensor:
        """Of prompt and output, each once, int64."""
        return torch.from_numpy(np.array(self._seen, dtype=np.int64))

    def output(self) -> tuple[Tensor, Tensor]:
        """Tokens of the output, each once, int64, and how often it has each, f32."""
        return torch.from_numpy(np.array(self._output, dtype=np.int64)), torch.from_numpy(np.array(self._counts, dtype=np.float32))

    def follow(self, output: Sequence[int]) -> None:
        """`output` is what has been sampled after the prompt: as before and more, or less where some was taken back."""
        if self._counts_tokens:
            if len(output) < self._followed:
                self._begin()
                self._followed = 0
            self._add(output[self._followed :])
        self._followed = len(output)

    def _add(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            if token not in self._known:
                self._known.add(token)
                self._seen.append(token)
            place = self._places.setdefault(token, len(self._output))
            if place == len(self._output):
                self._output.append(token)
                self._counts.append(0.0)
            self._counts[place] += 1.0
