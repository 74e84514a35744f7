"""What of a frozen trunk may be trained where spikes read it: gains of the norms, and for every block of 32 inputs of a matrix's row a
factor and a shift.

A block-quantised matrix (Q4_1) has a scale and a least value for each such block, so what is learnt here goes into those: no code of the
trunk changes, and a tuned trunk is the teacher's file with other scales (`export/tuned.py`).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.rules import require

BLOCK_INPUTS = 32
NORMS = ("attention_norm", "feed_forward_norm")
MATRICES = ("query_key_value", "output", "gate_up", "down")

# Relative to a gain, to a block's weights, to their root mean square.
RATES = {"gain": 4e-3, "factor": 3e-4, "shift": 3e-4}


def tuning_rate(name: str, parameter: Tensor) -> float:
    """Of a tuning's parameter, for `train.optimiser.make_optimiser`."""
    return RATES[name.rsplit(".", 2)[-2]]


class LayerTuning(nn.Module):
    """All of one layer; as it starts it changes nothing."""

    def __init__(self, layer: FrozenLayer, matrices: bool) -> None:
        """`matrices` says whether they are tuned beside the norms."""
        super().__init__()
        self.gain = nn.ParameterDict({name: torch.zeros(getattr(layer, name).shape) for name in NORMS})
        shapes = {name: getattr(layer, name).shape for name in MATRICES} if matrices else {}
        for name, (_, inputs) in shapes.items():
            require(inputs % BLOCK_INPUTS == 0, f"teacher's {name}", f"a multiple of {BLOCK_INPUTS} inputs", inputs)
        self.factor = nn.ParameterDict({name: torch.zeros(rows, inputs // BLOCK_INPUTS) for name, (rows, inputs) in shapes.items()})
        self.shift = nn.ParameterDict({name: torch.zeros(rows, inputs // BLOCK_INPUTS) for name, (rows, inputs) in shapes.items()})

    def forward(self, layer: FrozenLayer) -> FrozenLayer:
        """The layer with what is learnt in it, in the types it has."""
        tuned: dict[str, Tensor] = {}
        for name, gain in self.gain.items():
            norm = getattr(layer, name)
            tuned[name] = (norm.float() * (1 + gain)).to(norm.dtype)
        for name, factor in self.factor.items():
            tuned[name] = _Scaled.apply(getattr(layer, name), factor, self.shift[name])  # type: ignore[no-untyped-call]
        return replace(layer, **tuned)


class Tuning(nn.ModuleList):
    """Of a trunk, one entry a layer."""

    def __iter__(self) -> Iterator[LayerTuning]:
        return cast(Iterator[LayerTuning], super().__iter__())

    def trunk(self, trunk: Trunk) -> Trunk:
        layers = (tuning(layer) for tuning, layer in zip(self, trunk.layers, strict=True))
        return replace(trunk, layers=tuple(layers))


def make_tuning(trunk: Trunk, matrices: bool) -> Tuning:
    return Tuning(LayerTuning(layer, matrices) for layer in trunk.layers)


def block_spread(weight: Tensor) -> Tensor:
    """Root mean square of each block, `[rows, inputs / 32]` f32: what a shift is counted in."""
    return _blocks(weight).square().mean(dim=-1).sqrt()


def _blocks(matrix: Tensor) -> Tensor:
    """`[rows, inputs / 32, 32]` f32"""
    return matrix.view(matrix.shape[0], -1, BLOCK_INPUTS).float()


class _Scaled(torch.autograd.Function):
    """`weight * (1 + factor) + shift * spread`, rounded once; nothing of the size of a matrix is kept but the weight itself."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, factor: Tensor, shift: Tensor) -> Tensor:  # noqa: ANN401
        spread = block_spread(weight)
        ctx.save_for_backward(weight, spread)
        return torch.addcmul((shift * spread)[..., None], _blocks(weight), (1 + factor)[..., None]).flatten(1).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:  # noqa: ANN401
        weight, spread = ctx.saved_tensors
        gradient = _blocks(gradients[0].contiguous())
        factor = (gradient * _blocks(weight)).sum(dim=-1)
        return None, factor, gradient.sum(dim=-1) * spread
