"""Where the run's mode says so, inputs of products become spikes, as in `spikingbrain.model.neurons`."""

import torch
from spikingbrain.config import Config
from spikingbrain.precision import accumulator, widest
from spikingbrain.spike.key_value_codes import quantise_rows
from spikingbrain.spike.modes import FIRING, INT8_KEY_VALUES, Site
from spikingbrain.spike.neuron import LARGEST_THRESHOLD, LEAST_THRESHOLD, fire
from torch import Tensor
from vllm.distributed import get_tensor_model_parallel_world_size, tensor_model_parallel_all_gather


class Neurons:
    """Of one layer."""

    def __init__(self, config: Config) -> None:
        self.spiking = config.spiking
        self.ranks = get_tensor_model_parallel_world_size()
        self.int8_rows = INT8_KEY_VALUES[config.spiking.mode]

    def __call__(self, x: Tensor, site: Site, *, split: bool = False) -> Tensor:
        """`x`, `[..., channels]`, as the products at `site` read it. `split`: its channels are on all ranks, whose mean the threshold is
        of."""
        if site not in FIRING[self.spiking.mode]:
            return x
        k = self.spiking.k_at(site)
        if not split or self.ranks == 1:
            return fire(x, k).values(x.dtype)
        mean = _sum_over_ranks(x.abs().sum(dim=-1, keepdim=True, dtype=widest(x.device))) / (x.shape[-1] * self.ranks)
        level = (mean / k).clamp(LEAST_THRESHOLD, LARGEST_THRESHOLD).to(torch.float32)
        return (level * torch.round(x.to(accumulator(x.dtype)) / level)).to(x.dtype)

    def rows(self, x: Tensor) -> Tensor:
        """Keys or values, `[tokens, kv_heads, dim]`, as a softmax branch keeps them."""
        return quantise_rows(x).dense(accumulator(x.dtype)).to(x.dtype) if self.int8_rows else x


def _sum_over_ranks(sums: Tensor) -> Tensor:
    """Of f64 `[..., 1]`. vLLM's ranks on CPUs exchange no f64, so each gives its sum as two f32 numbers, which lose nothing that counts."""
    high = sums.to(torch.float32)
    low = (sums - high.to(sums.dtype)).to(torch.float32)
    gathered = tensor_model_parallel_all_gather(torch.cat([high, low], dim=-1), dim=-1)
    return gathered.to(sums.dtype).sum(dim=-1, keepdim=True)
