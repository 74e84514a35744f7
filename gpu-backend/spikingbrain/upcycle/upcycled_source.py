"""A dense model read as one with experts, each a scaled copy of its dense feed-forward, under a router from scratch."""

import re
import zlib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch

from spikingbrain.checkpoint.names import TensorName, tensor_names
from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.config import Config, Experts, Layer
from spikingbrain.rules import require, require_count

EXPERT = re.compile(r"\.mlp\.(?:experts\.\d+|shared_expert)\.")
ROUTER = re.compile(r"\.mlp\.router\.weight$")
# Of a router's weights, as transformers' classes and upstream's config begin a matrix (`initializer_range`,
# `gpu-backend/docs/model.md#101-spikingbrain-7b`).
ROUTER_DEVIATION = 0.02


def experts_of(dense: Config, count: int, used: int, shared: bool = False, router: str = "softmax", normalised: bool = False) -> Experts:
    """As wide as the dense feed-forward they are copies of; with `shared`, one more that every token uses."""
    inner = dense.feed_forward_inner
    # The dataclass checks the word.
    kind: Any = router
    return Experts(count=count, used=used, inner=inner, shared_inner=inner if shared else 0, router=kind, normalised=normalised)


def upcycled_config(dense: Config, experts: Experts, layers: Collection[int]) -> Config:
    """With experts in `layers`, counted from 0."""
    require(dense.experts is None, "source", "a model without experts", dense.name)
    require(len(layers) > 0, "layers with experts", "at least one", sorted(layers))
    for index in sorted(layers):
        require_count("layer with experts", index, least=0, most=len(dense.layers) - 1)
    mixed = (Layer(mixer=layer.mixer, feed_forward="moe" if at in layers else "dense") for at, layer in enumerate(dense.layers))
    return replace(dense, layers=tuple(mixed), experts=experts)


class UpcycledSource:
    """See `WeightSource`; a tensor is made when it is read, so exporters hold no more than they do of the dense model."""

    def __init__(self, dense: WeightSource, config: Config, scale: float, seed: int, deviation: float = ROUTER_DEVIATION) -> None:
        """`config` is `dense`'s with experts. `scale` multiplies experts' weights, shared ones' too; router weights are drawn around 0
        with a standard deviation of `deviation`, for each layer from `seed`."""
        self.config = config
        self._dense = dense
        self._scale, self._seed, self._deviation = scale, seed, deviation
        self._found = {name.name: name for name in dense.names}
        order = {name.name: at for at, name in enumerate(dense.names)}
        wanted = tensor_names(config)
        # A layer's experts are read from the same place, and its router needs no reading.
        self.names = sorted(wanted, key=lambda name: order.get(_dense_name(name), 0))

    def rows(self, name: TensorName, start: int, stop: int) -> torch.Tensor:
        """See `WeightSource`."""
        if ROUTER.search(name.name):
            return self._router(name)[start:stop]
        rows = self._dense.rows(self._found[_dense_name(name)], start, stop)
        return rows * self._scale if EXPERT.search(name.name) else rows

    def _router(self, name: TensorName) -> torch.Tensor:
        # Of a generator's seed torch reads 32 bits, so both go into those.
        generator = torch.Generator().manual_seed(zlib.crc32(f"{self._seed} {name.name}".encode()))
        return torch.randn(name.shape, generator=generator) * self._deviation


def _dense_name(name: TensorName) -> str:
    """What the tensor is called in the dense model."""
    return EXPERT.sub(".mlp.", name.name)
