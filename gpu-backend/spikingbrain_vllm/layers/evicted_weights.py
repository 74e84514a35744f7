"""An `evicted` mixer's own tensors, of the rank's heads, by the names of a checkpoint."""

import torch
from spikingbrain.config import Config
from spikingbrain.model.weights import EvictedWeights, Projection
from torch import Tensor, nn

from spikingbrain_vllm.heads import Heads
from spikingbrain_vllm.layers.projections import own_rows


class EvictedTensors(nn.Module):
    """Small ones are f32, whatever the model's matrices are in."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        heads, hidden, dim = Heads.here(config), config.hidden, config.head_dim
        self.heads = heads
        self.query_map, self.key_map, self.salience, self.mix, self.correction = (nn.Module() for _ in range(5))
        self.query_map.weight = own_rows(_f32(heads.width, dim), lambda loaded: heads.own(loaded, dim))
        self.query_map.bias = own_rows(_f32(2 * heads.width), lambda loaded: heads.own(loaded, 2 * dim))
        self.key_map.weight = own_rows(_f32(heads.kv_width, dim), lambda loaded: heads.kv_own(loaded, dim))
        self.key_map.bias = own_rows(_f32(2 * heads.kv_width), lambda loaded: heads.kv_own(loaded, 2 * dim))
        self.log_decay = own_rows(_f32(heads.kv_count), lambda loaded: heads.kv_own(loaded, 1))
        self.salience.weight = own_rows(_f32(heads.kv_count, dim), lambda loaded: heads.kv_own(loaded, 1))
        self.mix.weight = own_rows(torch.empty(heads.count, hidden), lambda loaded: heads.own(loaded, 1))
        for part, name in ((self.mix, "normaliser"), (self.mix, "match")):
            setattr(part, name, own_rows(_f32(heads.count), lambda loaded: heads.own(loaded, 1)))
        self.mix.bias = own_rows(torch.empty(heads.count), lambda loaded: heads.own(loaded, 1))
        self.correction.weight = own_rows(torch.empty(2 * heads.count, hidden), self._both)
        for name in ("scale", "bias"):
            setattr(self.correction, name, own_rows(_f32(heads.width), lambda loaded: heads.own(loaded, dim)))

    def _both(self, loaded: Tensor) -> Tensor:
        """First all heads' s, then all heads' u."""
        return torch.cat([self.heads.own(half, 1) for half in loaded.chunk(2)])

    def weights(self) -> EvictedWeights:
        """As the reference takes them."""
        of = self.get_parameter
        return EvictedWeights(
            query_map=Projection(of("query_map.weight"), of("query_map.bias")),
            key_map=Projection(of("key_map.weight"), of("key_map.bias")),
            log_decay=of("log_decay"),
            salience=of("salience.weight"),
            mix=Projection(of("mix.weight"), of("mix.bias")),
            normaliser=of("mix.normaliser"),
            match=of("mix.match"),
            correction=Projection(of("correction.weight")),
            scale=of("correction.scale"),
            bias=of("correction.bias"),
        )


def _f32(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32)
