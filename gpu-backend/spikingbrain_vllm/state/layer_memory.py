"""One layer's memory of one sequence in vLLM's caches."""

from dataclasses import dataclass

import torch
from spikingbrain.state.key_values import KeyValues, to_dense
from spikingbrain.state.layout import Group
from torch import Tensor
from vllm.model_executor.layers.attention import Attention

from spikingbrain_vllm.layers.linear_branch import LinearBranch
from spikingbrain_vllm.state.block_codec import BlockCodec
from spikingbrain_vllm.state.leading_memory import LeadingMemory
from spikingbrain_vllm.state.place import Blocks, Page, Place


@dataclass(frozen=True)
class LinearMemory:
    layer: LinearBranch
    page: Page

    def read(self, blocks: Blocks, tokens: int) -> Tensor:
        """`[kv_heads, key dim, value dim]`"""
        return self.layer.states[self.page.slot(blocks, tokens)].to(device="cpu", copy=True)

    def write(self, blocks: Blocks, tokens: int, state: Tensor) -> None:
        self.layer.states[self.page.slot(blocks, tokens)].copy_(state)


@dataclass(frozen=True)
class SoftmaxMemory:
    layer: Attention
    place: Place
    codec: BlockCodec
    leading: LeadingMemory | None
    """Of what stands before the text or is kept of its beginning."""
    sinks: int
    """Positions before the text's."""

    @property
    def window(self) -> int | None:
        """Tokens that a query sees, itself included."""
        window: int | None = self.layer.sliding_window
        return window

    def read(self, blocks: Blocks, group: Group) -> KeyValues:
        """What the next query sees."""
        positions = torch.tensor([*group.kept, *group.near], dtype=torch.int64)
        text = self._text(group)
        parts = [self._read_text(blocks, text)]
        if (before := len(positions) - len(text)) > 0:
            assert self.leading is not None
            parts.insert(0, self.leading.read(blocks, group.near.stop - self.sinks, before))
        keys, values = (torch.cat(part) for part in zip(*parts, strict=True))
        return KeyValues(keys, values, positions)

    def check(self, group: Group, held: KeyValues) -> None:
        """Raises StateError where what stands before the text is another model's."""
        before = held.positions.shape[0] - len(self._text(group))
        if self.leading is not None and before > 0:
            self.leading.check(to_dense(held.keys, torch.float32)[:before], to_dense(held.values, torch.float32)[:before])

    def write(self, blocks: Blocks, group: Group, local: int, held: KeyValues) -> None:
        """In whole blocks: what lies in them outside of the window is zeros."""
        text, keys, values = self._text(group), *held.dense(torch.float32)
        if self.leading is not None:
            self.leading.write(blocks, group.near.stop - self.sinks, keys, values)
        start = max(text.start, self.place.block_of(local) * self.place.block_tokens)
        if start >= text.stop:
            return
        first, last = self.place.block_of(start), self.place.block_of(text.stop - 1)
        whole = torch.zeros(2, (last + 1 - first) * self.place.block_tokens, *keys.shape[1:])
        at = slice(start - first * self.place.block_tokens, text.stop - first * self.place.block_tokens)
        for row, rows in zip(whole, (keys, values), strict=True):
            row[at] = rows[len(rows) - (text.stop - start) :]
        self.codec.write(self.layer.kv_cache, blocks[self.place.group][first : last + 1], *whole)

    def _text(self, group: Group) -> range:
        """Tokens of the text that lie in blocks, counted without what stands before it."""
        return range(max(0, group.near.start - self.sinks), max(0, group.near.stop - self.sinks))

    def _read_text(self, blocks: Blocks, text: range) -> tuple[Tensor, Tensor]:
        if not text:
            empty = torch.zeros(0, self.layer.num_kv_heads, self.layer.head_size)
            return empty, empty
        first, last = self.place.block_of(text.start), self.place.block_of(text.stop - 1)
        rows = self.codec.read(self.layer.kv_cache, blocks[self.place.group][first : last + 1])
        skipped = text.start - first * self.place.block_tokens
        keys, values = (part[skipped : skipped + len(text)].to(device="cpu", dtype=torch.float32) for part in rows)
        return keys, values
