"""The steps of the training stages over a tower; what they learn is what the modules of `train/` say."""

import torch
from torch import Tensor, nn

from spikingbrain.convert.blocks.tower import Tower
from spikingbrain.convert.student import Measures
from spikingbrain.convert.trunk.frozen import FrozenLayer
from spikingbrain.convert.trunk.losses import answer_positions, divergence, next_token_loss, normalised_error, pull

NORMS = ("g_norm.weight", "linear_norm.weight", "softmax_norm.weight")
LEAST_LOUDNESS = 0.01


def transfer_step(tower: Tower, tokens: Tensor, layers: range, begin: int) -> Measures:
    """Adds a gradient to every variant's mixers of `layers` that have parameters. Returns per variant each layer's normalised error over
    positions from `begin` on, 0 for layers that were not read."""
    positions, variants = tower.positions(tokens), list(tower.blocks[0].mixers)
    errors = {name: [0.0] * len(tower.blocks) for name in variants}
    for index, (normed, wanted, _) in enumerate(tower.teacher_layers(tokens)):
        if index == layers.stop:
            break
        if index not in layers:
            continue
        for name in variants:

            def error(layer: FrozenLayer, mixers: nn.ModuleDict, normed: Tensor, name: str = name, wanted: Tensor = wanted) -> Tensor:
                return normalised_error(tower.added(tower.trunk, layer, mixers[name], normed, positions)[begin:], wanted[begin:])

            loss = tower.blocks[index](normed, error)
            if loss.requires_grad:
                loss.backward()
            errors[name][index] = loss.item()
    return errors


@torch.no_grad()
def set_loudness(tower: Tower, tokens: Tensor) -> None:
    """Scales the norms of every layer's mixers, in place, so that what an untrained layer adds to the residual comes closest to what the
    teacher's adds, with the teacher's own input. `hybrid/start.py` says where norms start."""
    positions = tower.positions(tokens)
    for block, (normed, wanted, _) in zip(tower.blocks, tower.teacher_layers(tokens), strict=True):
        for name in tower.trained:

            def fitted(layer: FrozenLayer, mixers: nn.ModuleDict, normed: Tensor, name: str = name, wanted: Tensor = wanted) -> Tensor:
                added = tower.added(tower.trunk, layer, mixers[name], normed, positions).float()
                return (added * wanted.float()).sum() / added.square().sum()

            factor = max(block(normed, fitted).item(), LEAST_LOUDNESS)
            for parameter_name, parameter in block.mixers[name].named_parameters():
                if parameter_name in NORMS:
                    parameter.mul_(factor)


def distil_step(tower: Tower, tokens: Tensor, chosen: Tensor) -> Measures:
    """Adds a gradient to every trained variant and returns its mean divergence, nats, at the chosen positions."""
    wanted = tower.teacher_residual(tokens)[chosen]
    divergences = {}
    for name in tower.trained:
        residual = tower.residual(tokens, name)
        with tower.opened() as trunk:
            mean, gradient = divergence(trunk, residual.detach()[chosen], wanted)
        divergences[name] = [mean]
        pull(residual, chosen, gradient)
    return divergences


def sft_step(tower: Tower, tokens: Tensor, mask: Tensor, begin: int) -> Measures:
    """Adds a gradient to every trained variant and returns its mean loss, nats, over answers' tokens predicted from `begin` on."""
    chosen = answer_positions(mask, begin)
    losses = {}
    for name in tower.trained:
        residual = tower.residual(tokens, name)
        with tower.opened() as trunk:
            mean, gradient = next_token_loss(trunk, residual.detach()[chosen], tokens[chosen + 1])
        losses[name] = [mean]
        pull(residual, chosen, gradient)
    return losses
