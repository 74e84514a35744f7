"""Attention over a paged cache in plain torch, for windows that see more than what is near: learned sinks, or kept tokens
(`gpu-backend/docs/model.md#55-sinks-and-kept-tokens`). vLLM's kernels for CPUs do not give the log of their sums, which joining needs."""

from typing import ClassVar, Protocol

import torch
from torch import Tensor
from vllm.v1.attention.backend import AttentionBackend, AttentionImpl, AttentionLayer, AttentionType
from vllm.v1.kv_cache_layout import KVCacheLayout

from spikingbrain_vllm.layers.merging import attend, merge
from spikingbrain_vllm.layers.sight_metadata import SightMetadata, SightMetadataBuilder
from spikingbrain_vllm.layers.state_metadata import Prefill

SPAN_TOKENS = 128
"""Queries that are scored together: bounds memory, and changes nothing else."""


class Leading(Protocol):
    """What stands in front of a text, or is kept of its beginning: seen by every later token."""

    def decode(self, keys: Tensor, values: Tensor, sequences: int) -> tuple[Tensor, Tensor, Tensor]:
        """Takes up the first `sequences` rows of `[tokens, kv_heads, dim]`, one of each sequence, and returns keys and values, f32,
        `[sequences, leading, kv_heads, dim]`, and which of them the near ones do not show, `[sequences, 1, leading]`."""

    def prefill(self, keys: Tensor, values: Tensor, of: Prefill) -> tuple[Tensor, Tensor, Tensor]:
        """The same for several tokens of one sequence: `[leading, kv_heads, dim]` and `[tokens, leading]`."""


class SightImpl(AttentionImpl[SightMetadata]):
    def __init__(
        self,
        num_heads: int,
        head_size: int,
        scale: float,
        num_kv_heads: int | None = None,
        alibi_slopes: list[float] | None = None,
        sliding_window: int | None = None,
        kv_cache_dtype: str = "auto",
        logits_soft_cap: float | None = None,
        attn_type: str = AttentionType.DECODER,
        kv_sharing_target_layer_name: str | None = None,
        *,
        leading: Leading,
    ) -> None:
        self.num_heads, self.head_size, self.scale = num_heads, head_size, scale
        self.window, self.kv_cache_dtype, self.leading = sliding_window, kv_cache_dtype, leading

    def do_kv_cache_update(self, layer: torch.nn.Module, key: Tensor, value: Tensor, kv_cache: Tensor, slot_mapping: Tensor) -> None:
        """Rows that only pad a step have no slot, and go to the block that no sequence has."""
        slots = slot_mapping.clamp(min=0)
        size = kv_cache.shape[2]
        rows = torch.cat([key[: slots.shape[0]], value[: slots.shape[0]]], dim=-1)
        kv_cache[slots // size, :, slots % size] = rows

    def forward(
        self,
        layer: AttentionLayer,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        kv_cache: Tensor,
        attn_metadata: SightMetadata | None,
        output: Tensor,
        output_scale: Tensor | None = None,
        output_block_scale: Tensor | None = None,
    ) -> Tensor:
        """See `AttentionImpl`; `kv_cache` is `[blocks, kv_heads, block, 2 dim]`, keys before values."""
        if attn_metadata is None:
            return output.zero_()
        if attn_metadata.decodes:
            self._decode(query[: attn_metadata.decodes], key, value, kv_cache, attn_metadata, output)
        for prefill in attn_metadata.prefills:
            part = slice(prefill.start, prefill.stop)
            self._prefill(query[part], key[part], value[part], kv_cache, attn_metadata.blocks[prefill.row], prefill, output[part])
        return output

    def _decode(self, query: Tensor, key: Tensor, value: Tensor, cache: Tensor, metadata: SightMetadata, output: Tensor) -> None:
        """One query of each sequence, over as many blocks as the widest sight has."""
        sequences, size = metadata.decodes, cache.shape[2]
        last = metadata.lengths[:sequences, None].to(torch.int64) - 1
        columns = -(-metadata.longest // size)
        first = torch.zeros_like(last)
        if self.window is not None:
            columns = min(columns, (self.window + size - 2) // size + 1)
            first = (last - self.window + 1).clamp(min=0) // size
        at = first + torch.arange(columns, device=first.device)
        table = metadata.blocks[:sequences].to(torch.int64)
        keys, values = _rows(cache, table.gather(1, at.clamp(max=table.shape[1] - 1)))
        positions = (at[..., None] * size + torch.arange(size, device=at.device)).flatten(1)
        seen = positions <= last if self.window is None else (positions <= last) & (positions > last - self.window)
        near = attend(query.to(torch.float32)[:, None], keys, values.masked_fill(~seen[..., None, None], 0.0), seen[:, None])
        leading = attend(query.to(torch.float32)[:, None], *self.leading.decode(key, value, sequences))
        output[:sequences] = merge(near, leading)[:, 0].to(output.dtype)

    def _prefill(self, query: Tensor, key: Tensor, value: Tensor, cache: Tensor, table: Tensor, of: Prefill, output: Tensor) -> None:
        size, stop = cache.shape[2], of.position + query.shape[0]
        begin = 0 if self.window is None else max(0, of.position - self.window + 1) // size
        keys, values = (rows[0, : stop - begin * size] for rows in _rows(cache, table[None, begin : -(-stop // size)].to(torch.int64)))
        leading_keys, leading_values, leading_seen = self.leading.prefill(key, value, of)
        for start in range(0, query.shape[0], SPAN_TOKENS):
            part = query[start : start + SPAN_TOKENS].to(torch.float32)
            first = of.position + start
            at = torch.arange(first, first + part.shape[0], device=query.device)[:, None]
            low = 0 if self.window is None else max(0, first - self.window + 1 - begin * size)
            high = first + part.shape[0] - begin * size
            positions = torch.arange(low, high, device=query.device) + begin * size
            seen = positions <= at if self.window is None else (positions <= at) & (positions > at - self.window)
            near = attend(part, keys[low:high], values[low:high], seen)
            leading = attend(part, leading_keys, leading_values, leading_seen[start : start + SPAN_TOKENS])
            output[start : start + SPAN_TOKENS] = merge(near, leading).to(output.dtype)


def _rows(cache: Tensor, blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of `[sequences, blocks]`, f32, `[sequences, blocks * block, kv_heads, dim]`."""
    rows = cache[blocks].transpose(2, 3).flatten(1, 2).to(torch.float32)
    keys, values = rows.chunk(2, dim=-1)
    return keys, values


class SightBackend(AttentionBackend):
    supported_dtypes: ClassVar[list[torch.dtype]] = [torch.float32, torch.bfloat16, torch.float16]
    forward_includes_kv_cache_update = False

    @staticmethod
    def get_name() -> str:
        return "CUSTOM"

    @staticmethod
    def get_impl_cls() -> type[SightImpl]:
        return SightImpl

    @staticmethod
    def get_builder_cls() -> type[SightMetadataBuilder]:
        return SightMetadataBuilder

    @classmethod
    def supports_sliding_window(cls) -> bool:
        return True

    @classmethod
    def supported_kv_cache_layouts(cls) -> tuple[KVCacheLayout, ...]:
        return (KVCacheLayout.LBHNC,)
