"""The neurons of a layer: where the run's mode says so, inputs of products become spikes."""

from dataclasses import dataclass

from torch import Tensor

from spikingbrain.config import Spiking
from spikingbrain.spike.modes import FIRING, Site
from spikingbrain.spike.neuron import fire, through_spikes
from spikingbrain.spike.telemetry import SpikeMeter


@dataclass(frozen=True)
class Neurons:
    spiking: Spiking
    layer: int
    meter: SpikeMeter | None = None
    """Where what fires is counted; counting costs time."""

    def __call__(self, x: Tensor, site: Site, outputs: int | Tensor) -> Tensor:
        """`x`, `[..., channels]`, as the products at `site` read it; `outputs` is how many outputs each channel feeds."""
        if site not in FIRING[self.spiking.mode]:
            return x
        spikes = fire(x, self.spiking.k_at(site))
        if self.meter is not None:
            self.meter.record(self.layer, site, spikes.counts, outputs)
        return through_spikes(x, spikes)
