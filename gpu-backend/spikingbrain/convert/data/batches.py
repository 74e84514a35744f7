"""What a training step reads: one sequence, drawn from a seed and the step's number, so that a resumed run goes on as it would have."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikingbrain.convert.data.answers import Answers
from spikingbrain.convert.data.corpus import Corpus


@dataclass(frozen=True)
class Drawn:
    kind: str
    """`document`, `chat` or `copies`."""
    tokens: Tensor
    """`[tokens]` ids."""
    answers: Tensor | None = None
    """Of a conversation about what was told in it long before, which tokens answer; as long as `tokens`."""


@dataclass(frozen=True)
class Mix:
    documents: Corpus
    chats: npt.NDArray[np.uint32]
    """`[chats, tokens]`"""
    chat_share: float
    """Of sequences that are chats."""
    seed: int
    copies: Answers | None = None
    copies_share: float = 0.0
    """Of sequences that are conversations of `copies`."""

    def sequence(self, step: int, tokens: int) -> Drawn:
        """At most `tokens` ids: a run of documents from the start of one; or a chat or a conversation, which may be shorter."""
        draw = np.random.default_rng((self.seed, step))
        kind = draw.random()
        if kind < self.chat_share:
            chat = self.chats[draw.integers(len(self.chats))][:tokens]
            return Drawn("chat", torch.from_numpy(chat.astype(np.int64)))
        if self.copies is not None and kind < self.chat_share + self.copies_share:
            return Drawn("copies", *self.copies.conversation(int(draw.integers(len(self.copies.starts) - 1)), tokens))
        starts = np.asarray(self.documents.starts[:-1])
        # Half of the runs begin with a long document, where far context matters most.
        long = self.documents.longer_than(tokens)
        allowed = np.asarray(long) if long and draw.random() < 0.5 else np.flatnonzero(starts <= len(self.documents.tokens) - tokens)
        return Drawn("document", torch.from_numpy(self.documents.run_from(int(draw.choice(allowed)), tokens)))
