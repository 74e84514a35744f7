"""The choice of thresholds: of all that were tried, the ones with the fewest active multiply-accumulates whose costs add up to at most a
budget, or the ones of the least cost that leave at most some share of them active. That costs add up is an assumption: `calibrate.py`
measures what the chosen ones cost together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from spikingbrain.config import Config, Site, Spiking, SpikingMode
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.rules import ConfigError
from spikingbrain.spike.modes import SITES

MODE: SpikingMode = "paper"
# Of thresholds, from one that was tried to the next.
STEPS_BETWEEN = 4
# Nats, so that a cost of nothing has a logarithm.
LEAST_COST = 1e-6


@dataclass(frozen=True)
class Trial:
    k: float
    divergence: float
    """Beyond that of the finest thresholds."""
    active: float
    """Share of channels."""


@dataclass(frozen=True)
class Choice:
    budget: float
    spiking: Spiking


Trials = Mapping[Site, Sequence[Trial]]


def multiply_accumulates(config: Config, reach: Reach) -> dict[Site, int]:
    """Of one token far into a text, by the site that the products read: a layer's."""
    inner, hidden, width = config.feed_forward_inner, config.hidden, config.heads * config.head_dim
    return {
        "attention_in": hidden * (width + 2 * config.kv_heads * config.head_dim),
        "query": width * (reach.window + reach.kept + reach.salient),
        "attention_out": width * hidden,
        "feed_forward_in": hidden * 2 * inner,
        "feed_forward_down": inner * hidden,
    }


def active_work(active: Mapping[Site, float], work: Mapping[Site, int]) -> float:
    """Share of the multiply-accumulates whose input fired at all."""
    return sum(work[site] * share for site, share in active.items()) / sum(work[site] for site in active)


def choose(trials: Trials, work: Mapping[Site, int], budget: float) -> Spiking:
    """The least active work whose costs add up to at most `budget`."""
    best = [chosen for chosen in _by_price(trials, work) if sum(one.divergence for one in chosen.values()) <= budget]
    if not best:
        least = sum(min(one.divergence for one in of_site) for of_site in trials.values())
        raise ConfigError("spikes.budgets", f"at least {least:.4f}, the least that is possible", budget)
    return spiking_of({site: one.k for site, one in best[-1].items()})


def choose_active(trials: Trials, work: Mapping[Site, int], active: float) -> Spiking:
    """The least cost that leaves at most a share of `active` of the work, among thresholds that were tried and ones between."""
    finer = {site: between(of_site) for site, of_site in trials.items()}
    for chosen in _by_price(finer, work):
        if active_work({site: one.active for site, one in chosen.items()}, work) <= active:
            return spiking_of({site: one.k for site, one in chosen.items()})
    least = active_work({site: min(one.active for one in of_site) for site, of_site in trials.items()}, work)
    raise ConfigError("spike_distil.active", f"at least {least:.4f}, the least that was tried", active)


def between(trials: Sequence[Trial]) -> list[Trial]:
    """With thresholds between neighbouring ones. Their activity lies on straight lines over the logarithm of k, their cost on such lines
    too, as a logarithm: guesses, and `Calibration.point` measures what is made of them."""
    ordered, found = sorted(trials, key=lambda one: one.k), []
    for low, high in pairwise(ordered):
        for step in range(STEPS_BETWEEN):
            share = step / STEPS_BETWEEN
            k, cost = (a * (b / a) ** share for a, b in ((low.k, high.k), (low.divergence + LEAST_COST, high.divergence + LEAST_COST)))
            found.append(Trial(float(f"{k:.3g}"), cost, low.active + (high.active - low.active) * share))
    return [*found, *ordered[-1:]]


def _by_price(trials: Trials, work: Mapping[Site, int]) -> Iterator[dict[Site, Trial]]:
    """What is cheapest for each site where active work has a price, for a rising one: from next to nothing to more than any text costs,
    in nats for all work to be active."""
    whole = sum(work[site] for site in trials)
    for price in (10 ** (step / 40 - 4) for step in range(280)):
        yield {site: min(trials[site], key=lambda one: one.divergence + price * work[site] / whole * one.active) for site in trials}


def spiking_of(k: Mapping[Site, float]) -> Spiking:
    return Spiking(mode=MODE, site_k=tuple((site, k[site]) for site in SITES if site in k))
