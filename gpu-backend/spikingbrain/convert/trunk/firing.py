"""The student's neurons: where the run's mode says so, inputs of products become spikes, and keys and values int8 (`spike/modes.py`).

Gradients pass straight through both."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikingbrain.config import Site, Spiking
from spikingbrain.spike.key_value_codes import quantise_rows
from spikingbrain.spike.modes import FIRING, INT8_KEY_VALUES
from spikingbrain.spike.neuron import fire, straight_through, through_spikes


@dataclass
class Activity:
    """Of one site."""

    channels: int = 0
    active: int = 0
    """Channels that fired at all."""

    @property
    def share(self) -> float:
        return self.active / self.channels


@dataclass
class Firing:
    spiking: Spiking = field(default_factory=Spiking)
    activity: dict[Site, Activity] | None = None
    """Where what fires is counted; counting costs time."""

    @property
    def quantises(self) -> bool:
        """Whether keys and values are int8."""
        return INT8_KEY_VALUES[self.spiking.mode]

    def __call__(self, x: Tensor, site: Site) -> Tensor:
        """`[..., channels]` as the products at `site` read it."""
        if site not in FIRING[self.spiking.mode]:
            return x
        spikes = fire(x, self.spiking.k_at(site))
        if self.activity is not None:
            counted = self.activity.setdefault(site, Activity())
            counted.channels += x.numel()
            counted.active += int(spikes.counts.count_nonzero())
        return through_spikes(x, spikes)

    def rows(self, x: Tensor) -> Tensor:
        """Keys or values, `[tokens, kv_heads, head_dim]`, as a window holds them."""
        if not self.quantises:
            return x
        with torch.no_grad():
            held = quantise_rows(x).dense(torch.float32).to(x.dtype)
        return straight_through(x, held)
