"""Which threshold each site takes: for every site alone, what a k costs and how many channels it leaves active; then, of all choices, the
one with the fewest active multiply-accumulates whose costs add up to at most a budget.

Costs are divergences from the same student without spikes, nats a token, beyond what it costs that keys and values are int8 and every site
fires, however finely. That they add up is an assumption, so what the chosen ones cost together is measured too.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spikingbrain.config import Config, Site, Spiking, SpikingMode
from spikingbrain.convert.quality import mean_divergence, token_losses
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

    def measure(self, spiking: Spiking) -> tuple[float, dict[Site, Activity]]:
        """Divergence from the student without spikes, and what was active."""
        activity: dict[Site, Activity] = {}
        total = 0.0
        for text, plain in zip(self.texts, self.plain, strict=True):
            residual = self._residual(text, Firing(spiking, activity))
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
        rounded = Calibration(rounded_trunk(self.trunk), self.reach, self.branches, ())
        silent = Firing()
        plain: dict[str, object] = {
            "perplexity": self.perplexity(documents, silent),
            "perplexity of W8": rounded.perplexity(documents, silent),
        }
        lines: list[dict[str, object]] = [{"budget": 0.0} | plain]
        work = multiply_accumulates(self.trunk.config, self.reach)
        for choice in choices:
            activity: dict[Site, Activity] = {}
            perplexity = self.perplexity(documents, Firing(choice.spiking, activity))
            active = {site: counted.share for site, counted in activity.items()}
            mean = sum(work[site] * share for site, share in active.items()) / sum(work[site] for site in active)
            measured, _ = self.measure(choice.spiking)
            chosen: dict[str, object] = {"budget": choice.budget, "k": dict(choice.spiking.site_k), "divergence": measured}
            chosen["perplexity of W8"] = rounded.perplexity(documents, Firing(choice.spiking))
            lines.append(chosen | {"perplexity": perplexity, "active": active, "active multiply-accumulates": mean})
            report(f"budget {choice.budget:g}: divergence {measured:.4f}, perplexity {perplexity:.3f}, active {mean:.3f}")
        return lines

    @torch.no_grad()
    def perplexity(self, documents: Sequence[Tensor], firing: Firing) -> float:
        parts = [token_losses(self.trunk, self._residual(text, firing), text[1:]) for text in documents]
        return math.exp(float(torch.cat(parts).mean()))

    @torch.no_grad()
    def _residual(self, text: Tensor, firing: Firing) -> Tensor:
        student = Student(self.trunk, self.reach, self.branches, firing)
        return student.residual(text, student.begin())[0]


def choose(trials: Trials, work: Mapping[Site, int], budget: float) -> Spiking:
    """For a rising price of active work each site takes what is cheapest; the highest price whose costs fit the budget decides."""
    best: dict[Site, Trial] | None = None
    whole = sum(work[site] for site in trials)
    # Nats for all work to be active: from next to nothing to more than any text costs.
    for price in (10 ** (step / 40 - 4) for step in range(280)):
        chosen = {site: min(trials[site], key=lambda one: one.divergence + price * work[site] / whole * one.active) for site in trials}
        if sum(one.divergence for one in chosen.values()) <= budget:
            best = chosen
    if best is None:
        least = sum(min(one.divergence for one in of_site) for of_site in trials.values())
        raise ConfigError("spikes.budgets", f"at least {least:.4f}, the least that is possible", budget)
    return Spiking(mode=MODE, site_k=tuple((site, best[site].k) for site in SITES if site in best))
