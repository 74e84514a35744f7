"""Tiny models of the alternating and the parallel form."""

from dataclasses import replace

import torch
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.config import Config
from spikingbrain.convert.blocks.tower import Tower
from spikingbrain.convert.export.result import ConvertedSource
from spikingbrain.convert.hybrid.form import Alternating, Hybrid, Parallel, hybrid_config
from spikingbrain.convert.hybrid.mixer import mixer_tensors
from spikingbrain.convert.hybrid.student import hybrid_tower
from spikingbrain.convert.student import STUDENT
from spikingbrain.convert.train.team import Team
from spikingbrain.model.model import Model
from spikingbrain.model.weights import gather_weights
from support.convert_models import BIASED, TEACHER, TensorSource

SEED = 0
ALTERNATING = Alternating(window=24, kept=3, gate_rank=4)
PARALLEL = Parallel(window=24, kept=3, full_every=2)
FORMS = {
    "the 7B's": (TEACHER, ALTERNATING),
    "the 7B's beside frozen windows": (BIASED, replace(ALTERNATING, train_windows=False, linear_every=3, linear_first=1)),
    "alternating with a tied gate": (
        TEACHER,
        replace(ALTERNATING, gate="one_minus_key", feature_map="sigmoid", head_norm=False, rope=True, train_windows=False),
    ),
    "the 76B's": (TEACHER, PARALLEL),
    "the 76B's with separate projections": (BIASED, replace(PARALLEL, projections="separate")),
    "parallel with a learned gate": (
        TEACHER,
        replace(PARALLEL, gate="learned", feature_map="relu", head_norm=True, branch_norm="head", full_every=0),
    ),
}


def tower_of(teacher: Config, hybrid: Hybrid, busy: bool = True) -> Tower:
    """In f32; busy, every trained parameter is moved far enough to show in the logits."""
    tower = hybrid_tower(TensorSource(teacher), hybrid, SEED, Team(), torch.float32)
    generator = torch.Generator().manual_seed(5)
    if busy:
        with torch.no_grad():
            for parameter in tower.variants[STUDENT].parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return tower


def converted(teacher: Config, hybrid: Hybrid, tower: Tower) -> ConvertedSource:
    tensors = mixer_tensors(tower.variants[STUDENT], teacher.biases.query_key_value)
    return ConvertedSource(TensorSource(teacher), hybrid_config(teacher, hybrid, "tiny"), tensors)


def reference(source: ConvertedSource) -> Model:
    tensors = {name.name: read_tensor(source, name) for name in source.names}
    return Model(source.config, gather_weights(source.config, lambda name: tensors[name]))
