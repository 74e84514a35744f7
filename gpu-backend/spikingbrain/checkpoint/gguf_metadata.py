"""The model's config as GGUF metadata, both ways: the keys that `wasm/engine/src/config.rs` reads.

Below `spikingbrain.`; `llama` and `qwen2` files have the first group only. Defaults are what a reader assumes where the key is missing.

| key | type | is |
|---|---|---|
| `block_count`, `context_length` | uint32 | layers, tokens |
| `embedding_length`, `feed_forward_length`, `vocab_size` | uint32 | hidden, inner, rows of the embedding |
| `attention.head_count`, `attention.head_count_kv` | uint32 | query heads, key and value heads |
| `attention.key_length`, `attention.value_length` | uint32 | width of a head, twice |
| `attention.layer_norm_rms_epsilon`, `rope.freq_base` | float32 | epsilon of every norm, RoPE's base |
| `rope.dimension_count` | uint32 | leading dimensions of a head that are rotated; default all |
| `attention.sliding_window` | uint32 | keys a `window` branch sees, the current token included |
| `attention.sink_count`, `attention.kept_tokens` | uint32 | learned sinks; leading tokens that never leave a window; default 0 |
| `layer.mixers` | strings, one a layer | `linear`, `window`, `full`, `linear` and one of these joined by `+`, or `evicted` |
| `evicted.sink_cap` | uint32 | where a layer is `evicted`: the position at which, at most, kept tokens meet a query |
| `evicted.salient` | uint32 | where a layer is `evicted`: evicted tokens that each KV head keeps exactly |
| `evicted.salience_half_life` | uint32 | where a layer is `evicted`: tokens after which the claim of such a token has halved |
| `layer.feed_forwards` | strings, one a layer | `dense` or `moe`; default all `dense` |
| `parallel.projections` | string | `shared` (default) or `separate` |
| `linear.feature_map` | string | `relu` (default) or `sigmoid` |
| `linear.gate` | string | `learned` (default) or `one_minus_key` |
| `linear.gate_normalizer` | float32 | divides the log of a learned gate; default 16 |
| `linear.head_norm` | bool | default true |
| `expert_count`, `expert_used_count` | uint32 | routed experts of a `moe` layer, and how many a token uses |
| `expert_feed_forward_length` | uint32 | inner of a routed expert; default `feed_forward_length` |
| `expert_shared_feed_forward_length` | uint32 | inner of the shared expert; default 0, none |
| `expert_gating` | string | `softmax` (default) or `sigmoid` |
| `spiking.mode` | string | the run's mode unless it is told another: `off` (default), `paper` or `released` |
| `spiking.k` | float32 | a token's threshold is `mean(|x|) / k`; default 3 |
| `spiking.k.SITE` | float32 | k of one site (`spike/modes.py`); default `spiking.k` |
| `expert_weights_norm` | bool | whether used experts' scores are scaled to sum to 1; default false |

Which biases there are, whether the head is tied (no `output.weight`) and the gate's form are told by the tensors alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from spikingbrain.config import (
    MAX_CONTEXT,
    MAX_LAYERS,
    Biases,
    Config,
    EvictedTokens,
    Experts,
    Layer,
    LearnedGate,
    LinearAttention,
    OneMinusKeyGate,
    Spiking,
)
from spikingbrain.spike.modes import SITES

from .errors import CheckpointError
from .gguf_keys import ARCHITECTURE, Keys, token_of, value_of

# A product of the engine starts at a panel of so many rows (`wasm/engine/src/weights/matrix.rs`), so stacked experts must too.
PANEL_ROWS = 4

# A Python type tells the GGUF type: bool, int (uint32), float (float32), str, list[str].
Value = bool | int | float | str | list[str]


def to_metadata(config: Config) -> dict[str, Value]:
    """Metadata of a `spikingbrain` GGUF by key, without the tokenizer's. Refuses a choice that the engine does not have."""
    _require_engine_has(config)
    values: dict[str, Value] = {
        "block_count": len(config.layers),
        "context_length": config.context,
        "embedding_length": config.hidden,
        "feed_forward_length": config.feed_forward_inner,
        "vocab_size": config.vocabulary,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.epsilon),
        "attention.sink_count": config.learned_sinks,
        "attention.kept_tokens": config.kept_tokens,
        "rope.freq_base": float(config.rope_theta),
        "rope.dimension_count": config.rotated,
        "layer.mixers": [layer.mixer_name for layer in config.layers],
        "layer.feed_forwards": [layer.feed_forward for layer in config.layers],
        "parallel.projections": config.parallel_projections,
        "spiking.mode": config.spiking.mode,
        "spiking.k": float(config.spiking.k),
    }
    values |= {f"spiking.k.{site}": float(k) for site, k in config.spiking.site_k}
    if config.window is not None:
        values["attention.sliding_window"] = config.window
    if config.linear is not None:
        values["linear.feature_map"] = config.linear.feature_map
        values["linear.head_norm"] = config.linear.head_norm
        values["linear.gate"] = "one_minus_key"
        if isinstance(config.linear.gate, LearnedGate):
            values["linear.gate"] = "learned"
            values["linear.gate_normalizer"] = float(config.linear.gate.normalizer)
    if config.evicted is not None:
        values |= {f"evicted.{name}": value for name, value in asdict(config.evicted).items()}
    if config.experts is not None:
        values["expert_count"] = config.experts.count
        values["expert_used_count"] = config.experts.used
        values["expert_feed_forward_length"] = config.experts.inner
        values["expert_shared_feed_forward_length"] = config.experts.shared_inner
        values["expert_gating"] = config.experts.router
        values["expert_weights_norm"] = config.experts.normalised
    return {f"{ARCHITECTURE}.{key}": value for key, value in values.items()}


