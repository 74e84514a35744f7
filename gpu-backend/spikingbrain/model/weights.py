"""A model's weights as types: immutable, shared by all sequences, filled from tensors by their names in a checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from spikingbrain.config import Config, Experts, Layer, LearnedGate

Tensors = Callable[[str], Tensor]


@dataclass(frozen=True)
class Projection:
    """`W x + b`."""

    weight: Tensor
    """`[out, in]`"""
    bias: Tensor | None = None
    """`[out]`"""


@dataclass(frozen=True)
class AttentionProjections:
    query: Projection
    key: Projection
    value: Projection
    output: Projection


@dataclass(frozen=True)
class GateProjections:
    """Of the learned gate: `z = B (A x) + b`."""

    low_rank: Projection | None
    """A; None where a checkpoint has merged the two."""
    full: Projection
    """B with its bias."""


@dataclass(frozen=True)
class SwiGlu:
    """Matrices of `down(silu(gate x) * up x)`."""

    gate: Projection
    up: Projection
    down: Projection


@dataclass(frozen=True)
class RoutedSwiGlu:
    router: Projection
    experts: tuple[SwiGlu, ...]
    shared: SwiGlu | None


@dataclass(frozen=True)
class EvictedWeights:
    """Of an `evicted` mixer, beside its projections (`model/evicted`)."""

    query_map: Projection
    """`[heads * head_dim, head_dim]` and `[heads * 2 head_dim]`."""
    key_map: Projection
    """`[kv_heads * head_dim, head_dim]` and `[kv_heads * 2 head_dim]`."""
    log_decay: Tensor
    """`[kv_heads]`, below 0."""
    salience: Tensor
    """u, `[kv_heads, head_dim]`."""
    mix: Projection
    """w and c: `[heads, hidden]` and `[heads]`."""
    normaliser: Tensor
    """d, `[heads]`."""
    match: Tensor
    """e, `[heads]`."""
    correction: Projection
    """C, `[2 heads, hidden]`."""
    scale: Tensor
    """`[heads * head_dim]`"""
    bias: Tensor
    """`[heads * head_dim]`"""


@dataclass(frozen=True)
class MixerWeights:
    projections: tuple[AttentionProjections, ...]
    """One set, or linear's and softmax's."""
    branch_norms: tuple[Tensor, Tensor] | None
    """Linear's and softmax's, of a parallel mixer: `[hidden]` where projections are separate, else `[heads * head_dim]` or `[head_dim]`."""
    head_norm: Tensor | None
    """`[head_dim]`"""
    gate: GateProjections | None
    evicted: EvictedWeights | None = None


@dataclass(frozen=True)
class LayerWeights:
    attention_norm: Tensor
    """`[hidden]`"""
    mixer: MixerWeights
    feed_forward_norm: Tensor
    """`[hidden]`"""
    feed_forward: SwiGlu | RoutedSwiGlu


@dataclass(frozen=True)
class Weights:
    embedding: Tensor
    """`[vocabulary, hidden]`"""
    sinks: Tensor | None
    """`[learned_sinks, hidden]`"""
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    """`[hidden]`"""
    head: Tensor
    """`[vocabulary, hidden]`; the embedding itself where the head is tied."""


def gather_weights(config: Config, tensor: Tensors) -> Weights:
    """`tensor` gives each tensor by its checkpoint name (`gpu-backend/docs/model.md#104-tensor-names`), all of one type and on
    one device."""
    embedding = tensor("model.embeddings.weight")
    return Weights(
        embedding=embedding,
        sinks=tensor("model.sinks.weight") if config.learned_sinks > 0 else None,
        layers=tuple(_layer(config, layer, f"model.layers.{index}", tensor) for index, layer in enumerate(config.layers)),
        norm=tensor("model.norm.weight"),
        head=embedding if config.tied_head else tensor("lm_head.weight"),
    )


def _layer(config: Config, layer: Layer, at: str, tensor: Tensors) -> LayerWeights:
    dense = layer.feed_forward == "dense" or config.experts is None
    return LayerWeights(
        attention_norm=tensor(f"{at}.attn_norm.weight"),
        mixer=gather_mixer(config, layer, f"{at}.attn", tensor),
        feed_forward_norm=tensor(f"{at}.mlp_norm.weight"),
        feed_forward=_swiglu(f"{at}.mlp", tensor) if dense or config.experts is None else _routed(config.experts, f"{at}.mlp", tensor),
    )


def gather_mixer(config: Config, layer: Layer, at: str, tensor: Tensors) -> MixerWeights:
    """Of one layer, whose mixer's names begin with `at`, such as `model.layers.0.attn`."""
    separate = layer.is_parallel and config.parallel_projections == "separate"
    linear = config.linear if layer.is_linear else None
    gate = linear.gate if linear is not None else None
    return MixerWeights(
        projections=tuple(_attention(config, f"{at}{branch}", tensor) for branch in ([".linear", ".softmax"] if separate else [""])),
        branch_norms=(tensor(f"{at}.linear_norm.weight"), tensor(f"{at}.softmax_norm.weight")) if layer.is_parallel else None,
        head_norm=tensor(f"{at}.g_norm.weight") if linear is not None and linear.head_norm else None,
        gate=_gate(gate, f"{at}.gk_proj", tensor) if isinstance(gate, LearnedGate) else None,
        evicted=_evicted(f"{at}.evicted", tensor) if layer.is_evicted else None,
    )


def _evicted(at: str, tensor: Tensors) -> EvictedWeights:
    return EvictedWeights(
        query_map=_projection(f"{at}.query_map", True, tensor),
        key_map=_projection(f"{at}.key_map", True, tensor),
        log_decay=tensor(f"{at}.log_decay"),
        salience=tensor(f"{at}.salience.weight"),
        mix=_projection(f"{at}.mix", True, tensor),
        normaliser=tensor(f"{at}.mix.normaliser"),
        match=tensor(f"{at}.mix.match"),
        correction=_projection(f"{at}.correction", False, tensor),
        scale=tensor(f"{at}.correction.scale"),
        bias=tensor(f"{at}.correction.bias"),
    )


def _attention(config: Config, at: str, tensor: Tensors) -> AttentionProjections:
    biased = config.biases.query_key_value
    return AttentionProjections(
        query=_projection(f"{at}.q_proj", biased, tensor),
        key=_projection(f"{at}.k_proj", biased, tensor),
        value=_projection(f"{at}.v_proj", biased, tensor),
        output=_projection(f"{at}.o_proj", config.biases.output, tensor),
    )


def _gate(gate: LearnedGate, at: str, tensor: Tensors) -> GateProjections:
    if gate.rank is None:
        return GateProjections(None, _projection(at, True, tensor))
    return GateProjections(_projection(f"{at}.0", False, tensor), _projection(f"{at}.1", True, tensor))


def _routed(experts: Experts, at: str, tensor: Tensors) -> RoutedSwiGlu:
    return RoutedSwiGlu(
        router=_projection(f"{at}.router", False, tensor),
        experts=tuple(_swiglu(f"{at}.experts.{expert}", tensor) for expert in range(experts.count)),
        shared=_swiglu(f"{at}.shared_expert", tensor) if experts.shared_inner > 0 else None,
    )


def _swiglu(at: str, tensor: Tensors) -> SwiGlu:
    return SwiGlu(*(_projection(f"{at}.{name}_proj", False, tensor) for name in ("gate", "up", "down")))


def _projection(at: str, biased: bool, tensor: Tensors) -> Projection:
    return Projection(tensor(f"{at}.weight"), tensor(f"{at}.bias") if biased else None)
