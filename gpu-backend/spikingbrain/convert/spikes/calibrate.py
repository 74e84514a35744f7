"""Which threshold each site takes: for every site alone, what a k costs and how many channels it leaves active; and what the ones that
are chosen of them (`thresholds.py`) cost together.

Costs are divergences from the same student without spikes, nats a token, beyond what it costs that keys and values are int8 and every site
fires, however finely."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from spikingbrain.config import Site, Spiking
from spikingbrain.convert.data.corpus import open_corpus
from spikingbrain.convert.measure.evaluation import held_out_documents
from spikingbrain.convert.measure.quality import mean_divergence, token_losses
from spikingbrain.convert.spikes.thresholds import MODE, Choice, Trial, Trials, active_work, choose, multiply_accumulates
from spikingbrain.convert.student import STATE
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.firing import Activity, Firing
from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import TrunkReader
from spikingbrain.convert.work import Work
from spikingbrain.spike.modes import SITES
from spikingbrain.spike.weight_codes import quantise_weight

# So fine that a site might as well not fire: what the others cost alone shows.
FINEST = 1_024.0


def spikes(work: Work) -> None:
    settings, reach = work.settings.spikes, work.settings.reach
    calibration = calibration_of(work)
    trials = trials_of(work, calibration)
    macs = multiply_accumulates(work.source.config, reach)
    choices = [Choice(budget, choose(trials, macs, budget)) for budget in settings.budgets]
    lines = calibration.curve(choices, documents_of(work), work.report)
    (work.folder / "spikes.json").write_text(json.dumps({"curve": lines}), encoding="utf-8")


def rounded_trunk(trunk: Trunk) -> Trunk:
    """Every matrix that the spikes meet as W8 holds it: int8 codes with a scale for each row and 128 inputs (`spike/weight_codes.py`)."""

    def rounded(weight: Tensor) -> Tensor:
        return quantise_weight(weight).dense().to(weight.dtype)

    def layer(one: FrozenLayer) -> FrozenLayer:
        matrices = {name: rounded(getattr(one, name)) for name in ("query_key_value", "output", "gate_up", "down")}
        return replace(one, **matrices)

    return replace(trunk, layers=tuple(layer(one) for one in trunk.layers))


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
        student = TrunkReader(trunk or self.trunk, self.reach, self.branches, firing)
        return student.residual(text, student.begin())[0]


def calibration_of(work: Work) -> Calibration:
    settings = work.settings.spikes
    mix = work.mix(settings, 3)
    texts = [mix.sequence(index, settings.tokens).tokens for index in range(settings.sequences)]
    return Calibration(work.trunk, work.settings.reach, work.trained_branches()[STATE], texts)


def documents_of(work: Work) -> Sequence[Tensor]:
    """Held out, whose perplexity the curves give."""
    settings, corpus = work.settings.spikes, open_corpus(work.folder / "held")
    indices = held_out_documents(corpus, settings.documents, work.settings.evaluation.document_tokens)
    return [torch.from_numpy(corpus.document(index)[: settings.document_tokens].astype(np.int64)) for index in indices]


def trials_of(work: Work, calibration: Calibration) -> Trials:
    """Those of an earlier run, where the work folder has them: they take longest."""
    path = work.folder / "thresholds.json"
    if not path.is_file():
        made = calibration.trials(work.settings.spikes.ks, work.report)
        path.write_text(json.dumps({site: [asdict(one) for one in of_site] for site, of_site in made.items()}), encoding="utf-8")
    found = json.loads(path.read_text(encoding="utf-8"))
    return {site: [Trial(**one) for one in found[site]] for site in SITES if site in found}
