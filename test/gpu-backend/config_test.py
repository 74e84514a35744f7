"""Every rule of a config, by the field, rule and value in its error."""

from dataclasses import replace
from typing import Any

import pytest
from spikingbrain.config import Config, ConfigError, Experts, Layer, LearnedGate, LinearAttention, OneMinusKeyGate, Spiking

SMALL = Config(
    hidden=16,
    heads=4,
    kv_heads=2,
    head_dim=4,
    vocabulary=32,
    feed_forward_inner=24,
    layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))),
    window=3,
    linear=LinearAttention(),
)
EXPERTS = Experts(count=4, used=2, inner=8)
MOE = (*SMALL.layers, Layer(mixer=("full",), feed_forward="moe"))


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("hidden", 0, "an integer from 1 to 1048576"),
        ("hidden", True, "an integer from 1 to 1048576"),
        ("heads", 2.0, "an integer from 1 to 1048576"),
        ("kv_heads", 3, "a divisor of 4 heads"),
        ("head_dim", 5, "even"),
        ("head_dim", 2**19, "at most 1048576 times all heads"),
        ("vocabulary", -1, "an integer from 1 to 2147483647"),
        ("feed_forward_inner", None, "an integer from 1 to 1048576"),
        ("context", 2**31, "an integer from 1 to 1073741824"),
        ("rope_dim", 6, "an integer from 0 to 4"),
        ("rope_dim", 3, "even"),
        ("rope_theta", 0.0, "a positive finite number"),
        ("rope_theta", float("nan"), "a positive finite number"),
        ("epsilon", float("inf"), "a positive finite number"),
        ("learned_sinks", 5_000, "an integer from 0 to 4096"),
        ("kept_tokens", -1, "an integer from 0 to 4096"),
        ("parallel_projections", "both", "one of ['shared', 'separate']"),
        ("branch_norm", "none", "one of ['full', 'head']"),
        ("tied_head", 1, "true or false"),
        ("window", None, "given exactly when a layer has a window branch"),
        ("window", 0, "an integer from 1 to 1073741824"),
        ("linear", None, "given exactly when a layer has a linear branch"),
        ("experts", EXPERTS, "given exactly when a layer's feed-forward is 'moe'"),
        ("bos", 32, "an integer from 0 to 31"),
        ("end_tokens", (3, 32), "an integer from 0 to 31"),
        ("layers", (), "1 to 4096"),
    ],
)
def test_a_bad_value_is_named(field: str, value: object, rule: str) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError) as caught:
        replace(SMALL, **changes)
    assert (caught.value.field, caught.value.rule) == (field, rule)
    assert str(caught.value) == f"{field} must be {rule}; it is {caught.value.value!r}"


def test_sinks_and_kept_tokens_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="kept_tokens must be 0 when there are learned sinks; it is 2"):
        replace(SMALL, learned_sinks=1, kept_tokens=2)


@pytest.mark.parametrize("mixer", [(), ("window", "full"), ("linear", "linear"), ("softmax",)])
def test_a_mixer_is_one_branch_or_linear_with_a_softmax_one(mixer: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=r"^layer\.mixer must be"):
        Layer(mixer=mixer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"used": 5}, r"experts\.used must be an integer from 1 to 4; it is 5"),
        ({"count": 0}, r"experts\.count must be"),
        ({"inner": 0}, r"experts\.inner must be"),
        ({"shared_inner": -1}, r"experts\.shared_inner must be"),
        ({"router": "relu"}, r"experts\.router must be one of"),
        ({"normalised": None}, r"experts\.normalised must be true or false"),
    ],
)
def test_experts_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(EXPERTS, **changes)


def test_nested_choices_are_checked() -> None:
    kind: Any = "gelu"
    with pytest.raises(ConfigError, match=r"linear\.feature_map must be one of \['relu', 'sigmoid'\]; it is 'gelu'"):
        LinearAttention(feature_map=kind)
    with pytest.raises(ConfigError, match=r"linear\.gate\.normalizer must be a positive finite number; it is -1"):
        LearnedGate(normalizer=-1)
    with pytest.raises(ConfigError, match=r"linear\.feature_map must be 'sigmoid' where the gate is one minus the key; it is 'relu'"):
        LinearAttention(gate=OneMinusKeyGate())
    with pytest.raises(ConfigError, match=r"spiking\.mode must be one of"):
        Spiking(mode=kind)
    with pytest.raises(ConfigError, match=r"spiking\.k must be a positive finite number; it is 0"):
        Spiking(k=0)
    with pytest.raises(ConfigError, match=r"spiking\.site_k\.query must be a positive finite number; it is -1"):
        Spiking(site_k=(("query", -1),))
    with pytest.raises(ConfigError, match=r"spiking\.site_k must be of different sites in their order"):
        Spiking(site_k=(("query", 2.0), ("attention_in", 2.0)))


def test_what_follows_from_the_fields() -> None:
    config = replace(SMALL, layers=MOE, experts=EXPERTS, rope_dim=2, kept_tokens=2)
    assert (config.group, config.rotated, config.kept) == (2, 2, 2)
    assert replace(SMALL, learned_sinks=7).kept == 7
    parallel = Layer(mixer=("linear", "window"))
    assert (parallel.mixer_name, parallel.softmax, parallel.is_linear, parallel.is_parallel) == ("linear+window", "window", True, True)
    assert (MOE[2].softmax, MOE[2].is_linear, MOE[2].is_parallel, MOE[0].softmax) == ("full", False, False, None)
