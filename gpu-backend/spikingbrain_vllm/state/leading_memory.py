"""Keys and values of what every later token sees: learned sinks, which are the model's, and kept tokens, which are the sequence's."""

from dataclasses import dataclass
from typing import Protocol

from spikingbrain.state.rows import StateError
from torch import Tensor

from spikingbrain_vllm.layers.leading import KeptTokens, Sinks
from spikingbrain_vllm.state.place import Blocks, Page

SINKS_TOLERANCE = 1e-2
"""Of their largest number: engines sum in other orders, and a checkpoint of half precision may be read as another of its forms."""


class LeadingMemory(Protocol):
    """Rows are `[positions from 0 on, kv_heads, dim]`, f32."""

    def read(self, blocks: Blocks, tokens: int, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the first `count` positions."""

    def check(self, keys: Tensor, values: Tensor) -> None:
        """Raises StateError where they are another model's."""

    def write(self, blocks: Blocks, tokens: int, keys: Tensor, values: Tensor) -> None:
        """Takes the first ones of all that a query sees."""


@dataclass(frozen=True)
class SinkMemory:
    sinks: Sinks

    def read(self, blocks: Blocks, tokens: int, count: int) -> tuple[Tensor, Tensor]:
        return self.sinks.keys[:count].cpu().clone(), self.sinks.values[:count].cpu().clone()

    def check(self, keys: Tensor, values: Tensor) -> None:
        own = (self.sinks.keys.cpu(), self.sinks.values.cpu())
        for what, found, due in zip(("keys", "values"), (keys, values), own, strict=True):
            if float((found - due[: found.shape[0]]).abs().max()) > SINKS_TOLERANCE * max(1.0, float(due.abs().max())):
                raise StateError(f"{what} of learned sinks must be those of this model; they are another's")

    def write(self, blocks: Blocks, tokens: int, keys: Tensor, values: Tensor) -> None:
        """They are there."""


@dataclass(frozen=True)
class KeptMemory:
    kept: KeptTokens
    page: Page

    def read(self, blocks: Blocks, tokens: int, count: int) -> tuple[Tensor, Tensor]:
        held = self.kept.states[self.page.slot(blocks, tokens)].cpu()
        return held[0, :count].clone(), held[1, :count].clone()

    def check(self, keys: Tensor, values: Tensor) -> None:
        """They are the sequence's."""

    def write(self, blocks: Blocks, tokens: int, keys: Tensor, values: Tensor) -> None:
        count = min(self.kept.kept, tokens)
        held = self.kept.states[self.page.slot(blocks, tokens)]
        held.zero_()
        held[0, :count].copy_(keys[:count])
        held[1, :count].copy_(values[:count])
