"""What attention over a paged cache must know of a step's batch, where this package computes it itself."""

from dataclasses import dataclass

import torch
from vllm.config import VllmConfig
from vllm.v1.attention.backend import AttentionCGSupport, AttentionMetadata, AttentionMetadataBuilder, CommonAttentionMetadata
from vllm.v1.attention.backends.utils import split_decodes_and_prefills
from vllm.v1.kv_cache_interface import AttentionSpec

from spikingbrain_vllm.layers.state_metadata import Prefill, prefills_of


@dataclass(frozen=True)
class SightMetadata(AttentionMetadata):
    """Sequences of one new token come first; `prefills` follow."""

    decodes: int
    blocks: torch.Tensor
    """`[sequences, blocks]`: where each one's keys and values lie."""
    lengths: torch.Tensor
    """`[sequences]`: tokens of the text when the step is done."""
    longest: int
    """Of the lengths, at least."""
    prefills: tuple[Prefill, ...]


class SightMetadataBuilder(AttentionMetadataBuilder[SightMetadata]):
    reorder_batch_threshold: int = 1
    # How many blocks a full branch gathers follows from the longest text: its part of a step is never captured.
    _cudagraph_support = AttentionCGSupport.NEVER

    def __init__(self, kv_cache_spec: AttentionSpec, layer_names: list[str], vllm_config: VllmConfig, device: torch.device) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)

    def build(self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False) -> SightMetadata:
        """See `AttentionMetadataBuilder`."""
        batch = common_attn_metadata
        decodes = split_decodes_and_prefills(batch, decode_threshold=1)[0]
        return SightMetadata(decodes, batch.block_table_tensor, batch.seq_lens, batch.max_seq_len, prefills_of(batch, decodes))
