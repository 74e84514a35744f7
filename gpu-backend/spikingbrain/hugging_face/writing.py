"""From a `Config` to a `config.json`."""

from typing import Any

from spikingbrain.config import Config, LearnedGate
from spikingbrain.hugging_face.keys import KEYS, OWN_DEFAULTS, OWN_KEYS


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


def _value(config: Config, field: str) -> object:
    """A field by its dotted name; None where the config has no such part."""
    value: object = config
    for part in field.split("."):
        value = getattr(value, part, None)
    return dict(value) if field == "spiking.site_k" and isinstance(value, tuple) else value
