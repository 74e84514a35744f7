"""A Hugging Face `config.json` as a `Config`, and back.

The keys of the released 7B (`gla_swa`, `model.md` 1.1) are read as they are. What that model has no word for has keys of our own:

| key | is |
|---|---|
| `layer_mixers`, `layer_feed_forwards` | per layer, such as `"linear+window"` and `"moe"`; they replace `attn_layers` |
| `window` | keys a window sees, the current one included; it replaces `sliding_window` |
| `head_dim`, `rope_dim`, `kept_tokens`, `learned_sinks`, `name` | as in `Config` |
| `feature_map`, `gate` (`"learned"` or `"one_minus_key"`), `head_norm`, `linear_rope`, `linear_reads_sinks` | linear attention |
| `parallel_projections`, `branch_norm`, `qkv_bias`, `attention_output_bias` | the mixer |
| `num_experts`, `num_experts_per_tok`, `moe_intermediate_size`, `shared_expert_intermediate_size`, `router`, `norm_topk_prob` | experts |
| `spiking_mode`, `spiking_k` | spikes |
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from spikingbrain.config import (
    Biases,
    Config,
    Experts,
    Layer,
    LearnedGate,
    LinearAttention,
    OneMinusKeyGate,
    Spiking,
)
from spikingbrain.rules import ConfigError, require, require_choice, require_count, require_list

SlidingWindow = Literal["past", "all"]

# Our name of a plain field, and the key it has in a config.json. Errors name the key.
KEYS = {
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "vocabulary": "vocab_size",
    "feed_forward_inner": "intermediate_size",
    "rope_theta": "rope_theta",
    "rope_dim": "rope_dim",
    "epsilon": "norm_eps",
    "context": "max_position_embeddings",
    "tied_head": "tie_word_embeddings",
    "learned_sinks": "learned_sinks",
    "kept_tokens": "kept_tokens",
    "parallel_projections": "parallel_projections",
    "branch_norm": "branch_norm",
    "window": "window",
    "name": "name",
    "bos": "bos_token_id",
    "end_tokens": "eos_token_id",
    "biases.query_key_value": "qkv_bias",
    "biases.output": "attention_output_bias",
    "linear.feature_map": "feature_map",
    "linear.head_norm": "head_norm",
    "linear.rope": "linear_rope",
    "linear.reads_sinks": "linear_reads_sinks",
    "linear.gate.normalizer": "gate_logit_normalizer",
    "linear.gate.rank": "gate_low_rank_dim",
    "experts.count": "num_experts",
    "experts.used": "num_experts_per_tok",
    "experts.inner": "moe_intermediate_size",
    "experts.shared_inner": "shared_expert_intermediate_size",
    "experts.router": "router",
    "experts.normalised": "norm_topk_prob",
    "spiking.mode": "spiking_mode",
    "spiking.k": "spiking_k",
}
STRUCTURE = {"num_hidden_layers", "attn_layers", "sliding_window", "layer_mixers", "layer_feed_forwards", "gate"}
# Keys of upstream's modules that would change the function, and the values under which they do not.
FIXED: Mapping[str, tuple[object, ...]] = {
    "model_type": ("gla_swa", "spikingbrain"),
    "hidden_act": ("swish", "silu"),
    "use_short_conv": (False,),
    "elementwise_affine": (True,),
    "rope_scaling": (None,),
}
# Keys that do not change what the model computes.
INERT = {
    *("_name_or_path", "architectures", "attn_mode", "attention_dropout", "auto_map", "conv_size", "dtype", "fuse_cross_entropy"),
    *("fuse_norm", "fuse_swiglu", "initializer_range", "pad_token_id", "torch_dtype", "transformers_version", "use_cache"),
}


def from_hugging_face(values: Mapping[str, Any], *, sliding_window: SlidingWindow = "past") -> Config:
    """The model that a `config.json` describes.

    Upstream reads its `sliding_window` in two ways (`model.md` 1.4): `past`, the default, counts the keys before the current token, as its
    training, its prefill and its vLLM plugin do (4,097 visible for 4,096); `all` counts the current one too, as the paper's formula does.
    """
    values = _with_rope_parameters(values)
    for key, allowed in FIXED.items():
        require(key not in values or values[key] in allowed, f"config.json: {key}", f"one of {json.dumps(allowed)}", values.get(key))
    unknown = sorted(set(values) - set(KEYS.values()) - STRUCTURE - set(FIXED) - INERT)
    if unknown:
        warnings.warn(f"config.json: keys that are not known here and change nothing: {', '.join(unknown)}", stacklevel=2)
    try:
        return _Reader(values).config(sliding_window)
    except ConfigError as error:
        raise ConfigError(f"config.json: {KEYS.get(error.field, error.field)}", error.rule, error.value) from error


def read_hugging_face(path: Path, *, sliding_window: SlidingWindow = "past") -> Config:
    """As `from_hugging_face`, from a file."""
    values = json.loads(path.read_text(encoding="utf-8"))
    require(isinstance(values, dict), str(path), "a JSON object", values)
    return from_hugging_face(values, sliding_window=sliding_window)


def _with_rope_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Newer transformers write RoPE's settings as one object."""
    flat = dict(values)
    rope = flat.pop("rope_parameters", None)
    if rope is None:
        return flat
    holds = isinstance(rope, dict) and set(rope) <= {"rope_theta", "rope_type"} and rope.get("rope_type", "default") == "default"
    require(holds, "config.json: rope_parameters", "rope_theta and the rope_type 'default' at most", rope)
    return {**flat, **{key: value for key, value in rope.items() if key == "rope_theta"}}


