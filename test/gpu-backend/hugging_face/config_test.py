"""config.json in and out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from spikingbrain.config import Config, ConfigError, Experts, Layer, LearnedGate, LinearAttention, OneMinusKeyGate, Spiking
from spikingbrain.hugging_face import from_hugging_face, read_hugging_face, to_hugging_face
from spikingbrain.presets import seven_billion, seventy_six_billion

# The released file's keys and values (`gpu-backend/docs/model.md#101-spikingbrain-7b`).
RELEASED: dict[str, Any] = {
    "architectures": ["GLAswaForCausalLM"],
    "attention_dropout": 0.0,
    "attn_layers": list(range(1, 28, 2)),
    "attn_mode": "chunk",
    "auto_map": {
        "AutoConfig": "configuration_gla_swa.GLAswaConfig",
        "AutoModelForCausalLM": "modeling_gla_swa.GLAswaForCausalLM",
    },
    "bos_token_id": 151643,
    "conv_size": 4,
    "elementwise_affine": True,
    "eos_token_id": 151643,
    "fuse_cross_entropy": True,
    "hidden_act": "swish",
    "hidden_size": 3584,
    "initializer_range": 0.02,
    "intermediate_size": 18944,
    "max_position_embeddings": 131072,
    "model_type": "gla_swa",
    "norm_eps": 1e-06,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rope_theta": 1000000.0,
    "sliding_window": 4096,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.45.0",
    "use_cache": True,
    "use_short_conv": False,
    "vocab_size": 152064,
}


def changed(**values: object) -> dict[str, Any]:
    return {key: value for key, value in {**RELEASED, **values}.items() if value != "absent"}


def test_the_released_file_is_the_7b() -> None:
    assert from_hugging_face(RELEASED) == replace(seven_billion(), name="", end_tokens=(151643,))


def test_auto_map_makes_no_difference() -> None:
    assert from_hugging_face(changed(auto_map="absent")) == from_hugging_face(RELEASED)


def test_both_readings_of_the_sliding_window() -> None:
    assert from_hugging_face(RELEASED).window == 4097
    assert from_hugging_face(RELEASED, sliding_window="all").window == 4096
    assert from_hugging_face(changed(window=77)).window == 77


def test_without_a_sliding_window_attention_is_full() -> None:
    config = from_hugging_face(changed(sliding_window=None))
    assert config.window is None
    assert config.layers[1] == Layer(mixer=("full",))


def test_newer_rope_settings() -> None:
    settings = {"rope_type": "default", "rope_theta": 5e4}
    assert from_hugging_face(changed(rope_theta="absent", rope_parameters=settings)).rope_theta == 5e4
    with pytest.raises(ConfigError, match="rope_parameters must be"):
        from_hugging_face(changed(rope_parameters={"rope_type": "yarn", "rope_theta": 5e4}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": "absent"}, "config.json: hidden_size must be an integer from 1 to 2147483647; it is None"),
        ({"num_attention_heads": 0}, "config.json: num_attention_heads must be an integer"),
        ({"num_attention_heads": 30}, "config.json: head_dim must be given where 30 heads do not divide the hidden size; it is 3584"),
        ({"num_key_value_heads": 5}, "config.json: num_key_value_heads must be a divisor of 28 heads; it is 5"),
        ({"num_hidden_layers": "28"}, "config.json: num_hidden_layers must be an integer from 1 to 4096; it is '28'"),
        (
            {"attn_layers": [28]},
            "config.json: attn_layers must be a list of layer numbers from 0 to 27, or replaced by layer_mixers; it is 28",
        ),
        ({"attn_layers": "absent"}, "config.json: attn_layers must be a list of layer numbers"),
        ({"layer_mixers": ["linear"]}, "config.json: layer_mixers must be a list of 28 strings"),
        ({"layer_mixers": ["linear+linear"] * 28}, "config.json: layer.mixer must be"),
        ({"sliding_window": 0}, "config.json: sliding_window must be an integer from 1"),
        ({"norm_eps": -1.0}, "config.json: norm_eps must be a positive finite number; it is -1.0"),
        ({"gate_low_rank_dim": 0}, "config.json: gate_low_rank_dim must be an integer from 1"),
        ({"gate_logit_normalizer": "16"}, "config.json: gate_logit_normalizer must be a positive finite number; it is '16'"),
        ({"gate": "half"}, "config.json: gate must be one of"),
        ({"eos_token_id": "x"}, "config.json: eos_token_id must be an integer from 0 to 152063; it is 'x'"),
        ({"use_short_conv": True}, "config.json: use_short_conv must be one of"),
        ({"hidden_act": "gelu"}, "config.json: hidden_act must be one of"),
        ({"rope_scaling": {"type": "yarn"}}, "config.json: rope_scaling must be one of"),
        ({"model_type": "mistral"}, "config.json: model_type must be one of"),
        ({"layer_feed_forwards": ["moe"] * 28}, "config.json: num_experts must be an integer"),
        ({"spiking_mode": "on"}, "config.json: spiking_mode must be one of"),
    ],
)
def test_a_bad_value_is_named_by_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_hugging_face(changed(**changes))
    assert message in str(caught.value)


def test_unknown_keys_are_told() -> None:
    with pytest.warns(UserWarning, match="keys that are not known here and change nothing: temperature_of_gate"):
        from_hugging_face(changed(temperature_of_gate=2))


TIED = LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate())
SMALL = Config(
    hidden=20,
    heads=4,
    kv_heads=2,
    head_dim=6,
    vocabulary=32,
    feed_forward_inner=24,
    layers=(Layer(mixer=("linear", "full"), feed_forward="moe"), Layer(mixer=("window",)), Layer(mixer=("linear",))),
    window=1,
    linear=LinearAttention(
        feature_map="sigmoid", gate=LearnedGate(normalizer=3.5, rank=None), head_norm=False, rope=True, reads_sinks=False
    ),
    experts=Experts(count=4, used=2, inner=8, shared_inner=4, router="sigmoid", normalised=True),
    parallel_projections="separate",
    branch_norm="head",
    learned_sinks=3,
    rope_dim=2,
    tied_head=True,
    spiking=Spiking(mode="paper", k=2.5, site_k=(("feed_forward_down", 1.25),)),
    name="small",
    end_tokens=(1, 2),
)


@pytest.mark.parametrize(
    "config",
    [
        seven_billion(),
        seven_billion(window=2),
        seventy_six_billion(),
        seventy_six_billion(projections="separate", router="sigmoid"),
        SMALL,
        replace(
            SMALL,
            learned_sinks=0,
            kept_tokens=4,
            linear=LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate()),
            bos=0,
            end_tokens=(),
        ),
        replace(seven_billion(), linear=LinearAttention(gate=LearnedGate(rank=None))),
    ],
)
def test_every_config_survives_its_file(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(to_hugging_face(config)), encoding="utf-8")
    assert read_hugging_face(path) == config


def test_a_7b_has_upstreams_keys_alone() -> None:
    written = to_hugging_face(replace(seven_billion(), name=""))
    known_to_module = {"gate_low_rank_dim", "gate_logit_normalizer"}
    assert set(written) - known_to_module <= set(RELEASED)
    assert {key: written[key] for key in set(written) & set(RELEASED) - {"eos_token_id"}} == {
        key: RELEASED[key] for key in set(written) & set(RELEASED) - {"eos_token_id"}
    }
    assert to_hugging_face(SMALL)["model_type"] == "spikingbrain"
