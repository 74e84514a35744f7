"""The spiking variant that is exported: a point of a curve that the stages have left."""

import json
from collections.abc import Mapping
from pathlib import Path

from spikingbrain.config import Site, Spiking
from spikingbrain.convert.spikes.thresholds import spiking_of
from spikingbrain.convert.train.run import load_branches
from spikingbrain.convert.train.spike_distil import TUNED, point_folder
from spikingbrain.convert.trunk.tuning import Tuning, make_tuning
from spikingbrain.convert.work import Work
from spikingbrain.rules import ConfigError


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
