"""The alternating and the parallel form: trained mixers in a tower, and beside them the windows alone."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.config import Config
from spikingbrain.convert.blocks.steps import set_loudness
from spikingbrain.convert.blocks.student import TowerStudent
from spikingbrain.convert.blocks.tower import Tower
from spikingbrain.convert.hybrid.form import Hybrid, hybrid_config, window_config
from spikingbrain.convert.hybrid.mixer import Mixer, mixer_added, mixer_tensors
from spikingbrain.convert.hybrid.rates import mixer_rate
from spikingbrain.convert.student import STUDENT, WINDOW
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.frozen import FrozenLayer
from spikingbrain.convert.trunk.reach import reach_of


class HybridStudent(TowerStudent):
    is_delta = False

    def __init__(self, tower: Tower, team: Team, hybrid: Hybrid) -> None:
        super().__init__(tower, team, begin=0)
        self.hybrid = hybrid

    def start(self, tokens: Tensor) -> None:
        set_loudness(self.tower, tokens.to(self.team.device))

    def after_transfer(self) -> None:
        """Mixers stay as they are."""

    def rate(self, name: str, parameter: Tensor) -> float:
        return mixer_rate(name, parameter)

    def config(self, name: str) -> Config:
        return hybrid_config(self.trunk.config, self.hybrid, name)

    def tensors(self) -> dict[str, Tensor]:
        return mixer_tensors(self.tower.variants[STUDENT], self.trunk.config.biases.query_key_value)


def hybrid_tower(source: WeightSource, hybrid: Hybrid, seed: int, team: Team, dtype: torch.dtype = torch.bfloat16) -> Tower:
    """The student, and beside it the windows alone; random tensors depend on nothing but `seed` and their layer."""
    config, windows = hybrid_config(source.config, hybrid, "student"), window_config(source.config, hybrid)

    def mixers(index: int, layer: FrozenLayer) -> Mapping[str, nn.Module]:
        student = Mixer(config, index, layer, hybrid.trains(config.layers[index]), seed)
        return {STUDENT: student, WINDOW: Mixer(windows, index, layer, False, seed)}

    return Tower(source, mixers, mixer_added, reach_of(hybrid.window, hybrid.kept), team, dtype)
