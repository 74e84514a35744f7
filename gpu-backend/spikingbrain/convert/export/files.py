"""The stage `export`: the files that come of a conversion."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from spikingbrain.checkpoint.opening import find_tokenizer
from spikingbrain.convert.export.delta import base_of, write_delta
from spikingbrain.convert.export.result import ConvertedSource
from spikingbrain.convert.export.tuned import tuned_norms, tuned_scales
from spikingbrain.convert.measure.curves import draw_runs
from spikingbrain.convert.spikes.variant import spiking_variant
from spikingbrain.convert.student import Student
from spikingbrain.convert.work import Work
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.export.tensor_type import FileTypeName


def export(work: Work) -> None:
    student = work.trained_student()
    path = _deltas(work, student) if student.is_delta else _whole(work, student)
    work.report(f"wrote {path}")
    draw_runs([work.folder / stage for stage in ("transfer", "distil", "sft")], work.folder / "curves.svg")


def _deltas(work: Work, student: Student) -> Path:
    """Of the model, and of its spiking variant where there is one."""
    path = work.folder / f"{work.settings.name}.delta.gguf"
    config, tensors, base = student.config(work.settings.name), student.tensors(), base_of(work.settings.teacher)
    write_delta(path, config, tensors, base)
    variant = spiking_variant(work)
    if variant is None:
        return path
    spiking, tuning = variant
    named = replace(config, name=f"{config.name}-spiking", spiking=spiking)
    norms, scales = ({}, {}) if tuning is None else (tuned_norms(work.source, tuning), tuned_scales(work.source, tuning))
    write_delta(work.folder / f"{named.name}.delta.gguf", named, tensors | norms, base, scales)
    return path


def _whole(work: Work, student: Student) -> Path:
    path = work.folder / f"{work.settings.name}.gguf"
    source = ConvertedSource(work.source, student.config(work.settings.name), student.tensors())
    tokenizer = find_tokenizer(work.settings.teacher, work.source)
    write_gguf(source, path, cast(FileTypeName, work.settings.export.type), tokenizer)
    return path
