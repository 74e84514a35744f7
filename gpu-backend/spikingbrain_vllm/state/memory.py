"""What this rank's layers remember of one sequence, out of vLLM's caches as a `State` and into them."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from spikingbrain.config import Config
from spikingbrain.state.heads import heads_config
from spikingbrain.state.key_values import Rows
from spikingbrain.state.layout import Group, groups_at
from spikingbrain.state.state import LayerState, State
from vllm.model_executor.layers.attention import Attention
from vllm.v1.kv_cache_interface import KVCacheConfig

from spikingbrain_vllm.layers.evicted_branch import EvictedBranch
from spikingbrain_vllm.layers.leading import KeptTokens, Sinks
from spikingbrain_vllm.layers.linear_branch import LinearBranch
from spikingbrain_vllm.state.block_codec import BlockCodec
from spikingbrain_vllm.state.evicted_memory import EvictedMemory
from spikingbrain_vllm.state.layer_memory import LinearMemory, SoftmaxMemory
from spikingbrain_vllm.state.leading_memory import KeptMemory, LeadingMemory, SinkMemory
from spikingbrain_vllm.state.place import Blocks, Page, Place

_INDEX = re.compile(r"layers\.(\d+)\.")


class SequenceMemory:
    """`config` is of the rank's KV heads."""

    def __init__(self, config: Config, heads: range, cache: KVCacheConfig, layers: Mapping[str, Any], cache_mode: str) -> None:
        """`config` is the whole model's, `heads` the KV heads that this rank has, and `layers` are vLLM's by name
        (`static_forward_context`), their caches bound. Raises ValueError where a layer cannot be read."""
        self.config = heads_config(config, heads)
        self._linear: dict[int, LinearMemory] = {}
        self._softmax: dict[int, SoftmaxMemory] = {}
        self._evicted: dict[int, EvictedMemory] = {}
        places = {
            name: Place(group, spec.kv_cache_spec.block_size)
            for group, spec in enumerate(cache.kv_cache_groups)
            for name in spec.layer_names
        }
        pages = {name: Page(place, is_aligned=cache_mode != "none") for name, place in places.items()}
        kept = {layer: KeptMemory(layer, pages[name]) for name, layer in layers.items() if isinstance(layer, KeptTokens)}
        codecs: dict[Any, BlockCodec] = {}
        for name, place in places.items():
            layer, index = layers[name], _index_of(name)
            if isinstance(layer, LinearBranch):
                self._linear[index] = LinearMemory(layer, pages[name])
            elif isinstance(layer, EvictedBranch):
                self._evicted[index] = EvictedMemory(layer, pages[name])
            elif isinstance(layer, Attention):
                key = (type(layer.impl), layer.kv_cache.shape, layer.kv_cache.stride(), layer.kv_cache.dtype, place.block_tokens)
                if key not in codecs:
                    codecs[key] = BlockCodec.of(layer, cache.num_blocks, place.block_tokens)
                leading = _leading_of(layer, kept)
                self._softmax[index] = SoftmaxMemory(layer, place, codecs[key], leading, config.learned_sinks)
            elif not isinstance(layer, KeptTokens):
                raise ValueError(f"a layer must be one whose state is known; {name} is a {type(layer).__name__}")
        self._check()

    def read(self, blocks: Blocks, tokens: int) -> State:
        """Of a sequence that has read so many tokens of its text, in memory of its own."""
        position = tokens + self.config.learned_sinks
        groups = self._groups(position)
        layers = []
        for index in range(len(self.config.layers)):
            if index in self._evicted:
                layers.append(LayerState(None, *self._evicted[index].read(blocks, tokens)))
                continue
            linear = self._linear[index].read(blocks, tokens) if index in self._linear else None
            layers.append(LayerState(linear, self._softmax[index].read(blocks, groups[index]) if index in self._softmax else None))
        return State(position, tuple(layers))

    def write(self, blocks: Blocks, local: int, state: State) -> None:
        """All but the keys and values of the first `local` tokens, which the sequence has already, shared with others. Raises StateError
        before anything is written."""
        tokens, groups = state.position - self.config.learned_sinks, self._groups(state.position)
        for index, memory in self._softmax.items():
            held = state.layers[index].key_values
            assert held is not None
            memory.check(groups[index], held)
        for index, layer in enumerate(state.layers):
            if layer.evicted is not None and layer.key_values is not None:
                self._evicted[index].write(blocks, tokens, layer.key_values, layer.evicted)
                continue
            if layer.linear is not None:
                self._linear[index].write(blocks, tokens, layer.linear)
            if layer.key_values is not None:
                self._softmax[index].write(blocks, groups[index], local, layer.key_values)

    def _groups(self, position: int) -> dict[int, Group]:
        return {layer: group for group in groups_at(self.config, position) for layer in group.layers}

    def _check(self) -> None:
        for index, layer in enumerate(self.config.layers):
            has = (index in self._linear, index in self._softmax, index in self._evicted)
            if has != (layer.is_linear, layer.softmax is not None and not layer.is_evicted, layer.is_evicted):
                raise ValueError(f"layer {index} must have the memory of {layer.mixer_name}; vLLM has another")
        groups = self._groups(self.config.learned_sinks)
        for index, memory in self._softmax.items():
            if (memory.window or 0) != groups[index].window:
                raise ValueError(f"layer {index} must see {groups[index].window} tokens (0: all); vLLM's sees {memory.window}")


def is_finite(state: State) -> bool:
    """Whether a file may hold it."""
    tensors: list[Rows | None] = []
    for layer in state.layers:
        tensors.append(layer.linear)
        if layer.key_values is not None:
            tensors += [layer.key_values.keys, layer.key_values.values]
        if layer.evicted is not None:
            salient = layer.evicted.salient
            tensors += [layer.evicted.sums, salient.keys, salient.values, salient.salience]
    numbers = [one if isinstance(one, torch.Tensor) else one.scales for one in tensors if one is not None]
    return all(bool(one.isfinite().all()) for one in numbers)


def _index_of(name: str) -> int:
    found = _INDEX.search(name)
    if found is None:
        raise ValueError(f"a layer's name must have its number; {name} has none")
    return int(found.group(1))


def _leading_of(layer: Attention, kept: Mapping[KeptTokens, KeptMemory]) -> LeadingMemory | None:
    leading = getattr(layer.impl, "leading", None)
    if isinstance(leading, Sinks):
        return SinkMemory(leading)
    return kept[leading] if isinstance(leading, KeptTokens) else None
