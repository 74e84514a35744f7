"""The tower of a conversion: which variants stand in it, by form."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.convert.blocks.evicted import evicted_added
from spikingbrain.convert.blocks.tower import Tower
from spikingbrain.convert.hybrid.form import Hybrid, hybrid_config, window_config
from spikingbrain.convert.hybrid.mixer import Mixer, mixer_added
from spikingbrain.convert.settings import Settings
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.branch import Branch
from spikingbrain.convert.trunk.frozen import FrozenLayer
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.student import shape_of

STATE, CONTROL = "state", "control"
STUDENT = "student"
WINDOW = "window"
"""Windows and kept tokens alone, untrained."""


def hybrid_tower(source: WeightSource, hybrid: Hybrid, settings: Settings, team: Team, dtype: torch.dtype = torch.bfloat16) -> Tower:
    """The student, and beside it the windows alone."""
    config, windows = hybrid_config(source.config, hybrid, settings.name), window_config(source.config, hybrid)

    def mixers(index: int, layer: FrozenLayer) -> Mapping[str, nn.Module]:
        student = Mixer(config, index, layer, hybrid.trains(config.layers[index]), settings.seed)
        return {STUDENT: student, WINDOW: Mixer(windows, index, layer, False, settings.seed)}

    return Tower(source, mixers, mixer_added, settings.reach, team, dtype)


def evicted_tower(source: WeightSource, reach: Reach, salience: Tensor, team: Team, dtype: torch.dtype = torch.bfloat16) -> Tower:
    """Branches with a state, `salience` `[layers, kv_heads, head_dim]` in them, and stateless ones."""

    def mixers(index: int, _: FrozenLayer) -> Mapping[str, nn.Module]:
        branches = {name: Branch(shape_of(source.config), reach, stateless=name == CONTROL) for name in (STATE, CONTROL)}
        remembering = branches[STATE].salience
        assert remembering is not None
        remembering.copy_(salience[index])
        return branches

    return Tower(source, mixers, evicted_added, reach, team, dtype)


def alone(team: Team) -> Team:
    """The same processes, each with all weights."""
    return replace(team, shares_weights=False)
