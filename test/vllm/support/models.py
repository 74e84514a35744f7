"""Tiny models of every kind, with the head sizes that vLLM's CPU kernels have."""

from dataclasses import replace
from pathlib import Path

import torch
from spikingbrain.checkpoint.loading import model_of
from spikingbrain.checkpoint.names import TensorName
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.config import Biases, Config, EvictedTokens, Experts, Layer, LearnedGate, LinearAttention, OneMinusKeyGate
from spikingbrain.export.hugging_face_writer import stored_tensors, write_hugging_face
from spikingbrain.model.model import Model

SEVEN = Config(
    name="seven",
    hidden=128,
    heads=4,
    kv_heads=2,
    head_dim=32,
    vocabulary=512,
    feed_forward_inner=256,
    layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))) * 2,
    window=65,
    linear=LinearAttention(gate=LearnedGate(rank=16)),
    context=2_048,
)
SEVENTY_SIX = replace(
    SEVEN,
    name="seventy-six",
    layers=(
        Layer(mixer=("linear", "window")),
        Layer(mixer=("linear", "full"), feed_forward="moe"),
        Layer(mixer=("linear", "window"), feed_forward="moe"),
    ),
    window=64,
    linear=LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate(), head_norm=False),
    experts=Experts(count=4, used=1, inner=64, shared_inner=96),
    learned_sinks=8,
)
SEPARATE = replace(
    SEVENTY_SIX,
    name="separate",
    parallel_projections="separate",
    experts=Experts(count=4, used=2, inner=64, router="sigmoid", normalised=True),
    biases=Biases(query_key_value=True, output=True),
    learned_sinks=0,
    kept_tokens=3,
)
SOFTMAX = replace(
    SEVEN,
    name="softmax",
    layers=(Layer(mixer=("window",)), Layer(mixer=("full",))),
    linear=None,
    rope_dim=16,
    tied_head=True,
    biases=Biases(query_key_value=False),
)
# The texts are several windows long, so that salient tokens come and go, and the cap is within them.
EVICTED = replace(
    SEVEN,
    name="evicted",
    layers=(Layer(mixer=("evicted",)), Layer(mixer=("linear",)), Layer(mixer=("evicted",))),
    window=29,
    kept_tokens=4,
    evicted=EvictedTokens(sink_cap=40, salient=5, salience_half_life=20),
)
MODELS = {config.name: config for config in (SEVEN, SEVENTY_SIX, SEPARATE, SOFTMAX, EVICTED)}


class TinyWeights(RandomWeights):
    """Large enough that gates, routes and softmax are far from uniform."""

    def _tensor(self, name: TensorName) -> torch.Tensor:
        drawn = super()._tensor(name)
        if name.name.endswith("log_decay"):
            return -drawn.abs()
        return drawn * 2 if len(name.shape) > 1 else drawn


def reference(config: Config) -> Model:
    return model_of(TinyWeights(config))


def write_model(config: Config, folder: Path) -> Path:
    """As a Hugging Face folder in f32."""
    write_hugging_face(config, stored_tensors(TinyWeights(config), torch.float32), folder)
    return folder
