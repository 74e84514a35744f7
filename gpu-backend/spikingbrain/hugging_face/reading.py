"""From a `config.json` to a `Config`."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from spikingbrain.config import Biases, Config, EvictedTokens, Experts, Layer, LearnedGate, LinearAttention, OneMinusKeyGate, Site, Spiking
from spikingbrain.hugging_face.keys import FIXED, INERT, KEYS, STRUCTURE
from spikingbrain.hugging_face.transformer import is_transformer, with_own_keys
from spikingbrain.rules import ConfigError, require, require_choice, require_count, require_list
from spikingbrain.spike.modes import SITES

SlidingWindow = Literal["past", "all"]


def from_hugging_face(values: Mapping[str, Any], *, sliding_window: SlidingWindow = "past") -> Config:
    """The model that a `config.json` describes: one of ours, the released 7B, or an ordinary Transformer (`transformer.py`).

    Upstream reads its `sliding_window` in two ways (`gpu-backend/docs/model.md#54-how-wide-the-released-window-is`): `past`, the default,
    counts the keys before the current token, as its training, its prefill and its vLLM plugin do (4,097 visible for 4,096); `all` counts
    the current one too, as the paper's formula does.
    """
    values = _with_rope_parameters(values)
    if is_transformer(values):
        values = with_own_keys(values)
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
            evicted=self.evicted() if any(layer.is_evicted for layer in layers) else None,
            experts=self.experts() if any(layer.feed_forward == "moe" for layer in layers) else None,
            biases=Biases(**self.given("biases.query_key_value", "biases.output")),
            spiking=Spiking(**self.given("spiking.mode", "spiking.k"), site_k=self.site_k()),
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

    def site_k(self) -> tuple[tuple[Site, float], ...]:
        given = self.values.get(KEYS["spiking.site_k"], {})
        known = isinstance(given, dict) and set(given) <= set(SITES)
        require(known, KEYS["spiking.site_k"], f"an object with keys of {', '.join(SITES)}", given)
        return tuple((site, given[site]) for site in SITES if site in given)

    def evicted(self) -> EvictedTokens:
        def count(field: str, least: int = 1) -> int:
            return require_count(KEYS[f"evicted.{field}"], self.values.get(KEYS[f"evicted.{field}"]), least=least)

        return EvictedTokens(sink_cap=count("sink_cap", 0), salient=count("salient"), salience_half_life=count("salience_half_life"))

    def experts(self) -> Experts:
        for field in ("count", "used", "inner"):
            require_count(f"experts.{field}", self.values.get(KEYS[f"experts.{field}"]))
        return Experts(**self.given(*(field for field in KEYS if field.startswith("experts."))))

    def end_tokens(self) -> tuple[int, ...]:
        tokens = self.values.get(KEYS["end_tokens"])
        if tokens is None:
            return ()
        return tuple(tokens) if isinstance(tokens, list) else (tokens,)
