"""A form whose students stand in a tower: what the steps of training are, whatever the mixers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from spikingbrain.config import Config
from spikingbrain.convert.blocks import steps
from spikingbrain.convert.blocks.tower import Tower, TowerReader
from spikingbrain.convert.student import Measures, Reader
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.frozen import Trunk


class TowerStudent(ABC):
    """See `convert.student.Student`. `begin` is the first position at which a student may differ from its teacher."""

    def __init__(self, tower: Tower, team: Team, begin: int) -> None:
        self.tower, self.team, self.begin = tower, team, begin

    @property
    def trunk(self) -> Trunk:
        return self.tower.trunk

    @property
    def trained(self) -> Mapping[str, nn.ModuleList]:
        return self.tower.trained

    def transfer_step(self, tokens: Tensor, layers: range) -> Measures:
        return steps.transfer_step(self.tower, tokens.to(self.team.device), layers, self.begin)

    def distil_step(self, tokens: Tensor, chosen: Tensor) -> Measures:
        return steps.distil_step(self.tower, tokens.to(self.team.device), chosen.to(self.team.device))

    def sft_step(self, tokens: Tensor, mask: Tensor) -> Measures:
        return steps.sft_step(self.tower, tokens.to(self.team.device), mask.to(self.team.device), self.begin)

    def readers(self) -> Mapping[str, Reader]:
        return {name: TowerReader(self.tower, name) for name in self.tower.variants}

    @abstractmethod
    def start(self, tokens: Tensor) -> None: ...

    @abstractmethod
    def after_transfer(self) -> None: ...

    @abstractmethod
    def rate(self, name: str, parameter: Tensor) -> float: ...

    @abstractmethod
    def config(self, name: str) -> Config: ...

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]: ...
