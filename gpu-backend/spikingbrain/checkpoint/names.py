"""Every tensor of a model by name and shape: the one table between a Hugging Face folder, a GGUF file and the model.

A row holds the name in a folder (`gpu-backend/docs/model.md#104-tensor-names`, read from the released 7B's module tree), the name in a GGUF
(`wasm/engine/src/weights/names.rs`) and the shape as torch has it, `[out, in]` for a matrix. What the 7B lacks (learned sinks, parallel
branches, experts) has names of our own, in the style of the 7B's tree:

| folder, below `model.layers.{i}.` | GGUF, below `blk.{i}.` | shape |
|---|---|---|
| `attn_norm.weight` | `attn_norm.weight` | `[hidden]` |
| `attn.{q,k,v,o}_proj.{weight,bias}` | `attn_{q,k,v,output}.{weight,bias}` | q `[heads * head_dim, hidden]` |
| `attn.{b}.{q,k,v,o}_proj.{weight,bias}` | `{b}_attn_{q,k,v,output}.{weight,bias}` | the same, of branch b |
| `attn.{b}_norm.weight` | `{b}_norm.weight` | `[hidden]`, shared projections: `[heads * head_dim]` |
| `attn.g_norm.weight` | `attn_head_norm.weight` | `[head_dim]` |
| `attn.gk_proj.0.weight` | `attn_gate_a.weight` | `[rank, hidden]` |
| `attn.gk_proj.1.{weight,bias}` | `attn_gate_b.{weight,bias}` | `[kv_heads * head_dim, rank]` |
| `attn.gk_proj.{weight,bias}` | `attn_gate.{weight,bias}` | `[kv_heads * head_dim, hidden]` |
| `attn.evicted.{query,key}_map.weight` | `evicted_{query,key}_map.weight` | `[heads or kv_heads * head_dim, head_dim]` |
| `attn.evicted.{query,key}_map.bias` | `evicted_{query,key}_map.bias` | `[heads or kv_heads * 2 head_dim]` |
| `attn.evicted.log_decay` | `evicted_log_decay.weight` | `[kv_heads]` |
| `attn.evicted.salience.weight` | `evicted_salience.weight` | `[kv_heads, head_dim]` |
| `attn.evicted.mix.{weight,bias}` | `evicted_mix.{weight,bias}` | `[heads, hidden]`, `[heads]` |
| `attn.evicted.mix.{normaliser,match}` | `evicted_mix_{normaliser,match}.weight` | `[heads]` |
| `attn.evicted.correction.weight` | `evicted_correction.weight` | `[2 heads, hidden]` |
| `attn.evicted.correction.{scale,bias}` | `evicted_correction_{scale,bias}.weight` | `[heads * head_dim]` |
| `mlp_norm.weight` | `ffn_norm.weight` | `[hidden]` |
| `mlp.{gate,up,down}_proj.weight` | `ffn_{gate,up,down}.weight` | `[inner, hidden]` |
| `mlp.router.weight` | `ffn_gate_inp.weight` | `[experts, hidden]` |
| `mlp.experts.{e}.{gate,up,down}_proj.weight` | `ffn_{gate,up,down}_exps.weight` | `[inner, hidden]` each |
| `mlp.shared_expert.{gate,up,down}_proj.weight` | `ffn_{gate,up,down}_shexp.weight` | `[inner, hidden]` |

Branch b is `linear` or `softmax`: a parallel mixer has a norm for each, and with separate projections a set of those for each. The gate is
a low-rank pair (0 and 1) or one merged matrix. A GGUF stacks an expert matrix of all experts, `[experts, inner, hidden]`.

Outside the layers: `model.embeddings.weight` is `token_embd.weight`, `model.sinks.weight` is `sink_embd.weight`, `model.norm.weight` is
`output_norm.weight`, `lm_head.weight` is `output.weight`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from spikingbrain.config import Config, Experts, Layer, LearnedGate

EMBEDDING = "model.embeddings.weight"
HEAD = "lm_head.weight"


@dataclass(frozen=True)
class TensorName:
    """A tensor of the model."""

    name: str
    """In a Hugging Face folder; what errors call it."""
    gguf: str
    """In a GGUF file."""
    shape: tuple[int, ...]
    expert: int | None = None
    """Which expert of the stacked GGUF tensor; None where the GGUF tensor is this one alone."""
    linear: bool = False
    """Whether it is the weight of a linear projection in a layer, which W8ASpike quantises (`gpu-backend/docs/model.md#84-w8-weights`)."""


def tensor_names(config: Config) -> list[TensorName]:
    """All tensors of a model with this config, in the order of the forward pass."""
    names = [TensorName(EMBEDDING, "token_embd.weight", (config.vocabulary, config.hidden))]
    if config.learned_sinks > 0:
        names.append(TensorName("model.sinks.weight", "sink_embd.weight", (config.learned_sinks, config.hidden)))
    for index, layer in enumerate(config.layers):
        names += _Layer(config, f"model.layers.{index}", f"blk.{index}").names(layer)
    names.append(TensorName("model.norm.weight", "output_norm.weight", (config.hidden,)))
    if not config.tied_head:
        names.append(TensorName(HEAD, "output.weight", (config.vocabulary, config.hidden)))
    return names


@dataclass(frozen=True)
class _Layer:
    config: Config
    folder: str
    gguf: str

    def names(self, layer: Layer) -> Iterator[TensorName]:
        config = self.config
        yield self._vector("attn_norm.weight", "attn_norm.weight", config.hidden)
        separate = layer.is_parallel and config.parallel_projections == "separate"
        for branch in ("linear", "softmax") if separate else ("",):
            yield from self._projections(branch)
        if layer.is_parallel:
            width = config.head_dim if config.branch_norm == "head" else config.heads * config.head_dim
            for branch in ("linear", "softmax"):
                yield self._vector(f"attn.{branch}_norm.weight", f"{branch}_norm.weight", config.hidden if separate else width)
        if layer.is_linear and config.linear is not None:
            if config.linear.head_norm:
                yield self._vector("attn.g_norm.weight", "attn_head_norm.weight", config.head_dim)
            if isinstance(config.linear.gate, LearnedGate):
                yield from self._gate(config.linear.gate.rank)
        if layer.is_evicted:
            yield from self._evicted()
        yield self._vector("mlp_norm.weight", "ffn_norm.weight", config.hidden)
        if layer.feed_forward == "dense":
            yield from self._swiglu("mlp", "", config.feed_forward_inner)
        elif config.experts is not None:
            yield from self._experts(config.experts)

    def _projections(self, branch: str) -> Iterator[TensorName]:
        config, biases = self.config, self.config.biases
        folder, prefix = (f"attn.{branch}", f"{branch}_") if branch else ("attn", "")
        queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
        for short, rows in (("q", queries), ("k", keys), ("v", keys)):
            yield self._matrix(f"{folder}.{short}_proj.weight", f"{prefix}attn_{short}.weight", (rows, config.hidden))
            if biases.query_key_value:
                yield self._vector(f"{folder}.{short}_proj.bias", f"{prefix}attn_{short}.bias", rows)
        yield self._matrix(f"{folder}.o_proj.weight", f"{prefix}attn_output.weight", (config.hidden, queries))
        if biases.output:
            yield self._vector(f"{folder}.o_proj.bias", f"{prefix}attn_output.bias", config.hidden)

    def _gate(self, rank: int | None) -> Iterator[TensorName]:
        width = self.config.kv_heads * self.config.head_dim
        if rank is None:
            yield self._matrix("attn.gk_proj.weight", "attn_gate.weight", (width, self.config.hidden))
            yield self._vector("attn.gk_proj.bias", "attn_gate.bias", width)
            return
        yield self._matrix("attn.gk_proj.0.weight", "attn_gate_a.weight", (rank, self.config.hidden))
        yield self._matrix("attn.gk_proj.1.weight", "attn_gate_b.weight", (width, rank))
        yield self._vector("attn.gk_proj.1.bias", "attn_gate_b.bias", width)

    def _evicted(self) -> Iterator[TensorName]:
        config = self.config
        for short, heads in (("query", config.heads), ("key", config.kv_heads)):
            yield self._small(f"{short}_map.weight", f"{short}_map.weight", (heads * config.head_dim, config.head_dim))
            yield self._small(f"{short}_map.bias", f"{short}_map.bias", (heads * 2 * config.head_dim,))
        yield self._small("log_decay", "log_decay.weight", (config.kv_heads,))
        yield self._small("salience.weight", "salience.weight", (config.kv_heads, config.head_dim))
        yield self._small("mix.weight", "mix.weight", (config.heads, config.hidden))
        yield self._small("mix.bias", "mix.bias", (config.heads,))
        for short in ("normaliser", "match"):
            yield self._small(f"mix.{short}", f"mix_{short}.weight", (config.heads,))
        yield self._small("correction.weight", "correction.weight", (2 * config.heads, config.hidden))
        for short in ("scale", "bias"):
            yield self._small(f"correction.{short}", f"correction_{short}.weight", (config.heads * config.head_dim,))

    def _small(self, folder: str, gguf: str, shape: tuple[int, ...]) -> TensorName:
        """Of the evicted mixer: no linear projection in W8ASpike's sense, whatever its shape."""
        return TensorName(f"{self.folder}.attn.evicted.{folder}", f"{self.gguf}.evicted_{gguf}", shape)

    def _experts(self, experts: Experts) -> Iterator[TensorName]:
        router = (experts.count, self.config.hidden)
        yield TensorName(f"{self.folder}.mlp.router.weight", f"{self.gguf}.ffn_gate_inp.weight", router)
        for expert in range(experts.count):
            yield from self._swiglu(f"mlp.experts.{expert}", "_exps", experts.inner, expert)
        if experts.shared_inner > 0:
            yield from self._swiglu("mlp.shared_expert", "_shexp", experts.shared_inner)

    def _swiglu(self, folder: str, suffix: str, inner: int, expert: int | None = None) -> Iterator[TensorName]:
        hidden = self.config.hidden
        for short, shape in (("gate", (inner, hidden)), ("up", (inner, hidden)), ("down", (hidden, inner))):
            yield self._matrix(f"{folder}.{short}_proj.weight", f"ffn_{short}{suffix}.weight", shape, expert)

    def _matrix(self, folder: str, gguf: str, shape: tuple[int, int], expert: int | None = None) -> TensorName:
        return TensorName(f"{self.folder}.{folder}", f"{self.gguf}.{gguf}", shape, expert, linear=True)

    def _vector(self, folder: str, gguf: str, length: int) -> TensorName:
        return TensorName(f"{self.folder}.{folder}", f"{self.gguf}.{gguf}", (length,))
