"""What is trained in one layer: its mixer's tensors, under their names in a checkpoint."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.config import Config, Layer
from spikingbrain.convert.hybrid.gated_sums import gated_sums
from spikingbrain.convert.hybrid.start import starting_tensors
from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.convert.trunk.reader import Positions
from spikingbrain.convert.trunk.teacher import full_attention
from spikingbrain.convert.trunk.window import Held, window_attention
from spikingbrain.model.evicted.chunk import chunk as evicted_chunk
from spikingbrain.model.mixer import gate_logits, linear_branch, merge, project_heads
from spikingbrain.model.neurons import Neurons
from spikingbrain.model.rope import angles
from spikingbrain.model.span import Projected, Span
from spikingbrain.model.weights import MixerWeights, gather_mixer

AT = "attn"


class Mixer(nn.Module):
    """A layer's mixer with trained tensors, or, where nothing of it is trained, with the teacher's and no parameters.

    It is the reference's (`model/mixer.py`) but for two forms that are made for whole texts and gradients: `gated_sums` and
    `trunk/window.py`. A parameter is called as its tensor is below `model.layers.{i}.attn.`.
    """

    def __init__(self, config: Config, index: int, teacher: FrozenLayer, trained: bool, seed: int) -> None:
        super().__init__()
        self.config, self.index, self.trained = config, index, trained
        if trained:
            for name, start in starting_tensors(config, index, teacher, seed).items():
                _register(self, name, nn.Parameter(start))

    @property
    def layer(self) -> Layer:
        return self.config.layers[self.index]

    def forward(self, teacher: FrozenLayer, normed: Tensor, positions: Positions) -> Tensor:
        """What is added to the residual for `normed`, the whole text's normed residual, `[tokens, hidden]`; in its type."""
        weights = self._weights(teacher, normed.dtype)
        if weights is None:
            sizes = self.config.heads, self.config.kv_heads, self.config.kv_heads
            parts = torch.unflatten(linear(normed, teacher.query_key_value, teacher.query_key_value_bias), -1, (-1, self.config.head_dim))
            query, key, value = parts.split_with_sizes(list(sizes), dim=-2)
            return linear(self._softmax(Projected(query, key, value), positions).flatten(1), teacher.output)
        still = Neurons(self.config.spiking, self.index, None)
        projected = [project_heads(self.config, projections, normed) for projections in weights.projections]
        branches = []
        if self.layer.is_linear:
            gate = gate_logits(weights.gate, normed, still)
            branches.append(self._linear(projected[0], gate, weights.head_norm))
        if self.layer.softmax is not None:
            branches.append(self._softmax(projected[-1], positions))
        return merge(self.config, weights, branches, still)

    def _weights(self, teacher: FrozenLayer, dtype: torch.dtype) -> MixerWeights | None:
        """None where all is the teacher's."""
        if not self.trained:
            return None
        return gather_mixer(self.config, self.layer, AT, lambda name: self.get_parameter(name.removeprefix(f"{AT}.")).to(dtype))

    def _linear(self, projected: Projected, gate: Tensor | None, head_norm: Tensor | None) -> Tensor:
        config, query = self.config, projected.query
        at = angles(0, query.shape[0], config.rotated, config.rope_theta, like=query)
        empty = torch.zeros(config.kv_heads, config.head_dim, config.head_dim, device=query.device)
        span = Span(config, 0, at, gated_sums(query.dtype), evicted_chunk)
        heads, _ = linear_branch(span, projected, gate, head_norm, empty)
        return heads

    def _softmax(self, projected: Projected, positions: Positions) -> Tensor:
        query, key = positions.rotary(projected.query), positions.rotary(projected.key)
        if self.layer.softmax == "full":
            return full_attention(query, key, projected.value)
        reach = positions.reach
        before = key.new_zeros(reach.window, *key.shape[1:])
        held = Held(before, before, key[: reach.kept], projected.value[: reach.kept])
        return window_attention(query, key, projected.value, held, 0, reach)[0]

    def tensors(self, teacher_biased: bool) -> dict[str, Tensor]:
        """What a checkpoint holds beside or instead of the teacher's tensors, f32, by the whole name. A layer that is the teacher's has
        biases of zero where the others' have some and the teacher's have none."""
        prefix = f"model.layers.{self.index}.{AT}."
        if self.trained:
            return {f"{prefix}{name}": value.detach().float() for name, value in self.named_parameters()}
        if teacher_biased:
            return {}
        names = [name for name in tensor_names(self.config) if name.name.startswith(prefix) and name.name.endswith(".bias")]
        return {name.name: torch.zeros(name.shape) for name in names}


def mixer_added(_: Trunk, layer: FrozenLayer, mixer: nn.Module, normed: Tensor, positions: Positions) -> Tensor:
    """See `blocks.tower.Added`."""
    return cast(Mixer, mixer)(layer, normed, positions)  # type: ignore[no-any-return]


def mixer_tensors(mixers: nn.ModuleList, teacher_biased: bool) -> dict[str, Tensor]:
    """Of all layers, for `export.result.ConvertedSource`."""
    return {name: value for mixer in mixers for name, value in cast(Mixer, mixer).tensors(teacher_biased).items()}


def _register(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    *path, last = name.split(".")
    for part in path:
        if part not in dict(module.named_children()):
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    module.register_parameter(last, parameter)
