"""Where an attention backend puts keys and values within a block of the paged cache.

Backends differ (the CPU's keeps keys transposed, by tiles that the instruction set decides), so nothing is assumed: the backend is made to
write rows of known numbers into a block of its own, and where those are found is where rows are read from and written to.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from vllm.model_executor.layers.attention import Attention

WRITE = "do_kv_cache_update"
DIGITS = 128
"""Numbers from 1 to 128 are exact in every type that a cache can have."""


@dataclass(frozen=True)
class BlockCodec:
    index: Tensor
    """`[tokens of a block, kv_heads, 2, dim]`, int64: which of a block's elements is which of a token's key and value."""
    elements: int
    """Of a block."""
    kernel_blocks: int
    """vLLM's scheduler counts blocks that a backend may cut into several."""

    @staticmethod
    def of(layer: Attention, blocks: int, block_tokens: int) -> "BlockCodec":
        """Of a layer whose cache has so many of the scheduler's blocks. Raises ValueError where the backend cannot be asked."""
        cache, backend = layer.kv_cache, layer.get_attn_backend().get_name()
        if not isinstance(cache, Tensor) or not cache.is_floating_point():
            raise ValueError(f"{backend}: keys and values must be kept as f32, bf16 or f16 to be exported")
        if not hasattr(layer.impl, WRITE):
            raise ValueError(f"{backend}: an attention backend must be able to write its cache by itself; this one is not")
        kernel_blocks = cache.shape[0] // blocks
        shape = (kernel_blocks, *cache.shape[1:])
        scratch = torch.empty_strided(shape, cache.stride(), dtype=cache.dtype, device=cache.device)
        heads, dim = layer.num_kv_heads, layer.head_size
        numbers = torch.arange(block_tokens * heads * 2 * dim, device=cache.device).view(block_tokens, heads, 2, dim)
        found = torch.zeros(scratch.numel(), dtype=torch.int64, device=cache.device)
        unit = 1
        while unit <= int(numbers.max()):
            scratch.zero_()
            _write(layer, scratch, numbers // unit % DIGITS + 1)
            digit = scratch.reshape(-1).to(torch.int64)
            found = torch.where(digit > 0, found + (digit - 1) * unit, -1)
            unit *= DIGITS
        index = torch.full((numbers.numel(),), -1, dtype=torch.int64, device=cache.device)
        places = (found >= 0).nonzero()[:, 0]
        if len(places) != numbers.numel() or int(found.max()) >= numbers.numel():
            raise ValueError(f"{backend}: a block must hold each number of a row once; it holds {len(places)} of {numbers.numel()}")
        index[found[places]] = places
        codec = BlockCodec(index.view(numbers.shape), scratch.numel(), kernel_blocks)
        codec._verify(layer, scratch)
        return codec

    def read(self, cache: Tensor, blocks: list[int]) -> tuple[Tensor, Tensor]:
        """Keys and values of whole blocks, `[tokens, kv_heads, dim]`."""
        held = cache.index_select(0, self._kernel_blocks(blocks, cache.device)).reshape(len(blocks), self.elements)
        rows = held[:, self.index.flatten()].view(-1, *self.index.shape[1:])
        return rows[:, :, 0], rows[:, :, 1]

    def write(self, cache: Tensor, blocks: list[int], keys: Tensor, values: Tensor) -> None:
        """Whole blocks of tokens, `[tokens, kv_heads, dim]`, in any type."""
        rows = torch.stack([keys, values], dim=2).to(cache.dtype).view(len(blocks), -1)
        held = torch.zeros(len(blocks), self.elements, dtype=cache.dtype, device=cache.device)
        held[:, self.index.flatten()] = rows.to(cache.device)
        at = self._kernel_blocks(blocks, cache.device)
        cache.index_copy_(0, at, held.view(len(at), *cache.shape[1:]))

    def _kernel_blocks(self, blocks: list[int], device: torch.device) -> Tensor:
        first = torch.tensor(blocks, dtype=torch.int64, device=device)[:, None] * self.kernel_blocks
        return (first + torch.arange(self.kernel_blocks, device=device)).flatten()

    def _verify(self, layer: Attention, scratch: Tensor) -> None:
        """Other numbers than those that it was learned from, in both directions."""
        shape = self.index.shape
        rows = torch.randn(shape, dtype=torch.float32, generator=torch.Generator().manual_seed(1)).to(scratch)
        scratch.zero_()
        _write(layer, scratch, rows)
        keys, values = self.read(scratch, [0])
        mine = torch.zeros_like(scratch)
        self.write(mine, [0], rows[:, :, 0], rows[:, :, 1])
        if not torch.equal(torch.stack([keys, values], dim=2), rows) or not torch.equal(mine, scratch):
            raise ValueError(f"{layer.get_attn_backend().get_name()}: rows must be found again where the backend has written them")


def _write(layer: Attention, cache: Tensor, rows: Tensor) -> None:
    """By the backend, `[tokens, kv_heads, 2, dim]`."""
    slots = torch.arange(rows.shape[0], dtype=torch.int64, device=cache.device)
    keys, values = (rows[:, :, part].to(cache).contiguous() for part in (0, 1))
    # vLLM's base class has no such method; every backend that keeps its cache apart from its products has.
    update: Callable[..., None] = getattr(layer.impl, WRITE)
    update(layer, keys, values, cache, slots)
