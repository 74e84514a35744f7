"""What a state layer must know of a step's batch: which sequence's state lies where, and which tokens are its."""

from dataclasses import dataclass

import torch
from vllm.config import VllmConfig
from vllm.v1.attention.backend import AttentionBackend, AttentionCGSupport, AttentionMetadataBuilder, CommonAttentionMetadata
from vllm.v1.attention.backends.utils import mamba_get_block_table_tensor, split_decodes_and_prefills
from vllm.v1.kv_cache_interface import MambaSpec


@dataclass(frozen=True)
class Prefill:
    """A sequence of which a step reads several tokens."""

    row: int
    """Of the batch."""
    start: int
    """Its first token's row."""
    stop: int
    position: int
    """Tokens of the text that it has read before."""


@dataclass(frozen=True)
class StateMetadata:
    """Sequences of one new token come first; `prefills` follow."""

    decodes: int
    slots: torch.Tensor
    """`[sequences]`, int64: where each one's state lies in a layer's `states`."""
    lengths: torch.Tensor
    """`[sequences]`: tokens of the text when the step is done; 0 where the batch is padded."""
    prefills: tuple[Prefill, ...]


class StateMetadataBuilder(AttentionMetadataBuilder[StateMetadata]):
    """Slots are put into one tensor that stays where it is, so that a captured CUDA graph of a decode reads the present ones. What prefills
    need is known on the host: nothing here waits for the device."""

    reorder_batch_threshold: int = 1
    _cudagraph_support = AttentionCGSupport.UNIFORM_SINGLE_TOKEN_DECODE

    def __init__(self, kv_cache_spec: MambaSpec, layer_names: list[str], vllm_config: VllmConfig, device: torch.device) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
        self._mode = vllm_config.cache_config.mamba_cache_mode
        self._slots = torch.zeros(vllm_config.scheduler_config.max_num_seqs, dtype=torch.int64, device=device)

    def build(self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False) -> StateMetadata:
        """See `AttentionMetadataBuilder`."""
        batch = common_attn_metadata
        table = mamba_get_block_table_tensor(batch.block_table_tensor, batch.seq_lens, self.kv_cache_spec, self._mode)
        decodes = split_decodes_and_prefills(batch, decode_threshold=1)[0]
        slots = self._slots[: batch.num_reqs]
        slots.copy_(table[: batch.num_reqs, 0], non_blocking=True)
        return StateMetadata(decodes, slots, batch.seq_lens[: batch.num_reqs], prefills_of(batch, decodes))


def prefills_of(batch: CommonAttentionMetadata, decodes: int) -> tuple[Prefill, ...]:
    """Those after the first `decodes` sequences, from what the host knows."""
    if decodes == batch.num_reqs:
        return ()
    starts = batch.query_start_loc_cpu.tolist()
    lengths = (batch.seq_lens if batch.seq_lens_cpu_upper_bound is None else batch.seq_lens_cpu_upper_bound).tolist()
    rows = range(decodes, batch.num_reqs)
    return tuple(Prefill(row, starts[row], starts[row + 1], lengths[row] - starts[row + 1] + starts[row]) for row in rows)


class StateBackend(AttentionBackend):
    """Of state layers: vLLM's linear attention, with metadata of our own."""

    @staticmethod
    def get_name() -> str:
        return "LINEAR_ATTN"

    @staticmethod
    def get_impl_cls() -> type:
        raise NotImplementedError("a state layer computes by itself")

    @staticmethod
    def get_builder_cls() -> type[StateMetadataBuilder]:
        return StateMetadataBuilder

    @classmethod
    def is_ssm(cls) -> bool:
        return True
