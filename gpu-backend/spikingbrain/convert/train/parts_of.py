"""Tensors that are shared out among processes, as whole ones and back; tensors that are not pass through."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map


def whole(tree: Any) -> Any:  # noqa: ANN401 (whatever a state dict holds)
    """The same with every tensor whole, on every process; all of them must call it."""
    return tree_map(lambda leaf: leaf.full_tensor() if isinstance(leaf, DTensor) else leaf, tree)


def part_like(value: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor, shared out as `like` is; all processes must call it."""
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements) if isinstance(like, DTensor) else value


def load_module(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Fills a module, shared out or not, from whole tensors."""
    held = module.state_dict()
    module.load_state_dict({name: part_like(value, held.get(name, value)) for name, value in state.items()})


def load_optimiser(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Fills an optimiser whose parameters may be shared out from a whole state dict."""
    parameters = list(_parameters(optimiser))

    def parts(index: int, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
        like = parameters[index]
        return {name: part_like(value, like) if value.shape == like.shape else value for name, value in held.items()}

    optimiser.load_state_dict({**state, "state": {index: parts(index, held) for index, held in state["state"].items()}})


def _parameters(optimiser: torch.optim.Optimizer) -> Iterator[Tensor]:
    for group in optimiser.param_groups:
        yield from group["params"]
