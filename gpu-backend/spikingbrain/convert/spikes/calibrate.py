"""Which threshold each site takes: for every site alone, what a k costs and how many channels it leaves active; then, of all choices, the
one with the fewest active multiply-accumulates whose costs add up to at most a budget, or the one of the least cost that leaves at most
some share of them active.

Costs are divergences from the same student without spikes, nats a token, beyond what it costs that keys and values are int8 and every site
fires, however finely. That they add up is an assumption, so what the chosen ones cost together is measured too.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from spikingbrain.config import Config, Site, Spiking, SpikingMode
from spikingbrain.convert.measure.quality import mean_divergence, token_losses
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.firing import Activity, Firing
from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.student import Student
from spikingbrain.rules import ConfigError
from spikingbrain.spike.modes import SITES
from spikingbrain.spike.weight_codes import quantise_weight

MODE: SpikingMode = "paper"
# So fine that a site might as well not fire: what the others cost alone shows.
FINEST = 1_024.0
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


def rounded_trunk(trunk: Trunk) -> Trunk:
    """Every matrix that the spikes meet as W8 holds it: int8 codes with a scale for each row and 128 inputs (`spike/weight_codes.py`)."""

    def rounded(weight: Tensor) -> Tensor:
        return quantise_weight(weight).dense().to(weight.dtype)

    def layer(one: FrozenLayer) -> FrozenLayer:
        matrices = {name: rounded(getattr(one, name)) for name in ("query_key_value", "output", "gate_up", "down")}
        return replace(one, **matrices)

    return replace(trunk, layers=tuple(layer(one) for one in trunk.layers))


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


class Calibration:
    """Of one student, on some texts."""

    def __init__(self, trunk: Trunk, reach: Reach, branches: Branches, texts: Sequence[Tensor]) -> None:
        self.trunk, self.reach, self.branches, self.texts = trunk, reach, branches, texts
        self.plain = [self._residual(text, Firing()) for text in texts]

    def measure(self, spiking: Spiking, trunk: Trunk | None = None) -> tuple[float, dict[Site, Activity]]:
        """Divergence from the student without spikes, and what was active; `trunk` is one that was trained to fire."""
        activity: dict[Site, Activity] = {}
        total = 0.0
        for text, plain in zip(self.texts, self.plain, strict=True):
            residual = self._residual(text, Firing(spiking, activity), trunk)
            total += mean_divergence(self.trunk, residual, plain) * len(text)
        return total / sum(len(text) for text in self.texts), activity

    def trials(self, ks: Sequence[float], report: Callable[[str], None]) -> Trials:
        """Every k at every site that the model has."""
        sites = tuple(site for site in SITES if site in multiply_accumulates(self.trunk.config, self.reach))
        found: dict[Site, list[Trial]] = {}
        least, _ = self.measure(Spiking(mode=MODE, k=FINEST))
        report(f"the finest thresholds: {least:.4f}")
        for site in sites:
            for k in ks:
                cost, activity = self.measure(Spiking(mode=MODE, k=FINEST, site_k=((site, k),)))
                found.setdefault(site, []).append(Trial(k, max(cost - least, 0.0), activity[site].share))
            report(f"{site}: " + ", ".join(f"k {one.k:g} {one.divergence:.4f} {one.active:.3f}" for one in found[site]))
        return found

    def curve(self, choices: Sequence[Choice], documents: Sequence[Tensor], report: Callable[[str], None]) -> list[dict[str, object]]:
        """For each choice what it costs: divergence on the calibration's texts, perplexity of the documents, with W8 weights too, and
        activity there; without spikes first."""
        silent, rounded = Firing(), rounded_trunk(self.trunk)
        plain: dict[str, object] = {
            "perplexity": self.perplexity(documents, silent),
            "perplexity of W8": self.perplexity(documents, silent, rounded),
        }
        lines: list[dict[str, object]] = [{"budget": 0.0} | plain]
        for choice in choices:
            point = self.point(choice.spiking, documents)
            lines.append({"budget": choice.budget, "k": dict(choice.spiking.site_k)} | point)
            said = ", ".join(f"{name} {value:.4f}" for name, value in point.items() if isinstance(value, float))
            report(f"budget {choice.budget:g}: {said}")
        return lines

    def point(self, spiking: Spiking, documents: Sequence[Tensor], trunk: Trunk | None = None) -> dict[str, object]:
        """What some thresholds cost, by the trunk or by one that was trained to fire; activity is that on the documents."""
        activity: dict[Site, Activity] = {}
        perplexity = self.perplexity(documents, Firing(spiking, activity), trunk)
        active, work = {site: counted.share for site, counted in activity.items()}, multiply_accumulates(self.trunk.config, self.reach)
        return {
            "divergence": self.measure(spiking, trunk)[0],
            "perplexity": perplexity,
            "perplexity of W8": self.perplexity(documents, Firing(spiking), rounded_trunk(trunk or self.trunk)),
            "active multiply-accumulates": active_work(active, work),
            "active": active,
        }

    @torch.no_grad()
    def perplexity(self, documents: Sequence[Tensor], firing: Firing, trunk: Trunk | None = None) -> float:
        parts = [token_losses(self.trunk, self._residual(text, firing, trunk), text[1:]) for text in documents]
        return math.exp(float(torch.cat(parts).mean()))

    @torch.no_grad()
    def _residual(self, text: Tensor, firing: Firing, trunk: Trunk | None = None) -> Tensor:
        student = Student(trunk or self.trunk, self.reach, self.branches, firing)
        return student.residual(text, student.begin())[0]


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
