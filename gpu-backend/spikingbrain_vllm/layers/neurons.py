"""Where the run's mode says so, inputs of products become spikes, as in `spikingbrain.model.neurons`."""

from dataclasses import dataclass

import torch
from spikingbrain.config import Config
from spikingbrain.precision import accumulator, widest
from spikingbrain.spike.key_value_codes import quantise_rows
from spikingbrain.spike.modes import FIRING, INT8_KEY_VALUES, SITES, Site
from spikingbrain.spike.neuron import LARGEST_THRESHOLD, LEAST_THRESHOLD, Spikes, fire
from torch import Tensor
from vllm.config import get_current_vllm_config
from vllm.distributed import get_tensor_model_parallel_world_size, tensor_model_parallel_all_gather

from spikingbrain_vllm.telemetry import meter  # noqa: F401 (defines the operation that counts)
from spikingbrain_vllm.telemetry.settings import directory_of


@dataclass(frozen=True)
class FanOut:
    """How many outputs each channel at a site feeds; of a query as many as it sees keys, at most `reach`, behind so many `sinks`."""

    outputs: int = 0
    reach: int = 0
    sinks: int = 0


class Neurons:
    """Of one layer."""

    def __init__(self, config: Config, layer: int) -> None:
        self.spiking, self.layer = config.spiking, layer
        self.counts = directory_of(get_current_vllm_config()) is not None
        self.ranks = get_tensor_model_parallel_world_size()
        self.int8_rows = INT8_KEY_VALUES[config.spiking.mode]

    def __call__(self, x: Tensor, site: Site, fan_out: FanOut, *, split: bool = False, chosen: Tensor | None = None) -> Tensor:
        """`x`, `[tokens, ..., channels]`, as the products at `site` read it. `split`: its channels are on all ranks, whose mean the
        threshold is of. `chosen`, `[tokens]`: those that are read at all."""
        if site not in FIRING[self.spiking.mode]:
            return x
        spikes = self._fire(x, self.spiking.k_at(site), split=split)
        values = spikes.values(x.dtype)
        if self.counts:
            where = [self.layer, SITES.index(site), fan_out.outputs, fan_out.reach, fan_out.sinks]
            torch.ops.vllm.spikingbrain_count(spikes.counts, chosen, values, where, split)
        return values

    def _fire(self, x: Tensor, k: float, *, split: bool) -> Spikes:
        if not split or self.ranks == 1:
            return fire(x, k)
        mean = _sum_over_ranks(x.abs().sum(dim=-1, keepdim=True, dtype=widest(x.device))) / (x.shape[-1] * self.ranks)
        level = (mean / k).clamp(LEAST_THRESHOLD, LARGEST_THRESHOLD).to(torch.float32)
        return Spikes(torch.round(x.to(accumulator(x.dtype)) / level), level)

    def rows(self, x: Tensor) -> Tensor:
        """Keys or values, `[tokens, kv_heads, dim]`, as a softmax branch keeps them."""
        return quantise_rows(x).dense(accumulator(x.dtype)).to(x.dtype) if self.int8_rows else x


def _sum_over_ranks(sums: Tensor) -> Tensor:
    """Of f64 `[..., 1]`. vLLM's ranks on CPUs exchange no f64, so each gives its sum as two f32 numbers, which lose nothing that counts."""
    high = sums.to(torch.float32)
    low = (sums - high.to(sums.dtype)).to(torch.float32)
    gathered = tensor_model_parallel_all_gather(torch.cat([high, low], dim=-1), dim=-1)
    return gathered.to(sums.dtype).sum(dim=-1, keepdim=True)