class _Reader:
    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def given(self, *fields: str) -> dict[str, Any]:
        """The fields that the file has a value for, by the last part of our name; the dataclasses' defaults stand for the others."""
        return {field.split(".")[-1]: self.values[KEYS[field]] for field in fields if self.values.get(KEYS[field]) is not None}

    def config(self, sliding_window: SlidingWindow) -> Config:
        for field in ("hidden", "heads", "vocabulary", "feed_forward_inner"):
            require_count(field, self.values.get(KEYS[field]))
        given = self.given(*(field for field in KEYS if "." not in field and field not in ("window", "end_tokens")))
        given.setdefault("kv_heads", given["heads"])
        if "head_dim" not in given:
            divides = given["hidden"] % given["heads"] == 0
            require(divides, "head_dim", f"given where {given['heads']} heads do not divide the hidden size", given["hidden"])
            given["head_dim"] = given["hidden"] // given["heads"]
        layers = self.layers()
        return Config(
            **given,
            layers=layers,
            window=self.window(sliding_window) if any(layer.softmax == "window" for layer in layers) else None,
            linear=self.linear() if any(layer.is_linear for layer in layers) else None,
            experts=self.experts() if any(layer.feed_forward == "moe" for layer in layers) else None,
            biases=Biases(**self.given("biases.query_key_value", "biases.output")),
            spiking=Spiking(**self.given("spiking.mode", "spiking.k")),
            end_tokens=self.end_tokens(),
        )

    def layers(self) -> tuple[Layer, ...]:
        count = require_count("num_hidden_layers", self.values.get("num_hidden_layers"), most=4_096)
        mixers = self.names("layer_mixers", count)
        feed_forwards = self.names("layer_feed_forwards", count) or ["dense"] * count
        if mixers is None:
            mixers = self.released_mixers(count)
        # The dataclass checks the words.
        pairs: list[tuple[Any, Any]] = [(tuple(mixer.split("+")), kind) for mixer, kind in zip(mixers, feed_forwards, strict=True)]
        return tuple(Layer(mixer=mixer, feed_forward=kind) for mixer, kind in pairs)

    def released_mixers(self, count: int) -> list[str]:
        """The 7B's: softmax at `attn_layers`, linear elsewhere."""
        rule = f"a list of layer numbers from 0 to {count - 1}, or replaced by layer_mixers"
        softmax = require_list("attn_layers", rule, self.values.get("attn_layers"))
        for index in softmax:
            require(isinstance(index, int) and not isinstance(index, bool) and 0 <= index < count, "attn_layers", rule, index)
        kind = "full" if self.values.get("sliding_window") is None and self.values.get("window") is None else "window"
        return [kind if index in softmax else "linear" for index in range(count)]

    def names(self, key: str, count: int) -> list[str] | None:
        if self.values.get(key) is None:
            return None
        rule = f"a list of {count} strings"
        names = require_list(key, rule, self.values[key])
        texts = [name for name in names if isinstance(name, str)]
        require(len(texts) == len(names) == count, key, rule, names)
        return texts

    def window(self, sliding_window: SlidingWindow) -> int:
        if self.values.get("window") is not None:
            return require_count("window", self.values["window"])
        width = require_count("sliding_window", self.values.get("sliding_window"))
        return width + 1 if sliding_window == "past" else width

    def linear(self) -> LinearAttention:
        kind = self.values.get("gate", "learned")
        require_choice("gate", kind, ["learned", "one_minus_key"])
        gate: LearnedGate | OneMinusKeyGate = OneMinusKeyGate()
        if kind == "learned":
            rank = self.values.get(KEYS["linear.gate.rank"], 16)
            gate = LearnedGate(**self.given("linear.gate.normalizer"), rank=rank)
        return LinearAttention(**self.given("linear.feature_map", "linear.head_norm", "linear.rope", "linear.reads_sinks"), gate=gate)

    def experts(self) -> Experts:
        for field in ("count", "used", "inner"):
            require_count(f"experts.{field}", self.values.get(KEYS[f"experts.{field}"]))
        return Experts(**self.given(*(field for field in KEYS if field.startswith("experts."))))

    def end_tokens(self) -> tuple[int, ...]:
        tokens = self.values.get(KEYS["end_tokens"])
        if tokens is None:
            return ()
        return tuple(tokens) if isinstance(tokens, list) else (tokens,)


