"""What of a text a softmax branch's query sees, and so what must be kept for the next one
(`gpu-backend/docs/model.md#53-full-and-window`)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import Config


@dataclass(frozen=True)
class Sight:
    """What a query sees beside itself."""

    width: int | None
    """Of the window, the query's own position included; None for all of the past."""
    kept: int
    """Leading positions that everything after them sees."""
    sinks: int
    """Of those, the learned ones: they see one another, and nothing later."""

    @staticmethod
    def of(config: Config, softmax: str) -> "Sight":
        return Sight(config.window if softmax == "window" else None, config.kept, config.learned_sinks)

    def mask(self, queries: Tensor, keys: Tensor) -> Tensor:
        """`[queries, keys]`, true where the position of the query sees that of the key."""
        query, key = queries[:, None], keys[None, :]
        near = torch.ones_like(key == query) if self.width is None else query - key < self.width
        text = (key <= query) & (near | (key < self.kept))
        return torch.where(query < self.sinks, key < self.sinks, text)

    def first_near(self, next_position: int) -> int:
        """The first position that a query at `next_position` sees for being near."""
        return 0 if self.width is None else max(0, next_position - self.width + 1)

    def still_seen(self, held: Tensor, next_position: int) -> Tensor:
        """Mask over held positions: those that a query at `next_position` or later can see."""
        return (held < self.kept) | (held >= self.first_near(next_position))
