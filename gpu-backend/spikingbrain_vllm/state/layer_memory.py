"""One layer's memory of one sequence in vLLM's caches."""

from dataclasses import dataclass

import torch
from spikingbrain.state.key_values import KeyValues, to_dense
from spikingbrain.state.layout import Group
from torch import Tensor
from vllm.model_executor.layers.attention import Attention

from spikingbrain_vllm.layers.linear_branch import LinearBranch
from spikingbrain_vllm.state.block_codec import BlockCodec

Blocks = tuple[list[int], ...]
"""A sequence's blocks, KV cache group by KV cache group, as the scheduler numbers them."""


@dataclass(frozen=True)
class Place:
    group: int
    """KV cache group of the layer."""
    block_tokens: int

    def block_of(self, token: int) -> int:
        return token // self.block_tokens


@dataclass(frozen=True)
class LinearMemory:
    """One page, of the block in which the last token lies, or the only one where prefixes are not cached."""

    layer: LinearBranch
    place: Place
    is_paged: bool

    def read(self, blocks: Blocks, tokens: int) -> Tensor:
        """`[kv_heads, key dim, value dim]`"""
        return self.layer.states[self._slot(blocks, tokens)].to(device="cpu", copy=True)

    def write(self, blocks: Blocks, tokens: int, state: Tensor) -> None:
        self.layer.states[self._slot(blocks, tokens)].copy_(state)

    def _slot(self, blocks: Blocks, tokens: int) -> int:
        return blocks[self.place.group][self.place.block_of(tokens - 1) if self.is_paged else 0]


@dataclass(frozen=True)
class SoftmaxMemory:
    layer: Attention
    place: Place
    codec: BlockCodec

    @property
    def window(self) -> int | None:
        """Tokens that a query sees, itself included."""
        window: int | None = self.layer.sliding_window
        return window

    def read(self, blocks: Blocks, group: Group) -> KeyValues:
        """What the next query sees."""
        near = group.near
        positions = torch.tensor([*group.kept, *near], dtype=torch.int64)
        if not near:
            empty = torch.zeros(0, self.layer.num_kv_heads, self.layer.head_size)
            return KeyValues(empty, empty, positions)
        first, last = self.place.block_of(near.start), self.place.block_of(near.stop - 1)
        rows = self.codec.read(self.layer.kv_cache, blocks[self.place.group][first : last + 1])
        skipped = near.start - first * self.place.block_tokens
        keys, values = (part[skipped : skipped + len(near)].to(device="cpu", dtype=torch.float32) for part in rows)
        return KeyValues(keys, values, positions)

    def write(self, blocks: Blocks, group: Group, local: int, held: KeyValues) -> None:
        """In whole blocks: what lies in them outside of the window is zeros."""
        near = group.near
        start = max(near.start, self.place.block_of(local) * self.place.block_tokens)
        if start >= near.stop:
            return
        first, last = self.place.block_of(start), self.place.block_of(near.stop - 1)
        whole = torch.zeros((last + 1 - first) * self.place.block_tokens, self.layer.num_kv_heads, self.layer.head_size)
        at = slice(start - first * self.place.block_tokens, near.stop - first * self.place.block_tokens)
        padded = []
        for rows in (held.keys, held.values):
            whole[at] = to_dense(rows, torch.float32)[len(group.kept) + start - near.start :]
            padded.append(whole.clone())
        self.codec.write(self.layer.kv_cache, blocks[self.place.group][first : last + 1], *padded)
