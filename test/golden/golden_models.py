"""The tiny models of the golden vectors: every form of the family, odd sizes, every type of weights, every spiking mode."""

from dataclasses import dataclass, replace

import torch
from spikingbrain.checkpoint.names import TensorName
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.config import (
    Biases,
    Config,
    EvictedTokens,
    Experts,
    Layer,
    LearnedGate,
    LinearAttention,
    OneMinusKeyGate,
    Spiking,
    SpikingMode,
)
from spikingbrain.export.tensor_type import FileTypeName
from spikingbrain.spike.weight_codes import largest_scales


@dataclass(frozen=True)
class GoldenModel:
    """A file and the modes it is run in."""

    name: str
    config: Config
    kind: FileTypeName
    modes: tuple[SpikingMode, ...]
    seed: int = 0
    """Chosen so that f32 and f64 round alike: no count, code or route of these texts lies on the edge."""
    w8_scale: float = 1.0
    """Of W8 weights: below 1, codes leave int8, as in the released checkpoint."""


SEVEN = Config(
    name="linear and window in turns",
    hidden=20,
    heads=6,
    kv_heads=2,
    head_dim=6,
    vocabulary=29,
    feed_forward_inner=28,
    layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))) * 2,
    window=7,
    linear=LinearAttention(gate=LearnedGate(normalizer=4.0, rank=3)),
    rope_theta=10_000.0,
    context=512,
)
IN_BLOCKS = replace(
    SEVEN,
    name="in blocks of 32",
    hidden=64,
    heads=4,
    head_dim=16,
    feed_forward_inner=96,
    layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))),
    linear=LinearAttention(gate=LearnedGate(rank=None)),
)
# Groups of 128 that end short, and thresholds so low that some counts leave int8.
IN_GROUPS = replace(
    IN_BLOCKS,
    name="in groups of 128",
    hidden=136,
    head_dim=12,
    heads=2,
    kv_heads=1,
    feed_forward_inner=132,
    linear=LinearAttention(gate=LearnedGate(rank=5)),
    spiking=Spiking(k=45.0),
)
SEVENTY_SIX = Config(
    name="parallel branches, experts and sinks",
    hidden=24,
    heads=4,
    kv_heads=2,
    head_dim=6,
    vocabulary=29,
    feed_forward_inner=20,
    layers=(Layer(mixer=("linear", "window")), Layer(mixer=("linear", "full"), feed_forward="moe")),
    window=9,
    linear=LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate()),
    experts=Experts(count=4, used=1, inner=12, shared_inner=8),
    learned_sinks=5,
    context=512,
)
SEPARATE = replace(
    SEVENTY_SIX,
    name="separate projections",
    parallel_projections="separate",
    linear=LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate(), head_norm=False),
    experts=Experts(count=3, used=2, inner=12, router="sigmoid", normalised=True),
    biases=Biases(query_key_value=True, output=True),
    learned_sinks=0,
    kept_tokens=3,
)
SOFTMAX = replace(
    SEVEN,
    name="windows and full attention",
    layers=(Layer(mixer=("window",)), Layer(mixer=("full",))),
    linear=None,
    kept_tokens=2,
    rope_dim=4,
    tied_head=True,
    biases=Biases(query_key_value=False),
    spiking=Spiking(k=2.7),
)
# The text is several windows long, so that salient tokens come and go, and the cap is within it.
EVICTED = replace(
    SEVEN,
    name="evicted tokens",
    layers=(Layer(mixer=("evicted",)), Layer(mixer=("linear",)), Layer(mixer=("evicted",))),
    window=5,
    kept_tokens=2,
    evicted=EvictedTokens(sink_cap=11, salient=3, salience_half_life=20),
    spiking=Spiking(k=2.5, site_k=(("query", 4.5), ("feed_forward_down", 1.5))),
)
# Slots that never fill, nothing kept, a head a group, and part of a head that is not rotated.
EVICTED_HALF = replace(
    EVICTED,
    name="evicted tokens, all of them kept exactly",
    layers=(Layer(mixer=("evicted",)), Layer(mixer=("evicted",))),
    linear=None,
    heads=2,
    kv_heads=2,
    head_dim=10,
    rope_dim=6,
    kept_tokens=0,
    evicted=EvictedTokens(sink_cap=0, salient=100, salience_half_life=3),
    spiking=Spiking(),
)

GOLDEN_MODELS = (
    GoldenModel("seven", SEVEN, "f32", ("off", "paper", "released")),
    GoldenModel("seven-q8_0", IN_BLOCKS, "q8_0", ("off", "paper")),
    GoldenModel("seven-q4_0", IN_BLOCKS, "q4_0", ("paper",)),
    GoldenModel("seven-q4_1", replace(IN_BLOCKS, spiking=Spiking(k=45.0)), "q4_1", ("paper",)),
    GoldenModel("seven-w8", IN_GROUPS, "w8", ("off", "paper"), w8_scale=0.6),
    GoldenModel("seventy-six", SEVENTY_SIX, "f32", ("off", "released")),
    GoldenModel("seventy-six-separate", SEPARATE, "f32", ("off", "paper")),
    GoldenModel("seventy-six-w8", SEVENTY_SIX, "w8", ("paper",)),
    GoldenModel("evicted", EVICTED, "f32", ("off", "paper")),
    GoldenModel("evicted-f16", EVICTED_HALF, "f16", ("off", "released")),
    GoldenModel("softmax-f16", SOFTMAX, "f16", ("off", "released")),
)


class GoldenWeights(RandomWeights):
    """Large enough that gates, routes and softmax are far from uniform, with W8 scales like a checkpoint's."""

    is_w8 = True

    def __init__(self, model: GoldenModel) -> None:
        super().__init__(model.config, model.seed)
        self._w8_scale = model.w8_scale

    def _tensor(self, name: TensorName) -> torch.Tensor:
        drawn = super()._tensor(name)
        if name.name.endswith("log_decay"):
            return -drawn.abs()
        return (drawn * 2).to(torch.bfloat16).to(torch.float32) if len(name.shape) > 1 else drawn

    def weight_scales(self, name: TensorName, start: int, stop: int) -> torch.Tensor | None:
        """See `HasScales`."""
        return largest_scales(self.rows(name, start, stop)) * self._w8_scale if name.linear else None
