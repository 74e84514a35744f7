"""One model, described by config: the 7B, the 76B and the small models differ only here.

The vocabulary is the one of the engine (`wasm/engine/src/config.rs`) and of GGUF metadata. `hugging_face` reads and writes it as a
`config.json`, `presets.py` names the published models, `sizes.py` counts what a config implies.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

from spikingbrain.rules import ConfigError, require, require_choice, require_count, require_flag, require_positive

__all__ = [
    "Biases",
    "Config",
    "ConfigError",
    "EvictedTokens",
    "Experts",
    "Layer",
    "LearnedGate",
    "LinearAttention",
    "OneMinusKeyGate",
    "Site",
    "Spiking",
]

Site = Literal["attention_in", "gate_in", "query", "attention_out", "feed_forward_in", "feed_forward_down"]
"""An input of one or more products, in every layer; `spike/modes.py` says of which."""
Branch = Literal["linear", "window", "full", "evicted"]
FeatureMap = Literal["relu", "sigmoid"]
Projections = Literal["shared", "separate"]
BranchNorm = Literal["full", "head"]
Router = Literal["softmax", "sigmoid"]
FeedForward = Literal["dense", "moe"]
SpikingMode = Literal["off", "paper", "released"]

MAX_WIDTH = 2**20
MAX_CONTEXT = 2**30
MAX_LAYERS = 4_096
MAX_SINKS = 4_096
MAX_EXPERTS = 4_096


@dataclass(frozen=True, kw_only=True)
class LearnedGate:
    """The 7B's decay: `log a = logsigmoid(z) / normalizer`, `z = B (A x) + b` (`gpu-backend/docs/model.md#43-gates`)."""

    normalizer: float = 16.0
    """Divides the log of the decay."""
    rank: int | None = 16
    """Rows of A; None where a checkpoint stores `B A` as one matrix."""

    def __post_init__(self) -> None:
        require_positive("linear.gate.normalizer", self.normalizer)
        if self.rank is not None:
            require_count("linear.gate.rank", self.rank, most=MAX_WIDTH)


@dataclass(frozen=True, kw_only=True)
class OneMinusKeyGate:
    """The 76B's decay: `a = 1 - k`, without parameters (`gpu-backend/docs/model.md#43-gates`)."""


