"""What a settings file says of a form, and the model that it means."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from spikingbrain.config import BranchNorm, Config, FeatureMap, Layer, LearnedGate, LinearAttention, OneMinusKeyGate, Projections
from spikingbrain.rules import require_choice, require_count

GATES = ("learned", "one_minus_key")


@dataclass(frozen=True, kw_only=True)
class Hybrid(ABC):
    """What both forms choose."""

    window: int = 512
    kept: int = 4
    """Leading tokens that never leave a window."""
    feature_map: str
    gate: str
    """`learned`, or `one_minus_key`, which has no parameters but gives queries, keys and values a bias."""
    gate_rank: int = 16
    """Of the learned gate."""
    gate_normalizer: float = 16.0
    head_norm: bool
    rope: bool = False
    """Whether linear branches rotate queries and keys."""

    @abstractmethod
    def layer(self, index: int) -> Layer:
        """What takes the place of the teacher's layer."""

    @abstractmethod
    def trains(self, layer: Layer) -> bool:
        """Whether the layer's projections are trained; they start from the teacher's."""

    def check(self, table: str) -> None:
        """Raises where no model can be made of it; what depends on the teacher is checked when the model's config is made."""
        require_choice(f"{table}.gate", self.gate, GATES)
        self.linear()
        require_count(f"{table}.window", self.window)
        require_count(f"{table}.kept", self.kept, least=0, most=self.window)

    def linear(self) -> LinearAttention:
        gate = OneMinusKeyGate() if self.gate == "one_minus_key" else LearnedGate(normalizer=self.gate_normalizer, rank=self.gate_rank)
        return LinearAttention(feature_map=cast(FeatureMap, self.feature_map), gate=gate, head_norm=self.head_norm, rope=self.rope)


@dataclass(frozen=True, kw_only=True)
class Alternating(Hybrid):
    """The 7B's: one layer in `linear_every` is linear attention alone, the others are windows."""

    feature_map: str = "relu"
    gate: str = "learned"
    head_norm: bool = True
    linear_every: int = 2
    linear_first: int = 0
    """The first linear layer, counted from 0."""
    train_windows: bool = True
    """Whether the projections of window layers are trained too; else they stay the teacher's."""

    def layer(self, index: int) -> Layer:
        linear = index % self.linear_every == self.linear_first
        return Layer(mixer=("linear",) if linear else ("window",))

    def trains(self, layer: Layer) -> bool:
        return layer.is_linear or self.train_windows

    def check(self, table: str) -> None:
        super().check(table)
        require_count(f"{table}.linear_every", self.linear_every)
        require_count(f"{table}.linear_first", self.linear_first, least=0, most=self.linear_every - 1)


@dataclass(frozen=True, kw_only=True)
class Parallel(Hybrid):
    """The 76B's: linear attention and a window side by side, each with its norm, summed; every `full_every`th layer sees the whole text."""

    feature_map: str = "sigmoid"
    gate: str = "one_minus_key"
    head_norm: bool = False
    full_every: int = 7
    """Counted from 1; 0 for no such layer."""
    projections: str = "shared"
    branch_norm: str = "full"

    def layer(self, index: int) -> Layer:
        full = self.full_every > 0 and (index + 1) % self.full_every == 0
        return Layer(mixer=("linear", "full" if full else "window"))

    def trains(self, layer: Layer) -> bool:
        return True

    def check(self, table: str) -> None:
        super().check(table)
        require_count(f"{table}.full_every", self.full_every, least=0)
        require_choice(f"{table}.projections", self.projections, get_args(Projections))
        require_choice(f"{table}.branch_norm", self.branch_norm, get_args(BranchNorm))


def hybrid_config(teacher: Config, hybrid: Hybrid, name: str) -> Config:
    """The converted model's. Feed-forwards, embedding and head stay the teacher's."""
    layers = tuple(replace(hybrid.layer(index), feed_forward=layer.feed_forward) for index, layer in enumerate(teacher.layers))
    biased = teacher.biases.query_key_value or hybrid.gate == "one_minus_key"
    config = replace(
        teacher,
        name=name,
        layers=layers,
        window=hybrid.window if any(layer.softmax == "window" for layer in layers) else None,
        kept_tokens=hybrid.kept,
        linear=hybrid.linear(),
        biases=replace(teacher.biases, query_key_value=biased),
    )
    if isinstance(hybrid, Parallel):
        projections, norm = cast(Projections, hybrid.projections), cast(BranchNorm, hybrid.branch_norm)
        config = replace(config, parallel_projections=projections, branch_norm=norm)
    return config


def window_config(teacher: Config, hybrid: Hybrid) -> Config:
    """Windows and kept tokens alone in every layer, untrained: what the linear branches are measured against."""
    layers: Sequence[Layer] = [Layer(mixer=("window",), feed_forward=layer.feed_forward) for layer in teacher.layers]
    return replace(teacher, layers=tuple(layers), window=hybrid.window, kept_tokens=hybrid.kept)
