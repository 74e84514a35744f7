"""An evicted-tokens branch beside its frozen attention, as a tower's mixer."""

from typing import cast

from torch import Tensor, nn
from torch.nn.functional import linear

from spikingbrain.convert.trunk.branch import Branch, Carry
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.convert.trunk.student import Positions, read_exactly, shape_of


def evicted_added(trunk: Trunk, layer: FrozenLayer, mixer: nn.Module, normed: Tensor, positions: Positions) -> Tensor:
    """See `tower.Added`."""
    branch = cast(Branch, mixer)
    empty = Carry.empty(shape_of(trunk.config), positions.reach, normed.dtype)
    segment, _, _ = read_exactly(trunk, layer, normed, empty, positions, branch.salience, Firing())
    heads, _, _ = branch(segment, empty)
    return linear(heads.flatten(1), layer.output)
