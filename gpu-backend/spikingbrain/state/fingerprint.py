"""What decides a state's meaning, as the text that the engine makes too (`wasm/engine/src/state/fingerprint.rs`), and its SHA-256.

One `key=value` a line, in this order, each line ended by a newline. Numbers that a file holds as f32 are the eight hexadecimal digits of
its bits; a count that the model has no use for is 0, a word `none`. The model's name and vocabulary's tokens decide nothing, and the
weights are the caller's affair.
"""

import hashlib
import struct

from spikingbrain.config import Config, EvictedTokens, Experts, LearnedGate, LinearAttention, Spiking
from spikingbrain.spike.modes import SITES


def fingerprint(config: Config) -> bytes:
    """SHA-256 of `description`, 32 bytes."""
    return hashlib.sha256(description(config).encode()).digest()


def description(config: Config) -> str:
    """See the module."""
    parallel = any(layer.is_parallel for layer in config.layers)
    dense = any(layer.feed_forward == "dense" for layer in config.layers)
    lines = {
        "hidden": config.hidden,
        "heads": config.heads,
        "kv_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "vocabulary": config.vocabulary,
        "epsilon": _bits(config.epsilon),
        "rope_theta": _bits(config.rope_theta),
        "rope_dim": config.rotated,
        "learned_sinks": config.learned_sinks,
        "kept_tokens": config.kept_tokens,
        "window": config.window or 0,
        "layers": ",".join(f"{layer.mixer_name} {layer.feed_forward}" for layer in config.layers),
        "parallel_projections": config.parallel_projections if parallel else "shared",
        "branch_norm": config.branch_norm,
        "linear": "none" if config.linear is None else _linear(config.linear),
        "evicted": "none" if config.evicted is None else _evicted(config.evicted),
        "inner": config.feed_forward_inner if dense else 0,
        "experts": "none" if config.experts is None else _experts(config.experts),
        "spiking": config.spiking.mode,
        "spiking_k": _thresholds(config.spiking),
    }
    return "spikingbrain state\n" + "".join(f"{key}={value}\n" for key, value in lines.items())


def _thresholds(spiking: Spiking) -> str:
    """One k, or where sites differ that of every site."""
    return "/".join(_bits(spiking.k_at(site)) for site in SITES) if spiking.site_k else _bits(spiking.k)


def _bits(value: float) -> str:
    return struct.pack(">f", value).hex()


def _linear(linear: LinearAttention) -> str:
    """Feature map, gate with its normalizer, then whether heads are normed, queries and keys rotated, and sinks read."""
    gate = f"learned/{_bits(linear.gate.normalizer)}" if isinstance(linear.gate, LearnedGate) else "one_minus_key/00000000"
    flags = "/".join(str(flag).lower() for flag in (linear.head_norm, linear.rope, linear.reads_sinks))
    return f"{linear.feature_map}/{gate}/{flags}"


def _evicted(evicted: EvictedTokens) -> str:
    """Cap of the sinks, salient tokens, half-life of their claims."""
    return f"{evicted.sink_cap}/{evicted.salient}/{evicted.salience_half_life}"


def _experts(experts: Experts) -> str:
    """Count, used, inner, inner of the shared one, router, and whether scores are normalised."""
    counts = f"{experts.count}/{experts.used}/{experts.inner}/{experts.shared_inner}"
    return f"{counts}/{experts.router}/{str(experts.normalised).lower()}"
