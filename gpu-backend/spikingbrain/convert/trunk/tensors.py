"""Trained branches under their names in a checkpoint, and the config of the model that they make of a teacher."""

from dataclasses import replace

import torch
from torch import Tensor

from spikingbrain.config import Config, EvictedTokens, Layer
from spikingbrain.convert.trunk.branch import Branch, Branches
from spikingbrain.convert.trunk.evicted import TEMPERATURE
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.rules import ConfigError

MARK = ".attn.evicted."


def converted_config(teacher: Config, reach: Reach, name: str) -> Config:
    """Every layer's full attention becomes an evicted-tokens mixer."""
    layers = tuple(Layer(mixer=("evicted",), feed_forward=layer.feed_forward) for layer in teacher.layers)
    evicted = EvictedTokens(sink_cap=reach.sink_cap, salient=reach.salient, salience_half_life=reach.salience_half_life)
    return replace(teacher, layers=layers, window=reach.window, kept_tokens=reach.kept, evicted=evicted, name=name)


def branch_tensors(branches: Branches) -> dict[str, Tensor]:
    """By checkpoint name, f32. The temperature goes into the maps; a control without a state has none to give."""
    tensors: dict[str, Tensor] = {}
    for index, branch in enumerate(branches):
        if branch.state is None:
            raise ConfigError("branches", "of a variant with a state", "the stateless control")
        tensors |= {f"model.layers.{index}{MARK}{name}": value for name, value in _tensors(branch).items()}
    return tensors


def _tensors(branch: Branch) -> dict[str, Tensor]:
    state, correction = branch.state, branch.correction
    assert state is not None and branch.salience is not None
    sharpness = TEMPERATURE * branch.shape.head_dim**-0.25
    with torch.no_grad():
        return {
            # Training multiplies from the right, a checkpoint's matrix is `[out, in]`.
            "query_map.weight": (state.query_map.transpose(1, 2) * sharpness).flatten(0, 1),
            "query_map.bias": state.query_bias.flatten(),
            "key_map.weight": (state.key_map.transpose(1, 2) * sharpness).flatten(0, 1),
            "key_map.bias": state.key_bias.flatten(),
            "log_decay": state.log_decay(),
            "salience.weight": branch.salience.clone(),
            "mix.weight": state.mix_weight.clone(),
            "mix.bias": state.mix_bias.clone(),
            "mix.normaliser": state.mix_normaliser.clone(),
            "mix.match": state.mix_match.clone(),
            "correction.weight": correction.gate.clone(),
            "correction.scale": correction.scale.flatten(),
            "correction.bias": correction.bias.flatten(),
        }
