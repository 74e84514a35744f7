"""A layer whose memory of a sequence has a constant size, as vLLM keeps it: one page for each sequence."""

from math import prod

import torch
from spikingbrain.config import Config
from torch import nn
from vllm.config import VllmConfig, get_current_vllm_config
from vllm.forward_context import get_forward_context
from vllm.model_executor.layers.mamba.abstract import MambaBase
from vllm.v1.attention.backend import AttentionBackend
from vllm.v1.attention.backends.registry import MambaAttentionBackendEnum
from vllm.v1.kv_cache_interface import KVCacheSpec, MambaSpec

from spikingbrain_vllm.layers.state_metadata import StateBackend, StateMetadata
from spikingbrain_vllm.layers.state_shapes import STATE_DTYPE, largest_state


class StateLayer(nn.Module, MambaBase):
    """`states` is `[pages, *shape]` in f32, and what a subclass computes with it runs as an operation that torch.compile does not look
    into. A page that vLLM gives to a new sequence holds what another left: a subclass never reads it before it has written it."""

    kv_cache: tuple[torch.Tensor, ...]

    def __init__(self, config: Config, shape: tuple[int, ...], prefix: str) -> None:
        super().__init__()
        vllm_config = get_current_vllm_config()
        layers = vllm_config.compilation_config.static_forward_context
        if prefix in layers:
            raise ValueError(f"a layer's name must be one layer's; {prefix} is two layers'")
        layers[prefix] = self
        self.prefix = prefix
        self.shape = shape
        self._largest = largest_state(config, vllm_config.parallel_config.tensor_parallel_size)

    @property
    def states(self) -> torch.Tensor:
        return self.kv_cache[0]

    @property
    def metadata(self) -> StateMetadata | None:
        """Of the present step; None where vLLM only measures memory."""
        metadata = get_forward_context().attn_metadata
        if metadata is None:
            return None
        own = (metadata[0] if isinstance(metadata, list) else metadata)[self.prefix]
        assert isinstance(own, StateMetadata)
        return own

    @property
    def mamba_type(self) -> MambaAttentionBackendEnum:
        return MambaAttentionBackendEnum.LINEAR

    def get_state_shape(self) -> tuple[tuple[int, ...], ...]:
        return (self.shape,)

    def get_state_dtype(self) -> tuple[torch.dtype, ...]:
        return (STATE_DTYPE,)

    def get_attn_backend(self) -> type[AttentionBackend]:
        return StateBackend

    def get_kv_cache_spec(self, vllm_config: VllmConfig) -> KVCacheSpec | None:
        """All of a model's pages must be of one size, whatever its layers remember."""
        cache = vllm_config.cache_config
        assert cache.mamba_block_size is not None
        return MambaSpec(
            shapes=self.get_state_shape(),
            dtypes=self.get_state_dtype(),
            block_size=cache.mamba_block_size,
            page_size_padded=cache.mamba_page_size_padded or prod(self._largest) * STATE_DTYPE.itemsize,
            mamba_type=self.mamba_type,
            mamba_cache_mode=cache.mamba_cache_mode,
        )
