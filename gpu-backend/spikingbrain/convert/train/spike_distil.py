"""Distillation through spikes: a trunk learns to be read by neurons whose thresholds are given.

What it is drawn to is the student without spikes, on texts so short that nothing leaves the window: the branch, which reads nothing that
fires but the queries of salient tokens, is left as it is. Gradients pass straight through the neurons (`spike/neuron.py`).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from spikingbrain.config import Spiking
from spikingbrain.convert.spikes.calibrate import calibration_of, documents_of, trials_of
from spikingbrain.convert.spikes.curve import draw_spike_curve
from spikingbrain.convert.spikes.thresholds import choose_active, multiply_accumulates
from spikingbrain.convert.student import Measures
from spikingbrain.convert.train.run import Run
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.losses import divergence
from spikingbrain.convert.trunk.near import near_residual
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.tuning import Tuning, make_tuning, tuning_rate
from spikingbrain.convert.work import Work

TUNED = "tuned"


def spike_distil(work: Work) -> None:
    """Each point goes on from where the one before, whose thresholds were lower, was left."""
    settings = work.settings.spike_distil
    if not settings.active:
        work.report("spike-distil: no points in the settings")
        return
    calibration, documents = calibration_of(work), documents_of(work)
    trials, macs = trials_of(work, calibration), multiply_accumulates(work.source.config, work.settings.reach)
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


def _line(curve: Sequence[Mapping[str, Mapping[str, float]]], when: str) -> list[tuple[float, float]]:
    return [(point[when]["active multiply-accumulates"], point[when]["perplexity"]) for point in curve]


def spike_distil_step(trunk: Trunk, reach: Reach, tuning: Tuning, spiking: Spiking, tokens: Tensor) -> float:
    """Adds a gradient to the tuning and returns the mean KL divergence, nats, over all positions."""
    with torch.no_grad():
        wanted = near_residual(trunk, reach, tokens, Firing())
    residual = near_residual(tuning.trunk(trunk), reach, tokens, Firing(spiking))
    mean, gradient = divergence(trunk, residual.detach(), wanted)
    residual.backward(gradient)  # type: ignore[no-untyped-call]
    return mean
