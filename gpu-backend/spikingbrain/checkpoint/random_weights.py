"""Random weights of any config, the same wherever and in whatever order they are made: for tests, and for trials at full size."""

import zlib

import torch

from spikingbrain.config import Config

from .names import TensorName, tensor_names


class RandomWeights:
    """See `WeightSource`. Norm weights lie about 1, biases are small, and a matrix keeps the scale of what it multiplies."""

    def __init__(self, config: Config, seed: int = 0) -> None:
        self.config = config
        self.names = tensor_names(config)
        self._seed = seed
        self._made: tuple[str, torch.Tensor] | None = None

    def rows(self, name: TensorName, start: int, stop: int) -> torch.Tensor:
        """See `WeightSource`."""
        if self._made is None or self._made[0] != name.name:
            # The old tensor goes before the new one comes.
            self._made = None
            self._made = name.name, self._tensor(name)
        return self._made[1][start:stop]

    def _tensor(self, name: TensorName) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self._seed + zlib.crc32(name.name.encode()))
        values = torch.randn(name.shape, generator=generator)
        if len(name.shape) > 1:
            return values.mul_(name.shape[1] ** -0.5)
        return values.mul_(0.1).add_(1.0) if name.name.endswith("norm.weight") else values.mul_(0.1)
