"""What this rank's layers remember of one sequence, out of vLLM's caches as a `State` and into them."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from spikingbrain.config import Config
from spikingbrain.state.heads import heads_config
from spikingbrain.state.layout import Group, groups_at
from spikingbrain.state.state import LayerState, State
from vllm.model_executor.layers.attention import Attention
from vllm.v1.kv_cache_interface import KVCacheConfig

from spikingbrain_vllm.layers.linear_branch import LinearBranch
from spikingbrain_vllm.state.block_codec import BlockCodec
from spikingbrain_vllm.state.layer_memory import Blocks, LinearMemory, Place, SoftmaxMemory

_INDEX = re.compile(r"layers\.(\d+)\.")


class SequenceMemory:
    """`config` is the whole model's, `heads` the KV heads that this rank has."""

    def __init__(self, config: Config, heads: range, cache: KVCacheConfig, layers: Mapping[str, Any], cache_mode: str) -> None:
        """`layers` are vLLM's by name (`static_forward_context`), their caches bound. Raises ValueError where a layer cannot be read."""
        self.config = heads_config(config, heads)
        self._linear: dict[int, LinearMemory] = {}
        self._softmax: dict[int, SoftmaxMemory] = {}
        codecs: dict[Any, BlockCodec] = {}
        for group, spec in enumerate(cache.kv_cache_groups):
            for name in spec.layer_names:
                layer, place = layers[name], Place(group, spec.kv_cache_spec.block_size)
                found = _INDEX.search(name)
                if found is None:
                    raise ValueError(f"a layer's name must have its number; {name} has none")
                index = int(found.group(1))
                if isinstance(layer, LinearBranch):
                    self._linear[index] = LinearMemory(layer, place, is_paged=cache_mode != "none")
                elif isinstance(layer, Attention):
                    key = (type(layer.impl), layer.kv_cache.shape, layer.kv_cache.stride(), layer.kv_cache.dtype, place.block_tokens)
                    if key not in codecs:
                        codecs[key] = BlockCodec.of(layer, cache.num_blocks, place.block_tokens)
                    self._softmax[index] = SoftmaxMemory(layer, place, codecs[key])
                else:
                    raise ValueError(f"a layer must be one whose state is known; {name} is a {type(layer).__name__}")
        self._check()

    def read(self, blocks: Blocks, tokens: int) -> State:
        """Of a sequence that has read so many tokens of its text, in memory of its own."""
        position = tokens + self.config.learned_sinks
        groups = self._groups(position)
        layers = []
        for index in range(len(self.config.layers)):
            linear = self._linear[index].read(blocks, tokens) if index in self._linear else None
            key_values = self._softmax[index].read(blocks, groups[index]) if index in groups else None
            layers.append(LayerState(linear, key_values))
        return State(position, tuple(layers))

    def write(self, blocks: Blocks, local: int, state: State) -> None:
        """All but the keys and values of the first `local` tokens, which the sequence has already, shared with others. Raises StateError
        before anything is written."""
        tokens = state.position - self.config.learned_sinks
        groups = self._groups(state.position)
        for index, layer in enumerate(state.layers):
            if layer.linear is not None:
                self._linear[index].write(blocks, tokens, layer.linear)
            if layer.key_values is not None:
                self._softmax[index].write(blocks, groups[index], local, layer.key_values)

    def _groups(self, position: int) -> dict[int, Group]:
        return {layer: group for group in groups_at(self.config, position) for layer in group.layers}

    def _check(self) -> None:
        for index, layer in enumerate(self.config.layers):
            if layer.is_linear != (index in self._linear) or (layer.softmax is not None) != (index in self._softmax):
                raise ValueError(f"layer {index} must have the memory of {layer.mixer_name}; vLLM has another")
        windows = {index: memory.window for index, memory in self._softmax.items()}
        for index, group in self._groups(self.config.learned_sinks).items():
            if (windows[index] or 0) != group.window:
                raise ValueError(f"layer {index} must see {group.window} tokens (0: all); vLLM's sees {windows[index]}")


def is_finite(state: State) -> bool:
    """Whether a file may hold it."""
    tensors: list[torch.Tensor] = []
    for layer in state.layers:
        tensors += [] if layer.linear is None else [layer.linear]
        if layer.key_values is not None:
            tensors += [rows for rows in (layer.key_values.keys, layer.key_values.values) if isinstance(rows, torch.Tensor)]
    return all(bool(tensor.isfinite().all()) for tensor in tensors)
