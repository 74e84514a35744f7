"""Rows are found wherever an attention backend puts them, or it is said that they are not. Layers that only write, in several layouts."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from spikingbrain_vllm.state.block_codec import BlockCodec
from torch import Tensor
from vllm.model_executor.layers.attention import Attention

BLOCKS, TOKENS, HEADS, DIM = 5, 8, 3, 6
Write = Callable[[Tensor, Tensor, Tensor, Tensor], None]


def layer(cache: Tensor, write: Write | None) -> Attention:
    """What the codec asks of one; `write` gets keys, values, cache and slots."""
    backend = SimpleNamespace(get_name=lambda: "TEST")
    impl = SimpleNamespace() if write is None else SimpleNamespace(do_kv_cache_update=lambda _layer, *parts: write(*parts))
    made = SimpleNamespace(kv_cache=cache, impl=impl, num_kv_heads=HEADS, head_size=DIM, get_attn_backend=lambda: backend)
    return cast(Attention, made)


def by_block(keys: Tensor, values: Tensor, cache: Tensor, slots: Tensor) -> None:
    """`[blocks, 2, tokens, heads, dim]`"""
    tokens = cache.shape[2]
    cache[slots // tokens, 0, slots % tokens], cache[slots // tokens, 1, slots % tokens] = keys, values


def keys_transposed(keys: Tensor, values: Tensor, cache: Tensor, slots: Tensor) -> None:
    """`[blocks, heads, tokens * dim * 2]`: a head's keys channel by channel, then its values token by token."""
    tokens = cache.shape[2] // (2 * DIM)
    for row, slot in enumerate(slots.tolist()):
        block, token = divmod(slot, tokens)
        cache[block, :, token : tokens * DIM : tokens] = keys[row]
        cache[block, :, tokens * DIM + token * DIM : tokens * DIM + (token + 1) * DIM] = values[row]


def with_gaps(keys: Tensor, values: Tensor, cache: Tensor, slots: Tensor) -> None:
    """`[blocks, tokens, heads, 16]`: rows of 12 numbers stand in 16."""
    tokens = cache.shape[1]
    cache[slots // tokens, slots % tokens, :, 1 : 1 + DIM] = keys
    cache[slots // tokens, slots % tokens, :, 9 : 9 + DIM] = values


LAYOUTS: dict[str, tuple[tuple[int, ...], Write]] = {
    "by block": ((BLOCKS, 2, TOKENS, HEADS, DIM), by_block),
    "keys transposed": ((BLOCKS, HEADS, TOKENS * DIM * 2), keys_transposed),
    "with gaps": ((BLOCKS, TOKENS, HEADS, 16), with_gaps),
    "two kernel blocks for one of the scheduler's": ((2 * BLOCKS, 2, TOKENS // 2, HEADS, DIM), by_block),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("shape", "write"), LAYOUTS.values(), ids=LAYOUTS)
def test_rows_are_found_where_the_backend_has_put_them(shape: tuple[int, ...], write: Write, dtype: torch.dtype) -> None:
    cache = torch.zeros(shape, dtype=dtype)
    codec = BlockCodec.of(layer(cache, write), BLOCKS, TOKENS)
    assert not cache.any(), "it is learned in a block of its own"
    generator = torch.Generator().manual_seed(1)
    keys, values = (torch.randn(2 * TOKENS, HEADS, DIM, generator=generator).to(dtype) for _ in range(2))
    blocks = [3, 1]
    slots = torch.cat([torch.arange(block * TOKENS, (block + 1) * TOKENS) for block in blocks])
    write(keys, values, cache, slots)
    found = codec.read(cache, blocks)
    assert torch.equal(found[0], keys) and torch.equal(found[1], values)
    mine = torch.zeros_like(cache)
    codec.write(mine, blocks, keys.to(torch.float64), values)
    assert torch.equal(mine, cache)


def loses_a_row(keys: Tensor, values: Tensor, cache: Tensor, slots: Tensor) -> None:
    by_block(keys[1:], values[1:], cache, slots[1:])


def rounds(keys: Tensor, values: Tensor, cache: Tensor, slots: Tensor) -> None:
    by_block(keys.round(), values.round(), cache, slots)


def twice(keys: Tensor, values: Tensor, cache: Tensor, slots: Tensor) -> None:
    by_block(keys, values, cache[:1], slots)
    cache.view(-1)[-DIM:] = keys[0, 0]


@pytest.mark.parametrize(
    ("cache", "write", "message"),
    [
        (torch.zeros(BLOCKS, 2, TOKENS, HEADS, DIM), loses_a_row, "TEST: a block must hold each number of a row once"),
        (torch.zeros(BLOCKS, 2, TOKENS + 1, HEADS, DIM), twice, "TEST: a block must hold each number of a row once"),
        (torch.zeros(BLOCKS, 2, TOKENS, HEADS, DIM), rounds, "TEST: rows must be found again where the backend has written them"),
        (torch.zeros(BLOCKS, 2, TOKENS, HEADS, DIM), None, "TEST: an attention backend must be able to write its cache by itself"),
        (torch.zeros(BLOCKS, 2, TOKENS, HEADS, DIM, dtype=torch.int8), by_block, "TEST: keys and values must be kept as f32, bf16 or f16"),
        ([torch.zeros(1)], by_block, "TEST: keys and values must be kept as f32, bf16 or f16"),
    ],
)
def test_a_backend_that_cannot_be_asked_is_refused_by_name(cache: Any, write: Write | None, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="TEST") as found:
        BlockCodec.of(layer(cache, write), BLOCKS, TOKENS)
    assert str(found.value).startswith(message)