@dataclass(frozen=True, kw_only=True)
class LinearAttention:
    """Gated linear attention's choices, the same in every layer that has it."""

    feature_map: FeatureMap = "relu"
    """Non-negative map on queries and keys; `sigmoid` where the gate is `1 - k`, which only then lies between 0 and 1."""
    gate: LearnedGate | OneMinusKeyGate = field(default_factory=LearnedGate)
    """Decay per key channel."""
    head_norm: bool = True
    """RMSNorm over each head's values, one weight `[head_dim]` for all heads."""
    rope: bool = False
    """Whether queries and keys are rotated before the feature map. The paper leaves it open for the 76B; the engine has only False."""
    reads_sinks: bool = True
    """Whether learned sinks enter the linear state. The paper leaves it open for the 76B; the engine has only True."""

    def __post_init__(self) -> None:
        require_choice("linear.feature_map", self.feature_map, get_args(FeatureMap))
        require(isinstance(self.gate, LearnedGate | OneMinusKeyGate), "linear.gate", "a learned or a one-minus-key gate", self.gate)
        holds = isinstance(self.gate, LearnedGate) or self.feature_map == "sigmoid"
        require(holds, "linear.feature_map", "'sigmoid' where the gate is one minus the key", self.feature_map)
        for name in ("head_norm", "rope", "reads_sinks"):
            require_flag(f"linear.{name}", getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Experts:
    """A mixture of experts in place of a dense feed-forward."""

    count: int
    """Routed experts."""
    used: int
    """How many of them a token uses."""
    inner: int
    """Hidden size of one routed expert."""
    shared_inner: int = 0
    """Hidden size of the shared expert that every token uses; 0 when there is none."""
    router: Router = "softmax"
    """How router logits become scores."""
    normalised: bool = False
    """Whether the used experts' scores are scaled to sum to 1."""

    def __post_init__(self) -> None:
        require_count("experts.count", self.count, most=MAX_EXPERTS)
        require_count("experts.used", self.used, most=self.count)
        require_count("experts.inner", self.inner, most=MAX_WIDTH)
        require_count("experts.shared_inner", self.shared_inner, least=0, most=MAX_WIDTH)
        require_choice("experts.router", self.router, get_args(Router))
        require_flag("experts.normalised", self.normalised)


@dataclass(frozen=True, kw_only=True)
class EvictedTokens:
    """Of `evicted` mixers: a window, and beside it what is remembered of what has left it (`model/evicted`)."""

    sink_cap: int
    """Kept tokens meet a query as if it stood at this position at most."""
    salient: int
    """Evicted tokens that each KV head keeps exactly."""
    salience_half_life: int
    """Tokens after which the claim of such a token has halved."""

    def __post_init__(self) -> None:
        require_count("evicted.sink_cap", self.sink_cap, least=0, most=MAX_CONTEXT)
        require_count("evicted.salient", self.salient, most=MAX_CONTEXT)
        require_count("evicted.salience_half_life", self.salience_half_life, most=MAX_CONTEXT)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: what mixes tokens, then what mixes channels."""

    mixer: tuple[Branch, ...]
    """One branch, or `linear` and a softmax one in parallel whose normed outputs are summed. `evicted` stands alone."""
    feed_forward: FeedForward = "dense"

    def __post_init__(self) -> None:
        require(len(self.mixer) > 0, "layer.mixer", "at least one branch", self.mixer)
        for branch in self.mixer:
            require_choice("layer.mixer", branch, get_args(Branch))
        softmax = [branch for branch in self.mixer if branch != "linear"]
        holds = len(softmax) <= 1 and self.mixer.count("linear") <= 1 and ("evicted" not in self.mixer or len(self.mixer) == 1)
        rule = "'evicted', 'linear', one of 'window' and 'full', or the latter two kinds joined by '+'"
        require(holds, "layer.mixer", rule, self.mixer_name)
        require_choice("layer.feed_forward", self.feed_forward, get_args(FeedForward))

    @property
    def mixer_name(self) -> str:
        """As GGUF's `layer.mixers` and `config.json` write it, such as `linear+window`."""
        return "+".join(self.mixer)

    @property
    def is_linear(self) -> bool:
        return "linear" in self.mixer

    @property
    def softmax(self) -> Literal["window", "full"] | None:
        """The softmax branch, where there is one; that of an `evicted` mixer is a window."""
        return "window" if "window" in self.mixer or self.is_evicted else "full" if "full" in self.mixer else None

    @property
    def is_evicted(self) -> bool:
        return "evicted" in self.mixer

    @property
    def is_parallel(self) -> bool:
        return len(self.mixer) > 1


@dataclass(frozen=True, kw_only=True)
class Biases:
    """Which attention projections have a bias, in all layers."""

    query_key_value: bool = True
    output: bool = False

    def __post_init__(self) -> None:
        require_flag("biases.query_key_value", self.query_key_value)
        require_flag("biases.output", self.output)


@dataclass(frozen=True, kw_only=True)
class Spiking:
    """How activations become spikes (`gpu-backend/docs/model.md#8-spikes`); a choice of the run, not of the weights."""

    mode: SpikingMode = "off"
    """`off`; `paper`: every linear input; `released`: all of them but `down_proj`'s."""
    k: float = 3.0
    """A token's threshold is `mean(|x|) / k`."""
    site_k: tuple[tuple[Site, float], ...] = ()
    """Another k for some sites, in their order."""

    def __post_init__(self) -> None:
        require_choice("spiking.mode", self.mode, get_args(SpikingMode))
        require_positive("spiking.k", self.k)
        sites = [site for site, _ in self.site_k]
        require(sites == [site for site in get_args(Site) if site in sites], "spiking.site_k", "of different sites in their order", sites)
        for site, k in self.site_k:
            require_positive(f"spiking.site_k.{site}", k)

    def k_at(self, site: Site) -> float:
        return dict(self.site_k).get(site, self.k)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole model. Sizes are in elements, positions in tokens."""

    hidden: int
    """Width of the residual stream."""
    heads: int
    """Query heads."""
    kv_heads: int
    """Key and value heads; query head `h` uses head `h // (heads / kv_heads)`."""
    head_dim: int
    vocabulary: int
    """Rows of the embedding."""
    feed_forward_inner: int
    """Hidden size of a dense SwiGLU."""
    layers: tuple[Layer, ...]
    window: int | None = None
    """Keys that a `window` branch sees, the current token included."""
    linear: LinearAttention | None = None
    """Present exactly when some layer has a `linear` branch."""
    evicted: EvictedTokens | None = None
    """Present exactly when some layer has an `evicted` mixer."""
    experts: Experts | None = None
    """Present exactly when some layer is `moe`."""
    parallel_projections: Projections = "shared"
    """`shared`: one q, k, v, o for both branches, norms before o. `separate`: one set each, norms over the hidden size after o."""
    branch_norm: BranchNorm = "full"
    """Of shared projections: a norm over all heads together, or over each with one weight `[head_dim]`. The engine has only `full`."""
    learned_sinks: int = 0
    """Learned tokens in front of every text, at positions 0 to n - 1: seen by all, seeing one another
    (`gpu-backend/docs/model.md#55-sinks-and-kept-tokens`)."""
    kept_tokens: int = 0
    """Leading tokens of the text that never leave a window."""
    rope_theta: float = 1_000_000.0
    rope_dim: int | None = None
    """Leading dimensions of a head that are rotated; None for all of them."""
    epsilon: float = 1e-6
    """Of every RMSNorm."""
    context: int = 131_072
    """The longest text the model was made for."""
    biases: Biases = field(default_factory=Biases)
    tied_head: bool = False
    """Whether the embedding serves as the head too."""
    spiking: Spiking = field(default_factory=Spiking)
    name: str = ""
    bos: int | None = None
    """Token that begins a text."""
    end_tokens: tuple[int, ...] = ()
    """Tokens that end a text."""

    def __post_init__(self) -> None:
        for name in ("hidden", "heads", "kv_heads", "head_dim", "feed_forward_inner"):
            require_count(name, getattr(self, name), most=MAX_WIDTH)
        require_count("vocabulary", self.vocabulary)
        require_count("context", self.context, most=MAX_CONTEXT)
        require(self.heads % self.kv_heads == 0, "kv_heads", f"a divisor of {self.heads} heads", self.kv_heads)
        require(self.head_dim % 2 == 0, "head_dim", "even", self.head_dim)
        require(self.heads * self.head_dim <= MAX_WIDTH, "head_dim", f"at most {MAX_WIDTH} times all heads", self.head_dim)
        if self.rope_dim is not None:
            require_count("rope_dim", self.rope_dim, least=0, most=self.head_dim)
            require(self.rope_dim % 2 == 0, "rope_dim", "even", self.rope_dim)
        require_positive("rope_theta", self.rope_theta)
        require_positive("epsilon", self.epsilon)
        require_count("learned_sinks", self.learned_sinks, least=0, most=MAX_SINKS)
        require_count("kept_tokens", self.kept_tokens, least=0, most=MAX_SINKS)
        require(self.learned_sinks == 0 or self.kept_tokens == 0, "kept_tokens", "0 when there are learned sinks", self.kept_tokens)
        require_choice("parallel_projections", self.parallel_projections, get_args(Projections))
        require_choice("branch_norm", self.branch_norm, get_args(BranchNorm))
        require_flag("tied_head", self.tied_head)
        self._check_layers()
        self._check_tokens()

    def _check_layers(self) -> None:
        require(0 < len(self.layers) <= MAX_LAYERS, "layers", f"1 to {MAX_LAYERS}", len(self.layers))
        windowed = any(layer.softmax == "window" for layer in self.layers)
        if self.window is not None:
            require_count("window", self.window, most=MAX_CONTEXT)
        require(windowed == (self.window is not None), "window", "given exactly when a layer has a window branch", self.window)
        linear = any(layer.is_linear for layer in self.layers)
        require(linear == (self.linear is not None), "linear", "given exactly when a layer has a linear branch", self.linear)
        evicting = any(layer.is_evicted for layer in self.layers)
        require(evicting == (self.evicted is not None), "evicted", "given exactly when a layer has an evicted mixer", self.evicted)
        require(not evicting or self.learned_sinks == 0, "learned_sinks", "0 where a layer has an evicted mixer", self.learned_sinks)
        routed = any(layer.feed_forward == "moe" for layer in self.layers)
        require(routed == (self.experts is not None), "experts", "given exactly when a layer's feed-forward is 'moe'", self.experts)

    def _check_tokens(self) -> None:
        if self.bos is not None:
            require_count("bos", self.bos, least=0, most=self.vocabulary - 1)
        for token in self.end_tokens:
            require_count("end_tokens", token, least=0, most=self.vocabulary - 1)

    @property
    def rotated(self) -> int:
        """Leading dimensions of a head that are rotated."""
        return self.head_dim if self.rope_dim is None else self.rope_dim

    @property
    def group(self) -> int:
        """Query heads that share a key and value head."""
        return self.heads // self.kv_heads

    @property
    def kept(self) -> int:
        """Leading positions that every later token sees: learned sinks or kept tokens."""
        return max(self.learned_sinks, self.kept_tokens)
