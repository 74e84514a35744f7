"""The steps of the training stages over a trunk that every process holds; what they learn is what the stages' modules in `train/` say."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import linear

from spikingbrain.convert.student import Measures
from spikingbrain.convert.trunk.branch import Branches, Carry
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.convert.trunk.losses import answer_positions, divergence, next_token_loss, normalised_error, pull
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import Positions, TrunkReader, read_exactly, shape_of
from spikingbrain.convert.trunk.teacher import teacher_layers, teacher_residual


def transfer_step(trunk: Trunk, reach: Reach, variants: Mapping[str, Branches], tokens: Tensor, layers: range) -> Measures:
    """Adds a gradient to the branches of `layers` in every variant. Returns per variant each layer's normalised error, 0 for others;
    that of the window alone is `window`. The teacher is read no further than it must."""
    positions = Positions(trunk, reach, 0, tokens.shape[0])
    begin = reach.window + reach.kept
    empty = Carry.empty(shape_of(trunk.config), reach, trunk.embedding.dtype)
    errors = {name: [0.0] * len(trunk.layers) for name in ("window", *variants)}
    columns = {name: list(branches) for name, branches in variants.items()}
    for index, normed, added in teacher_layers(trunk, tokens):
        if index == layers.stop:
            break
        if index not in layers:
            continue
        layer, wanted = trunk.layers[index], added[begin:].float()
        with torch.no_grad():
            window, *_ = read_exactly(trunk, layer, normed, empty, positions, None, Firing())
            errors["window"][index] = layer_error(layer, window.out[begin:], wanted).item()
        for name, branches in columns.items():
            branch = branches[index]
            segment = window
            if branch.salience is not None:
                with torch.no_grad():
                    segment, *_ = read_exactly(trunk, layer, normed, empty, positions, branch.salience, Firing())
            heads, _, _ = branch(segment, empty)
            loss = layer_error(layer, heads[begin:], wanted)
            loss.backward()  # type: ignore[no-untyped-call]
            errors[name][index] = loss.item()
    return errors


# Of the correction, and taken from the mix's bias: found on two held-out texts, where transfer alone is worse than the bare window.
KEPT_SHARE = 0.5
BIAS_SHIFT = -1.0


def soften(variants: Iterable[Branches]) -> None:
    """Scales down what transfer learnt, in place: layers that each learnt beside the teacher's own inputs overdo it together."""
    with torch.no_grad():
        for branches in variants:
            for branch in branches:
                for parameter in branch.correction.parameters():
                    parameter.mul_(KEPT_SHARE)
                if branch.state is not None:
                    branch.state.mix_bias.add_(BIAS_SHIFT)


def distil_step(trunk: Trunk, reach: Reach, variants: Mapping[str, Branches], tokens: Tensor, chosen: Tensor) -> Measures:
    """Adds a gradient to every variant and returns its mean KL divergence, in nats, at the chosen positions. All variants see the same
    tokens."""
    with torch.no_grad():
        wanted = teacher_residual(trunk, tokens)[chosen]
    divergences = {}
    for name, branches in variants.items():
        reader = TrunkReader(trunk, reach, branches)
        residual, _ = reader.residual(tokens, reader.begin())
        mean, gradient = divergence(trunk, residual.detach()[chosen], wanted)
        divergences[name] = [mean]
        pull(residual, chosen, gradient)
    return divergences


def sft_step(trunk: Trunk, reach: Reach, variants: Mapping[str, Branches], tokens: Tensor, mask: Tensor) -> Measures:
    """Adds a gradient to every variant and returns its mean loss, nats a token, over those tokens of answers (`mask`, as long as `tokens`)
    that are predicted when something has left the window."""
    chosen = answer_positions(mask, reach.window + reach.kept)
    losses = {}
    for name, branches in variants.items():
        reader = TrunkReader(trunk, reach, branches)
        residual, _ = reader.residual(tokens, reader.begin())
        mean, gradient = next_token_loss(trunk, residual.detach()[chosen], tokens[chosen + 1])
        losses[name] = [mean]
        pull(residual, chosen, gradient)
    return losses


def layer_error(layer: FrozenLayer, heads: Tensor, wanted: Tensor) -> Tensor:
    """Squared error after o over the square of what is wanted."""
    return normalised_error(linear(heads.flatten(1), layer.output), wanted)
