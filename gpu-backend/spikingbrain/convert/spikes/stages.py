"""The spiking variant: thresholds that are calibrated, and trunks that are trained through them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikingbrain.config import Site, Spiking
from spikingbrain.convert.data.corpus import open_corpus
from spikingbrain.convert.measure.evaluation import held_out_documents
from spikingbrain.convert.spikes.calibrate import (
    Calibration,
    Choice,
    Trial,
    Trials,
    choose,
    choose_active,
    multiply_accumulates,
    spiking_of,
)
from spikingbrain.convert.spikes.curve import draw_spike_curve
from spikingbrain.convert.towers import STATE
from spikingbrain.convert.train.run import Measures, Run, load_branches
from spikingbrain.convert.train.spike_distil import spike_distil_step
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.tuning import Tuning, make_tuning, tuning_rate
from spikingbrain.convert.work import Work
from spikingbrain.rules import ConfigError
from spikingbrain.spike.modes import SITES

TUNED = "tuned"


def spikes(work: Work) -> None:
    settings, reach = work.settings.spikes, work.settings.reach
    calibration = _calibration(work)
    trials = _trials(work, calibration)
    macs = multiply_accumulates(work.source.config, reach)
    choices = [Choice(budget, choose(trials, macs, budget)) for budget in settings.budgets]
    lines = calibration.curve(choices, _documents(work), work.report)
    (work.folder / "spikes.json").write_text(json.dumps({"curve": lines}), encoding="utf-8")


def spike_distil(work: Work) -> None:
    """Each point goes on from where the one before, whose thresholds were lower, was left."""
    settings = work.settings.spike_distil
    if not settings.active:
        work.report("spike-distil: no points in the settings")
        return
    calibration, documents = _calibration(work), _documents(work)
    trials, macs = _trials(work, calibration), multiply_accumulates(work.source.config, work.settings.reach)
    tuning, path = make_tuning(work.trunk, settings.matrices), work.folder / "spike-distil" / "curve.json"
    curve = json.loads(path.read_text(encoding="utf-8"))["curve"] if path.is_file() else []
    plain = calibration.perplexity(documents, Firing())
    for index, active in enumerate(settings.active):
        spiking = choose_active(trials, macs, active)
        _train(work, index, tuning, spiking)
        if not any(point["wanted"] == active for point in curve):
            with torch.no_grad():
                tuned = tuning.trunk(work.trunk)
            measured = {name: calibration.point(spiking, documents, trunk) for name, trunk in (("before", work.trunk), ("after", tuned))}
            curve.append({"wanted": active, "k": dict(spiking.site_k)} | measured)
            path.write_text(json.dumps({"plain": plain, "curve": curve}), encoding="utf-8")
        point = next(point for point in curve if point["wanted"] == active)
        said = (f"{when} {point[when]['perplexity']:.3f}" for when in ("before", "after"))
        work.report(f"active {point['after']['active multiply-accumulates']:.3f}: perplexity " + ", ".join(said))

    lines = {name: _line(curve, when) for name, when in (("calibrated", "before"), ("distilled", "after"))}
    draw_spike_curve(lines, plain, work.folder / "spike-distil" / "curve.svg")


def _line(curve: Sequence[Mapping[str, Mapping[str, float]]], when: str) -> list[tuple[float, float]]:
    return [(point[when]["active multiply-accumulates"], point[when]["perplexity"]) for point in curve]


def _train(work: Work, index: int, tuning: Tuning, spiking: Spiking) -> None:
    """The point of an index; none reads what another one has read."""
    settings, mix = work.settings.spike_distil, work.mix(work.settings.spike_distil, 4)
    first = index * settings.steps * settings.sequences

    def learn(number: int, index: int) -> Measures:
        tokens = mix.sequence(first + number * settings.sequences + index, settings.tokens).tokens
        return {TUNED: [spike_distil_step(work.trunk, work.settings.reach, tuning, spiking, tokens)]}

    folder = point_folder(work, settings.active[index])
    run = Run(folder, {TUNED: tuning}, settings.steps, settings.sequences, settings.rate_factor, rate_of=tuning_rate)
    run.go(learn, work.report)


def point_folder(work: Work, active: float) -> Path:
    """Where the run of one point is."""
    return work.folder / "spike-distil" / f"active-{active:g}"


def spiking_variant(work: Work) -> tuple[Spiking, Tuning | None] | None:
    """The thresholds of the point that the settings name, and what was trained through them, if at all; None where no stage has run."""
    distilled, spikes = work.settings.spike_distil, work.settings.spikes
    if distilled.chosen > 0:
        tuning = make_tuning(work.trunk, distilled.matrices)
        load_branches(point_folder(work, distilled.chosen), {TUNED: tuning})
        return spiking_of(_point(work.folder / "spike-distil" / "curve.json", "spike_distil", "wanted", distilled.chosen)), tuning
    path = work.folder / "spikes.json"
    return (spiking_of(_point(path, "spikes", "budget", spikes.chosen)), None) if path.is_file() else None


def _point(path: Path, table: str, by: str, chosen: float) -> Mapping[Site, float]:
    """The thresholds of one point of a stage's curve."""
    curve = json.loads(path.read_text(encoding="utf-8"))["curve"]
    found = next((point for point in curve if point[by] == chosen and "k" in point), None)
    if found is None:
        raise ConfigError(f"{table}.chosen", f"the {by} of one of the curve's points, {[point[by] for point in curve]}", chosen)
    thresholds: Mapping[Site, float] = found["k"]
    return thresholds


def _calibration(work: Work) -> Calibration:
    settings = work.settings.spikes
    mix = work.mix(settings, 3)
    texts = [mix.sequence(index, settings.tokens).tokens for index in range(settings.sequences)]
    return Calibration(work.trunk, work.settings.reach, work.trained()[STATE], texts)


def _documents(work: Work) -> Sequence[Tensor]:
    """Held out, whose perplexity the curves give."""
    settings, corpus = work.settings.spikes, open_corpus(work.folder / "held")
    indices = held_out_documents(corpus, settings.documents, work.settings.evaluation.document_tokens)
    return [torch.from_numpy(corpus.document(index)[: settings.document_tokens].astype(np.int64)) for index in indices]


def _trials(work: Work, calibration: Calibration) -> Trials:
    """Those of an earlier run, where the work folder has them: they take longest."""
    path = work.folder / "thresholds.json"
    if not path.is_file():
        made = calibration.trials(work.settings.spikes.ks, work.report)
        path.write_text(json.dumps({site: [asdict(one) for one in of_site] for site, of_site in made.items()}), encoding="utf-8")
    found = json.loads(path.read_text(encoding="utf-8"))
    return {site: [Trial(**one) for one in found[site]] for site in SITES if site in found}
