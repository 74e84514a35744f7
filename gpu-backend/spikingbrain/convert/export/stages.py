"""The files that come of a conversion."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from spikingbrain.checkpoint.opening import find_tokenizer
from spikingbrain.convert.export.delta import base_of, write_delta
from spikingbrain.convert.export.result import ConvertedSource, branch_tensors, converted_config
from spikingbrain.convert.export.tuned import tuned_norms, tuned_scales
from spikingbrain.convert.hybrid.form import Hybrid, hybrid_config
from spikingbrain.convert.hybrid.mixer import mixer_tensors
from spikingbrain.convert.measure.curves import draw_runs
from spikingbrain.convert.spikes.stages import spiking_variant
from spikingbrain.convert.towers import STATE, STUDENT
from spikingbrain.convert.work import Work
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.export.tensor_type import FileTypeName


def export(work: Work) -> None:
    hybrid, name = work.settings.hybrid, work.settings.name
    if hybrid is None:
        path = work.folder / f"{name}.delta.gguf"
        _deltas(work, path)
    else:
        path = work.folder / f"{name}.gguf"
        tokenizer = find_tokenizer(work.settings.teacher, work.source)
        write_gguf(_converted(work, hybrid), path, cast(FileTypeName, work.settings.export.type), tokenizer)
    work.report(f"wrote {path}")
    draw_runs([work.folder / stage for stage in ("transfer", "distil", "sft")], work.folder / "curves.svg")


def _deltas(work: Work, path: Path) -> None:
    """Of the model, and of its spiking variant where there is one."""
    config = converted_config(work.source.config, work.settings.reach, work.settings.name)
    tensors, base = branch_tensors(work.trained()[STATE]), base_of(work.settings.teacher)
    write_delta(path, config, tensors, base)
    variant = spiking_variant(work)
    if variant is None:
        return
    spiking, tuning = variant
    named = replace(config, name=f"{config.name}-spiking", spiking=spiking)
    norms, scales = ({}, {}) if tuning is None else (tuned_norms(work.source, tuning), tuned_scales(work.source, tuning))
    write_delta(work.folder / f"{named.name}.delta.gguf", named, tensors | norms, base, scales)


def _converted(work: Work, hybrid: Hybrid) -> ConvertedSource:
    """The whole model as trained, of a form that is not `evicted`."""
    teacher = work.source.config
    tensors = mixer_tensors(work.trained_tower().variants[STUDENT], teacher.biases.query_key_value)
    return ConvertedSource(work.source, hybrid_config(teacher, hybrid, work.settings.name), tensors)
