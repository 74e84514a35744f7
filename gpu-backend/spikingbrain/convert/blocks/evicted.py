"""The evicted form in a tower, for processes that share out the weights: branches beside frozen attention as its mixers."""

from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.config import Config
from spikingbrain.convert.blocks.student import TowerStudent
from spikingbrain.convert.blocks.tower import Tower
from spikingbrain.convert.student import CONTROL, STATE
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.branch import Branch, Branches, Carry
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.convert.trunk.rates import branch_rate
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import Positions, read_exactly, shape_of
from spikingbrain.convert.trunk.steps import soften
from spikingbrain.convert.trunk.tensors import branch_tensors, converted_config


class EvictedStudent(TowerStudent):
    """Branches with a state, and the stateless control."""

    is_delta = True

    def __init__(self, tower: Tower, team: Team, reach: Reach) -> None:
        super().__init__(tower, team, reach.window + reach.kept)
        self.reach = reach

    def start(self, tokens: Tensor) -> None:
        """Branches start as they are made."""

    def after_transfer(self) -> None:
        soften(cast(Iterable[Branches], self.trained.values()))

    def rate(self, name: str, parameter: Tensor) -> float:
        return branch_rate(name, parameter)

    def config(self, name: str) -> Config:
        return converted_config(self.trunk.config, self.reach, name)

    def tensors(self) -> dict[str, Tensor]:
        return branch_tensors(cast(Branches, self.trained[STATE]))


def evicted_tower(source: WeightSource, reach: Reach, salience: Tensor, team: Team, dtype: torch.dtype = torch.bfloat16) -> Tower:
    """Branches with a state, `salience` `[layers, kv_heads, head_dim]` in them, and stateless ones."""

    def mixers(index: int, _: FrozenLayer) -> Mapping[str, nn.Module]:
        branches = {name: Branch(shape_of(source.config), reach, stateless=name == CONTROL) for name in (STATE, CONTROL)}
        remembering = branches[STATE].salience
        assert remembering is not None
        remembering.copy_(salience[index])
        return branches

    return Tower(source, mixers, evicted_added, reach, team, dtype)


def evicted_added(trunk: Trunk, layer: FrozenLayer, mixer: nn.Module, normed: Tensor, positions: Positions) -> Tensor:
    """See `tower.Added`."""
    branch = cast(Branch, mixer)
    empty = Carry.empty(shape_of(trunk.config), positions.reach, normed.dtype)
    segment, _, _ = read_exactly(trunk, layer, normed, empty, positions, branch.salience, Firing())
    heads, _, _ = branch(segment, empty)
    return linear(heads.flatten(1), layer.output)
