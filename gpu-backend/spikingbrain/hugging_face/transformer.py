"""The `config.json` of an ordinary Transformer, `LlamaForCausalLM` or `Qwen2ForCausalLM`, in the keys that `reading.py` knows.

Defaults of a missing key are those of transformers' own classes, which write only what differs. What such a model may have and ours has not
(scaled RoPE, sliding windows, biases in a feed-forward, quantised weights) is refused by name.
"""

import json
from collections.abc import Mapping
from typing import Any

from spikingbrain.rules import require, require_count

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "llama": {"max_position_embeddings": 2_048, "attention_bias": False},
    "qwen2": {"max_position_embeddings": 32_768, "num_key_value_heads": 32},
}
SHARED_DEFAULTS = {"rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "tie_word_embeddings": False, "hidden_act": "silu"}
ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
FIXED: Mapping[str, tuple[object, ...]] = {
    "mlp_bias": (False,),
    "partial_rotary_factor": (None, 1, 1.0),
    "quantization_config": (None,),
    "rope_interleaved": (False,),
    "use_sliding_window": (False,),
}
# Keys that change nothing where those above have such a value; a tensor-parallel split of old checkpoints changes only the order of sums.
INERT = {"is_llama_config", "max_window_layers", "pretraining_tp", "sliding_window"}


def is_transformer(values: Mapping[str, Any]) -> bool:
    """Whether a `config.json` is of one of the two architectures."""
    return values.get("model_type") in ARCHITECTURES


def with_own_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same model as a `spikingbrain` one with full attention in every layer; RoPE's settings are flat already."""
    kind = values["model_type"]
    architectures = values.get("architectures") or [ARCHITECTURES[kind]]
    _require(architectures == [ARCHITECTURES[kind]], "architectures", [ARCHITECTURES[kind]], architectures)
    for key, allowed in FIXED.items():
        _require(key not in values or values[key] in allowed, key, allowed, values.get(key))
    count = require_count("config.json: num_hidden_layers", values.get("num_hidden_layers"), most=4_096)
    kinds = values.get("layer_types")
    _require(kinds is None or kinds == ["full_attention"] * count, "layer_types", ["full_attention"] * count, kinds)
    full = {**SHARED_DEFAULTS, **DEFAULTS[kind], **values}
    biased = kind == "qwen2" or full["attention_bias"]
    own = {
        "model_type": "spikingbrain",
        "norm_eps": full["rms_norm_eps"],
        "layer_mixers": ["full"] * count,
        "qkv_bias": biased,
        "attention_output_bias": kind == "llama" and full["attention_bias"],
    }
    read = {"model_type", "architectures", "rms_norm_eps", "attention_bias", "layer_types", *FIXED, *INERT}
    return {key: value for key, value in full.items() if key not in read} | own


def _require(holds: bool, key: str, allowed: object, value: object) -> None:
    require(holds, f"config.json: {key}", f"one of {json.dumps(allowed)}" if isinstance(allowed, tuple) else json.dumps(allowed), value)
