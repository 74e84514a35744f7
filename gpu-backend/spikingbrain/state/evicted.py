"""What an `evicted` mixer remembers of the tokens that have left its window."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import Config
from spikingbrain.precision import accumulator
from spikingbrain.state.salient import Salient


@dataclass(frozen=True)
class Evicted:
    sums: Tensor
    """Of all of them: `[kv_heads, 2 head_dim, head_dim + 1]`, f32 or wider."""
    salient: Salient
    """The few that stay exact."""

    @staticmethod
    def empty(config: Config, dtype: torch.dtype, device: torch.device) -> "Evicted":
        """`dtype` is the weights'."""
        shape = (config.kv_heads, 2 * config.head_dim, config.head_dim + 1)
        return Evicted(torch.zeros(shape, dtype=accumulator(dtype), device=device), Salient.empty(config, dtype, device))
