"""The parts of a trunk that are gathered to be used, each as one module."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from torch import Tensor, nn

from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk

Out = TypeVar("Out", bound=Tensor | tuple[Tensor, ...])

Use = Callable[[FrozenLayer, nn.ModuleDict, Tensor], Out]
"""What is done with a layer's weights, its mixers by variant, and the input."""


class Block(nn.Module):
    """One layer: its frozen weights, and every variant's mixer."""

    def __init__(self, layer: FrozenLayer, mixers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, tensor in vars(layer).items():
            if tensor is not None:
                self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        self.mixers = nn.ModuleDict(mixers)

    def forward(self, x: Tensor, use: Use[Out]) -> Out:
        """Whatever reads the weights must happen in here, and gradients must come by way of `x` or end in the mixers: around a call, and
        around its backward pass, the weights are gathered."""
        return use(self.layer(), self.mixers, x)

    def layer(self) -> FrozenLayer:
        """With the parameters as they are now, gathered or this process's part."""
        held: dict[str, Any] = {each.name: getattr(self, each.name, None) for each in fields(FrozenLayer)}
        return FrozenLayer(**held)


class Ends(nn.Module):
    """Embedding, last norm and head. A tied head is the embedding itself."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.embedding = nn.Parameter(trunk.embedding, requires_grad=False)
        self.norm = nn.Parameter(trunk.norm, requires_grad=False)
        self.head = None if trunk.head is trunk.embedding else nn.Parameter(trunk.head, requires_grad=False)
