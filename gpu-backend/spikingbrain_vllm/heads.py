"""Which heads a tensor-parallel rank has."""

from dataclasses import dataclass

import torch
from spikingbrain.config import Config
from vllm.distributed import get_tensor_model_parallel_rank, get_tensor_model_parallel_world_size


@dataclass(frozen=True)
class Heads:
    """Of one rank. Beyond the KV heads' number every KV head is on several ranks."""

    count: int
    """Query heads."""
    first: int
    kv_count: int
    kv_first: int
    dim: int

    @staticmethod
    def of(config: Config, ranks: int, rank: int) -> "Heads":
        count, kv_count = config.heads // ranks, max(1, config.kv_heads // ranks)
        return Heads(count, rank * count, kv_count, rank * config.kv_heads // ranks, config.head_dim)

    @staticmethod
    def here(config: Config) -> "Heads":
        return Heads.of(config, get_tensor_model_parallel_world_size(), get_tensor_model_parallel_rank())

    @property
    def width(self) -> int:
        """Of the rank's query heads together."""
        return self.count * self.dim

    @property
    def kv_width(self) -> int:
        return self.kv_count * self.dim

    def own(self, tensor: torch.Tensor, width: int) -> torch.Tensor:
        """Rows of the rank's query heads; each head has `width` of them."""
        return tensor.narrow(0, self.first * width, self.count * width)

    def kv_own(self, tensor: torch.Tensor, width: int) -> torch.Tensor:
        """Rows of the rank's KV heads."""
        return tensor.narrow(0, self.kv_first * width, self.kv_count * width)
