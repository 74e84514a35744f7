"""What a conversion gives: the teacher's weights, with tensors that were trained beside them, or in their place."""

from collections.abc import Mapping

from torch import Tensor

from spikingbrain.checkpoint.names import TensorName, tensor_names
from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.config import Config
from spikingbrain.rules import ConfigError


class ConvertedSource:
    """A teacher with trained tensors as a `WeightSource`, which exporters and the reference model read as any other checkpoint."""

    def __init__(self, teacher: WeightSource, config: Config, trained: Mapping[str, Tensor]) -> None:
        """`trained` has every tensor, by name, that the teacher lacks, and may have others of the model's in place of the teacher's."""
        self.config = config
        self._teacher = teacher
        self._trained = trained
        self.names = tensor_names(config)
        found = {name.name: name.shape for name in teacher.names} | {name: tuple(tensor.shape) for name, tensor in trained.items()}
        wanted = {name.name: name.shape for name in self.names}
        for name in (*wanted, *trained):
            if wanted.get(name) != found.get(name):
                raise ConfigError(f"tensor '{name}'", f"of shape {wanted.get(name)}", found.get(name))

    def rows(self, name: TensorName, start: int, stop: int) -> Tensor:
        """See `WeightSource`."""
        if name.name in self._trained:
            return self._trained[name.name][start:stop].float()
        return self._teacher.rows(name, start, stop)
