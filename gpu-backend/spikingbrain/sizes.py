"""What a config implies in parameters and bytes, counted without allocating anything."""

from dataclasses import dataclass
from typing import Literal

from spikingbrain.config import Config, Experts, Layer, LearnedGate

KeyValueType = Literal["float32", "bfloat16", "int8"]

FLOAT32_BYTES = POSITION_BYTES = 4
KEY_VALUE_BYTES: dict[KeyValueType, int] = {"float32": 4, "bfloat16": 2, "int8": 1}
# One f32 for each token's keys of a head and one for its values.
SCALE_BYTES: dict[KeyValueType, int] = {"float32": 0, "bfloat16": 0, "int8": 4}


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    total: int
    """Elements of all tensors."""
    active: int
    """Those that one token passes through: all but the experts it is not routed to."""


@dataclass(frozen=True, kw_only=True)
class StateBytes:
    """A sequence's state, in bytes (`gpu-backend/docs/model.md#9-what-a-sequence-takes`; one linear state per KV head)."""

    head: int
    """Linear states and sums of evicted tokens in f32: constant."""
    pages: int
    """Keys and values that are still visible to some later token, sinks included, and salient ones with their positions and salience."""
    per_token: int
    """What the next token adds: constant once every window is full."""

    @property
    def total(self) -> int:
        return self.head + self.pages


def parameter_count(config: Config) -> ParameterCount:
    embeddings = config.vocabulary * config.hidden * (1 if config.tied_head else 2)
    outside = embeddings + config.learned_sinks * config.hidden + config.hidden
    mixers = sum(_mixer(config, layer) for layer in config.layers)
    norms = 2 * config.hidden * len(config.layers)
    total = active = outside + mixers + norms
    for layer in config.layers:
        if layer.feed_forward == "dense":
            total += _swiglu(config.hidden, config.feed_forward_inner)
            active += _swiglu(config.hidden, config.feed_forward_inner)
        elif config.experts is not None:
            total += _routed(config.hidden, config.experts, config.experts.count)
            active += _routed(config.hidden, config.experts, config.experts.used)
    return ParameterCount(total=total, active=active)


def state_bytes(config: Config, context: int, key_values: KeyValueType = "bfloat16") -> StateBytes:
    """After `context` tokens of text."""
    per_layer_token = 2 * config.kv_heads * (config.head_dim * KEY_VALUE_BYTES[key_values] + SCALE_BYTES[key_values])
    position = config.learned_sinks + context
    linear = sum(layer.is_linear for layer in config.layers)
    evicted = sum(layer.is_evicted for layer in config.layers)
    salient = evicted * _salient_held(config, position)
    salient_next = evicted * _salient_held(config, position + 1)
    held = sum(_tokens_held(config, layer, position) for layer in config.layers)
    held_next = sum(_tokens_held(config, layer, position + 1) for layer in config.layers)
    salient_token = per_layer_token + config.kv_heads * (FLOAT32_BYTES + POSITION_BYTES)
    return StateBytes(
        head=(linear * config.head_dim**2 + evicted * 2 * config.head_dim * (config.head_dim + 1)) * config.kv_heads * FLOAT32_BYTES,
        pages=held * per_layer_token + salient * salient_token,
        per_token=(held_next - held) * per_layer_token + (salient_next - salient) * salient_token,
    )


def _tokens_held(config: Config, layer: Layer, position: int) -> int:
    """Tokens whose keys a query at `position` sees, its own not counted, or has as sinks."""
    if layer.softmax == "full":
        return position
    if layer.softmax == "window" and config.window is not None:
        return min(position, config.kept + config.window)
    return 0


def _salient_held(config: Config, position: int) -> int:
    """Of an `evicted` layer, per KV head, for a query at `position`."""
    if config.evicted is None or config.window is None:
        return 0
    return min(config.evicted.salient, max(0, position + 1 - config.window - config.kept))


def _swiglu(hidden: int, inner: int) -> int:
    return 3 * hidden * inner


def _routed(hidden: int, experts: Experts, count: int) -> int:
    return experts.count * hidden + count * _swiglu(hidden, experts.inner) + _swiglu(hidden, experts.shared_inner)


def _mixer(config: Config, layer: Layer) -> int:
    width, kv_width = config.heads * config.head_dim, config.kv_heads * config.head_dim
    projections = 2 * width * config.hidden + 2 * kv_width * config.hidden
    projections += (width + 2 * kv_width) * config.biases.query_key_value + config.hidden * config.biases.output
    separate = layer.is_parallel and config.parallel_projections == "separate"
    count = projections * (2 if separate else 1)
    if layer.is_parallel:
        shared_norm = config.head_dim if config.branch_norm == "head" else width
        count += 2 * (config.hidden if separate else shared_norm)
    if layer.is_linear and config.linear is not None:
        count += config.head_dim * config.linear.head_norm
        if isinstance(config.linear.gate, LearnedGate):
            rank = config.linear.gate.rank
            count += kv_width + (config.hidden * kv_width if rank is None else rank * (config.hidden + kv_width))
    if layer.is_evicted:
        maps = (config.heads + config.kv_heads) * (config.head_dim + 2) * config.head_dim
        maps += config.kv_heads * config.head_dim
        # The mix has a row, a bias and two scalars per head, the correction two rows and two vectors.
        count += maps + config.kv_heads + config.heads * (config.hidden + 3) + 2 * config.heads * (config.hidden + config.head_dim)
    return count
