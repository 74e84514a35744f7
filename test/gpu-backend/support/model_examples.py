"""Small models of every kind, with random weights."""

from dataclasses import replace

import numpy as np
import torch
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.config import Biases, Config, EvictedTokens, Experts, Layer, LearnedGate, LinearAttention, OneMinusKeyGate
from spikingbrain.model.evicted.chunk import chunk as evicted_chunk
from spikingbrain.model.gated_linear.chunk import chunk
from spikingbrain.model.model import Model
from spikingbrain.model.span import EvictedForm, LinearForm
from spikingbrain.model.weights import gather_weights
from support.model_oracle import Oracle

SEVEN = Config(
    name="linear and window alternating",
    hidden=24,
    heads=6,
    kv_heads=2,
    head_dim=6,
    vocabulary=40,
    feed_forward_inner=20,
    layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))) * 2,
    window=5,
    linear=LinearAttention(gate=LearnedGate(normalizer=2.0, rank=3)),
)
EXPERTS = Experts(count=4, used=1, inner=12, shared_inner=8)
SEVENTY_SIX = replace(
    SEVEN,
    name="parallel branches, experts and sinks",
    layers=(Layer(mixer=("linear", "window")), Layer(mixer=("linear", "full"), feed_forward="moe")),
    linear=LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate(), head_norm=False),
    experts=EXPERTS,
    learned_sinks=3,
)
MODELS = [
    SEVEN,
    replace(SEVEN, name="one head a group", kv_heads=6, linear=LinearAttention(gate=LearnedGate(rank=None))),
    replace(SEVEN, name="one group", kv_heads=1, window=1, tied_head=True, biases=Biases(query_key_value=False, output=True)),
    replace(SEVEN, name="kept tokens", layers=(Layer(mixer=("window",)), Layer(mixer=("full",))), linear=None, kept_tokens=2, rope_dim=4),
    replace(
        SEVEN,
        name="evicted tokens",
        layers=(Layer(mixer=("evicted",)), Layer(mixer=("linear",)), Layer(mixer=("evicted",))),
        kept_tokens=2,
        evicted=EvictedTokens(sink_cap=11, salient=3, salience_half_life=20),
    ),
    replace(SEVEN, name="kept tokens beyond the window", layers=(Layer(mixer=("window",)),), linear=None, kept_tokens=9, rope_dim=0),
    replace(
        SEVEN,
        name="tied gate, rotated linear branch",
        linear=LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate(), rope=True),
        learned_sinks=1,
    ),
    SEVENTY_SIX,
    replace(SEVENTY_SIX, name="separate projections", parallel_projections="separate", experts=replace(EXPERTS, used=3, normalised=True)),
    replace(
        SEVENTY_SIX,
        name="norms by head, sinks outside the linear state",
        branch_norm="head",
        linear=LinearAttention(feature_map="sigmoid", reads_sinks=False),
        experts=replace(EXPERTS, used=2, shared_inner=0, router="sigmoid"),
    ),
]


def weights_of(config: Config, seed: int = 0) -> dict[str, torch.Tensor]:
    """In f64, by checkpoint name. Large enough that gates, routes and softmax are far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name in tensor_names(config):
        drawn = torch.randn(name.shape, generator=generator, dtype=torch.float64)
        scale = 2.0 * name.shape[-1] ** -0.5 if len(name.shape) > 1 else 0.3
        weights[name.name] = drawn * scale + (1.0 if name.name.endswith("norm.weight") else 0.0)
        if name.name.endswith("log_decay"):
            weights[name.name] = -drawn.abs() * scale
    return weights


def model_of(
    config: Config, dtype: torch.dtype = torch.float64, form: LinearForm = chunk, evicted_form: EvictedForm = evicted_chunk
) -> Model:
    weights = weights_of(config)
    return Model(config, gather_weights(config, lambda name: weights[name].to(dtype)), form, evicted_form)


def oracle_of(config: Config) -> Oracle:
    return Oracle(config, {name: np.asarray(tensor) for name, tensor in weights_of(config).items()})


def text_of(config: Config, tokens: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(config.vocabulary, (tokens,), generator=torch.Generator().manual_seed(seed))


def name_of(config: Config) -> str:
    return config.name