def _require_engine_has(config: Config) -> None:
    refused: list[tuple[str, bool, object]] = [
        ("branch_norm must be 'full'", config.branch_norm == "full", config.branch_norm),
        ("linear.rope must be False", config.linear is None or not config.linear.rope, True),
        ("linear.reads_sinks must be True", config.linear is None or config.linear.reads_sinks, False),
    ]
    if config.experts is not None:
        for field, size in (("experts.inner", config.experts.inner), ("hidden", config.hidden)):
            refused.append((f"{field} must be a multiple of {PANEL_ROWS} in a model with experts", size % PANEL_ROWS == 0, size))
    for rule, holds, value in refused:
        if not holds:
            raise CheckpointError(f"{rule} for the engine that reads the GGUF; it is {value!r}")


def from_metadata(metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> Config:
    """The config of a GGUF from its metadata and its tensors' shapes, `[rows, columns]`; defaults as in the table above."""
    keys = Keys(metadata)
    count = keys.integer("block_count", most=MAX_LAYERS)
    if count > len(shapes):
        raise keys.wrong("block_count", f"at most the file's {len(shapes)} tensors", count)
    if "token_embd.weight" not in shapes:
        raise CheckpointError("tensor 'token_embd.weight' is missing")
    vocabulary = shapes["token_embd.weight"][0]
    _refuse_scaled_rope(keys)
    hidden, heads = keys.integer("embedding_length"), keys.integer("attention.head_count")
    inner = keys.integer("feed_forward_length")
    default_mixers = None if keys.architecture == ARCHITECTURE else ["full"] * count
    mixers, feed_forwards = (
        keys.strings("layer.mixers", count, default_mixers),
        keys.strings("layer.feed_forwards", count, ["dense"] * count),
    )
    layers = tuple(Layer(mixer=tuple(mixer.split("+")), feed_forward=kind) for mixer, kind in zip(mixers, feed_forwards, strict=True))  # type: ignore[arg-type]
    head_dim = keys.integer("attention.key_length", hidden // heads)
    if keys.integer("attention.value_length", head_dim) != head_dim:
        raise keys.wrong("attention.value_length", f"the key length {head_dim}", keys.integer("attention.value_length", head_dim))
    rope_dim = keys.integer("rope.dimension_count", head_dim, least=0)
    ends = [token_of(metadata, f"tokenizer.ggml.{end}_token_id", vocabulary) for end in ("eos", "eot")]
    return Config(
        hidden=hidden,
        heads=heads,
        kv_heads=keys.integer("attention.head_count_kv", heads),
        head_dim=head_dim,
        vocabulary=vocabulary,
        feed_forward_inner=inner,
        layers=layers,
        window=keys.integer("attention.sliding_window") if any(layer.softmax == "window" for layer in layers) else None,
        linear=_linear(keys, shapes) if any(layer.is_linear for layer in layers) else None,
        evicted=_evicted(keys) if any(layer.is_evicted for layer in layers) else None,
        experts=_experts(keys, inner) if any(layer.feed_forward == "moe" for layer in layers) else None,
        parallel_projections=keys.get("parallel.projections", str, "shared"),
        learned_sinks=keys.integer("attention.sink_count", 0, least=0),
        kept_tokens=keys.integer("attention.kept_tokens", 0, least=0),
        rope_theta=keys.number("rope.freq_base", 10_000.0),
        rope_dim=rope_dim if rope_dim != head_dim else None,
        epsilon=keys.number("attention.layer_norm_rms_epsilon"),
        context=keys.integer("context_length", most=MAX_CONTEXT),
        biases=Biases(
            query_key_value=any(name.endswith("attn_q.bias") for name in shapes),
            output=any(name.endswith("attn_output.bias") for name in shapes),
        ),
        tied_head="output.weight" not in shapes,
        spiking=_spiking(keys),
        name=value_of(metadata, "general.name", str, "a string") or "",
        bos=token_of(metadata, "tokenizer.ggml.bos_token_id", vocabulary),
        end_tokens=tuple(dict.fromkeys(end for end in ends if end is not None)),
    )


def _refuse_scaled_rope(keys: Keys) -> None:
    """By its type, or by one of the two factors that older files give without one."""
    scaling = keys.get("rope.scaling.type", str, "")
    if scaling not in ("", "none"):
        raise keys.wrong("rope.scaling.type", "'none' or missing", scaling)
    for key in ("rope.scaling.factor", "rope.scale_linear"):
        # Writers put 0 where there is none.
        if scaling == "" and (factor := keys.get(key, float, 1.0)) not in (0.0, 1.0):
            raise keys.wrong(key, "1", factor)


def _spiking(keys: Keys) -> Spiking:
    k = keys.number("spiking.k", 3.0)
    site_k = tuple((site, keys.number(key)) for site in SITES if keys.has(key := f"spiking.k.{site}"))
    return Spiking(mode=keys.get("spiking.mode", str, "off"), k=k, site_k=site_k)


def _evicted(keys: Keys) -> EvictedTokens:
    return EvictedTokens(**{field.name: keys.integer(f"evicted.{field.name}", least=0) for field in fields(EvictedTokens)})


def _linear(keys: Keys, shapes: Mapping[str, tuple[int, ...]]) -> LinearAttention:
    kind = keys.get("linear.gate", str, "learned")
    if kind not in ("learned", "one_minus_key"):
        raise keys.wrong("linear.gate", "'learned' or 'one_minus_key'", kind)
    rank = next((shape[0] for name, shape in shapes.items() if name.endswith(".attn_gate_a.weight")), None)
    learned = LearnedGate(normalizer=keys.number("linear.gate_normalizer", 16.0), rank=rank)
    return LinearAttention(
        feature_map=keys.get("linear.feature_map", str, "relu"),
        gate=learned if kind == "learned" else OneMinusKeyGate(),
        head_norm=keys.get("linear.head_norm", bool, True),
    )


def _experts(keys: Keys, inner: int) -> Experts:
    return Experts(
        count=keys.integer("expert_count"),
        used=keys.integer("expert_used_count"),
        inner=keys.integer("expert_feed_forward_length", inner),
        shared_inner=keys.integer("expert_shared_feed_forward_length", 0, least=0),
        router=keys.get("expert_gating", str, "softmax"),
        normalised=keys.get("expert_weights_norm", bool, False),
    )