def to_hugging_face(config: Config) -> dict[str, Any]:
    """A `config.json` that `from_hugging_face` reads back to the same config. Keys of our own appear only where a model needs them; one
    that needs none is a `gla_swa`, which upstream's code reads too."""
    values = {key: _value(config, field) for field, key in KEYS.items() if _value(config, field) is not None}
    values |= {"num_hidden_layers": len(config.layers), "hidden_act": "swish", "use_short_conv": False, "elementwise_affine": True}
    values["eos_token_id"] = config.end_tokens[0] if len(config.end_tokens) == 1 else list(config.end_tokens)
    if config.linear is not None:
        values["gate"] = "learned" if isinstance(config.linear.gate, LearnedGate) else "one_minus_key"
        if isinstance(config.linear.gate, LearnedGate):
            values["gate_low_rank_dim"] = config.linear.gate.rank
    if config.head_dim * config.heads == config.hidden:
        del values["head_dim"]
    mixers = [layer.mixer_name for layer in config.layers]
    if set(mixers) <= {"linear", "window"} and config.window is not None and config.window > 1:
        values["attn_layers"] = [index for index, mixer in enumerate(mixers) if mixer == "window"]
        values["sliding_window"] = config.window - 1
        del values["window"]
    else:
        values["layer_mixers"] = mixers
    values["layer_feed_forwards"] = [layer.feed_forward for layer in config.layers]
    defaults = OWN_DEFAULTS | {"layer_feed_forwards": ["dense"] * len(config.layers)}
    values = {key: value for key, value in values.items() if key not in defaults or defaults[key] != value}
    if set(values) & OWN_KEYS:
        return {"model_type": "spikingbrain"} | values
    return {"model_type": "gla_swa", "architectures": ["GLAswaForCausalLM"]} | values


# What a missing key of our own means.
OWN_DEFAULTS: dict[str, object] = {
    "learned_sinks": 0,
    "kept_tokens": 0,
    "parallel_projections": "shared",
    "branch_norm": "full",
    "name": "",
    "eos_token_id": [],
    "qkv_bias": True,
    "attention_output_bias": False,
    "feature_map": "relu",
    "gate": "learned",
    "head_norm": True,
    "linear_rope": False,
    "linear_reads_sinks": True,
    "router": "softmax",
    "norm_topk_prob": False,
    "spiking_mode": "off",
    "spiking_k": 3.0,
}
# Those that change what upstream's code would have to compute.
OWN_KEYS = {*OWN_DEFAULTS, "layer_mixers", "layer_feed_forwards", "window", "head_dim", "rope_dim", "num_experts"} - {
    *("name", "eos_token_id", "spiking_mode", "spiking_k")
}


def _value(config: Config, field: str) -> object:
    """A field by its dotted name; None where the config has no such part."""
    value: object = config
    for part in field.split("."):
        value = getattr(value, part, None)
    return value
