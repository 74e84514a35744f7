"""The evicted form where every process holds the whole trunk: branches with a state, and the stateless control."""

from collections.abc import Mapping

from torch import Tensor

from spikingbrain.config import Config
from spikingbrain.convert.student import CONTROL, STATE, WINDOW, Measures, Reader
from spikingbrain.convert.trunk import steps
from spikingbrain.convert.trunk.branch import Branches, put_salience, switch_sums_off
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.rates import branch_rate
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import TrunkReader, make_branches
from spikingbrain.convert.trunk.tensors import branch_tensors, converted_config


class TrunkStudent:
    """See `convert.student.Student`. As it is made it is untrained, with the salience that was fitted, `[layers, kv_heads, head_dim]`."""

    is_delta = True

    def __init__(self, trunk: Trunk, reach: Reach, salience: Tensor) -> None:
        self.trunk, self.reach = trunk, reach
        self.trained: Mapping[str, Branches] = {name: make_branches(trunk.config, reach, name == CONTROL) for name in (STATE, CONTROL)}
        put_salience(salience, self.trained.values())

    def start(self, tokens: Tensor) -> None:
        """Branches start as they are made."""

    def leave_untrained(self) -> None:
        """Without any training: leaves the window and the salient tokens. The control would be the window."""
        switch_sums_off(self.trained[STATE])
        self.trained = {STATE: self.trained[STATE]}

    def after_transfer(self) -> None:
        steps.soften(self.trained.values())

    def transfer_step(self, tokens: Tensor, layers: range) -> Measures:
        return steps.transfer_step(self.trunk, self.reach, self.trained, tokens, layers)

    def distil_step(self, tokens: Tensor, chosen: Tensor) -> Measures:
        return steps.distil_step(self.trunk, self.reach, self.trained, tokens, chosen)

    def sft_step(self, tokens: Tensor, mask: Tensor) -> Measures:
        return steps.sft_step(self.trunk, self.reach, self.trained, tokens, mask)

    def rate(self, name: str, parameter: Tensor) -> float:
        return branch_rate(name, parameter)

    def readers(self) -> Mapping[str, Reader]:
        variants = {**self.trained, WINDOW: make_branches(self.trunk.config, self.reach, stateless=True)}
        return {name: TrunkReader(self.trunk, self.reach, branches) for name, branches in variants.items()}

    def config(self, name: str) -> Config:
        return converted_config(self.trunk.config, self.reach, name)

    def tensors(self) -> dict[str, Tensor]:
        return branch_tensors(self.trained[STATE])
