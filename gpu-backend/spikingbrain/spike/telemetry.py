"""What is measured of spikes (`gpu-backend/docs/model.md#86-what-is-measured`): sums that are exact in integers, and the shares and means
read from them.

A channel's spikes are those of the bidirectional coding: the ones among the binary digits of its count. A token's steps are as many as its
largest count has digits, cut into windows of three from the last, least significant step backwards, so that a count of at most 7 lies in
one window; the first window may be short. The paper's figure shows the shares of windows with 0, 1, 2 and at least 3 spikes.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from spikingbrain.spike.coding import bit_length
from spikingbrain.spike.energy import Energy, estimate
from spikingbrain.spike.modes import SITES, Site

WINDOW_STEPS = 3
SMALL_COUNT = 2**WINDOW_STEPS - 1


@dataclass(frozen=True, kw_only=True)
class SpikeCounts:
    """Sums over channels and tokens; two of them add up."""

    channels: int = 0
    silent: int = 0
    """Channels with count 0."""
    small: int = 0
    """Channels with a count of at most 7 in magnitude."""
    count: int = 0
    """Sum of the counts' magnitudes."""
    spikes: int = 0
    """Sum of the counts' ones in binary."""
    windows: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Three-step windows with 0, 1, 2 and at least 3 spikes."""
    multiply_accumulates: int = 0
    """Of a dense product: inputs times outputs."""
    skipped: int = 0
    """Those of silent channels, which an event-driven product leaves out."""
    additions: int = 0
    """Spikes times outputs: what a product step by step does."""

    def __add__(self, other: "SpikeCounts") -> "SpikeCounts":
        sums = {one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self) if one.name != "windows"}
        first, second, third, fourth = (mine + theirs for mine, theirs in zip(self.windows, other.windows, strict=True))
        return SpikeCounts(**sums, windows=(first, second, third, fourth))

    @property
    def silent_share(self) -> float:
        return _share(self.silent, self.channels)

    @property
    def small_share(self) -> float:
        return _share(self.small, self.channels)

    @property
    def mean_count(self) -> float:
        return _share(self.count, self.channels)

    @property
    def mean_spikes(self) -> float:
        return _share(self.spikes, self.channels)

    @property
    def window_shares(self) -> tuple[float, ...]:
        return tuple(_share(windows, sum(self.windows)) for windows in self.windows)

    @property
    def energy(self) -> Energy:
        return estimate(self.additions, self.multiply_accumulates)


def count_spikes(counts: Tensor, outputs: int | Tensor, *, largest: Tensor | None = None) -> SpikeCounts:
    """Of counts `[..., channels]`; `outputs` is how many products each channel takes part in, a number or `[..., 1]` int64. `largest`,
    `[..., 1]`: the largest magnitude where these are not all of a token's channels."""
    magnitudes = counts.detach().abs().to(torch.int64)
    most = magnitudes.amax(dim=-1, keepdim=True) if largest is None else largest.to(torch.int64)
    steps = bit_length(most).clamp(min=1)
    spikes = torch.zeros_like(magnitudes)
    histogram = torch.zeros(4, dtype=torch.int64, device=magnitudes.device)
    for start in range(0, int(steps.max()), WINDOW_STEPS):
        digits = [(magnitudes >> bit) & 1 for bit in range(start, start + WINDOW_STEPS)]
        in_window = torch.stack(digits).sum(dim=0)
        spikes += in_window
        histogram += torch.bincount(in_window[(steps > start).expand_as(in_window)], minlength=4)
    fan_out = torch.as_tensor(outputs, dtype=torch.int64, device=magnitudes.device)
    silent = magnitudes == 0
    zero, one, two, three = histogram.tolist()
    return SpikeCounts(
        channels=magnitudes.numel(),
        silent=int(silent.sum()),
        small=int((magnitudes <= SMALL_COUNT).sum()),
        count=int(magnitudes.sum()),
        spikes=int(spikes.sum()),
        windows=(zero, one, two, three),
        multiply_accumulates=int(torch.ones_like(magnitudes).mul(fan_out).sum()),
        skipped=int((silent * fan_out).sum()),
        additions=int((spikes * fan_out).sum()),
    )


@dataclass
class SpikeMeter:
    """Counts of a request, by layer and site."""

    counts: defaultdict[tuple[int, Site], SpikeCounts] = field(default_factory=lambda: defaultdict(SpikeCounts), init=False)

    def record(self, layer: int, site: Site, counts: Tensor, outputs: int | Tensor) -> None:
        self.counts[layer, site] += count_spikes(counts, outputs)

    def total(self) -> SpikeCounts:
        return _sum(self.counts.values())

    def by_layer(self) -> dict[int, SpikeCounts]:
        layers = sorted({layer for layer, _ in self.counts})
        return {layer: _sum(counts for (of, _), counts in self.counts.items() if of == layer) for layer in layers}

    def by_site(self) -> dict[Site, SpikeCounts]:
        seen = {site for _, site in self.counts}
        return {site: _sum(counts for (_, of), counts in self.counts.items() if of == site) for site in SITES if site in seen}


def _sum(counts: Iterable[SpikeCounts]) -> SpikeCounts:
    return sum(counts, start=SpikeCounts())


def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0
