"""Gives a model the form of the W8ASpike checkpoint (`gpu-backend/docs/model.md#84-w8-weights`): f32 weights, and beside each linear one
its quantiser's scales.

The weights are stored as they were, not rounded: the reader rounds them, and so `down_proj`, which the released code does not quantise,
stays exact there while the paper's mode rounds it too. A low-rank gate becomes one matrix, as that checkpoint has it.
"""

from dataclasses import replace
from functools import partial

import torch

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.hugging_face_folder import HuggingFaceFolder
from spikingbrain.checkpoint.names import TensorName, tensor_names
from spikingbrain.checkpoint.source import WeightSource, read_tensor
from spikingbrain.checkpoint.weight_scales import largest_scales, scales_name, scales_shape
from spikingbrain.config import Config, LearnedGate

from .safetensors_writer import PlannedTensor


class MergedGate:
    """A source whose low-rank gates are one matrix, `B A`. See `WeightSource`."""

    def __init__(self, source: WeightSource) -> None:
        self._source = source
        self.config = _with_merged_gate(source.config)
        self._pairs = {name.name: name for name in source.names if ".gk_proj." in name.name}
        order = {name.name: index for index, name in enumerate(source.names)}
        self.names = sorted(tensor_names(self.config), key=lambda name: order.get(name.name, order.get(_pair(name)[1], 0)))

    def rows(self, name: TensorName, start: int, stop: int) -> torch.Tensor:
        """See `WeightSource`."""
        first, second = _pair(name)
        if second not in self._pairs or name.name in self._pairs:
            return self._source.rows(name, start, stop)
        rows = self._source.rows(self._pairs[second], start, stop)
        if len(name.shape) == 1:
            return rows
        product = rows.to(torch.float64) @ read_tensor(self._source, self._pairs[first], torch.float64)
        return product.to(torch.float32)


def w8_tensors(source: WeightSource) -> tuple[Config, list[PlannedTensor]]:
    """The config and tensors of the W8ASpike form. A folder that has it already is refused: its codes would change."""
    if isinstance(source, HuggingFaceFolder) and source.is_w8:
        raise CheckpointError("the checkpoint must not have W8ASpike's scales already; it has")
    merged = MergedGate(source)
    tensors = []
    for name in merged.names:
        tensors.append(PlannedTensor(name.name, name.shape, torch.float32, partial(read_tensor, merged, name)))
        if name.linear:
            tensors.append(PlannedTensor(scales_name(name), scales_shape(name), torch.float32, partial(_scales, merged, name)))
    return merged.config, tensors


def _scales(source: WeightSource, name: TensorName) -> torch.Tensor:
    return largest_scales(read_tensor(source, name))


def _with_merged_gate(config: Config) -> Config:
    if config.linear is None or not isinstance(config.linear.gate, LearnedGate):
        return config
    return replace(config, linear=replace(config.linear, gate=replace(config.linear.gate, rank=None)))


def _pair(name: TensorName) -> tuple[str, str]:
    """Of a merged gate's weight or bias: the names of A, and of B or its bias."""
    stem, _, last = name.name.rpartition(".")
    return f"{stem}.0.weight", f"{stem}.1.{last}"
