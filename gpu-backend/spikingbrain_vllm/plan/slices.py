"""Which part of every tensor a rank has, checked against what `spikingbrain_vllm.model` loads by a test."""

import re
from dataclasses import dataclass
from math import prod

from spikingbrain.checkpoint.names import EMBEDDING, HEAD, TensorName, tensor_names
from spikingbrain.config import Config

from spikingbrain_vllm.plan.layout import VOCABULARY_MULTIPLE, Layout, Rank

_QUERY_ROWS = re.compile(r"attn\.(?:\w+\.)?q_proj\.|attn\.(?:linear|softmax)_norm\.|evicted\.(?:query_map|mix|correction)\.")
_KEY_ROWS = re.compile(r"attn\.(?:\w+\.)?[kv]_proj\.|gk_proj\.(?:1\.)?(?:weight|bias)$|evicted\.(?:key_map|salience)\.|log_decay$")
_HEAD_COLUMNS = re.compile(r"attn\.(?:\w+\.)?o_proj\.weight$")


@dataclass(frozen=True)
class Slice:
    """Of a tensor: rows or columns `start` to `stop` of dimension `dimension`. The whole one where dimension is None."""

    name: TensorName
    dimension: int | None
    start: int
    stop: int
    padding: int = 0
    """Rows beside them that hold nothing: a vocabulary is padded before it is shared out."""

    @property
    def shape(self) -> tuple[int, ...]:
        if self.dimension is None:
            return self.name.shape
        shape = list(self.name.shape)
        shape[self.dimension] = self.stop - self.start
        return tuple(shape)

    @property
    def elements(self) -> int:
        """In the accelerator's memory, padding with them."""
        return prod(self.shape) + self.padding * prod(self.name.shape[1:])


def rank_slices(config: Config, rank: Rank) -> list[Slice]:
    """Of every tensor that has a part on this accelerator, that part. A tied head is the embedding, once."""
    return [part for name in tensor_names(config) if (part := _slice(config, name, rank)) is not None]


def copies(config: Config, name: TensorName, layout: Layout) -> int:
    """On how many accelerators each element of a tensor is."""
    if name.expert is not None:
        return 1
    if _is_split(config, name):
        repeated = max(1, layout.tensor // config.kv_heads) if _is_of_kv_heads(name) else 1
        return layout.data * repeated
    return layout.accelerators


def _slice(config: Config, name: TensorName, rank: Rank) -> Slice | None:
    layout = rank.layout
    if name.expert is not None and config.experts is not None:
        if not layout.has_expert_parallel:
            return _inner(name, rank.expert, layout.accelerators)
        each = config.experts.count // layout.accelerators
        return _whole(name) if name.expert // each == rank.expert else None
    if name.name in (EMBEDDING, HEAD):
        return _vocabulary(name, rank.tensor, layout.tensor)
    if not _is_split(config, name):
        return _whole(name)
    if _is_of_kv_heads(name):
        heads = max(1, config.kv_heads // layout.tensor)
        first = rank.tensor * config.kv_heads // layout.tensor
        each = name.shape[0] // config.kv_heads
        return Slice(name, 0, first * each, (first + heads) * each)
    if _HEAD_COLUMNS.search(name.name):
        return _part(name, 1, rank.tensor, layout.tensor)
    if _QUERY_ROWS.search(name.name):
        return _part(name, 0, rank.tensor, layout.tensor)
    return _inner(name, rank.tensor, layout.tensor)


def _is_split(config: Config, name: TensorName) -> bool:
    text = name.name
    if text in (EMBEDDING, HEAD) or name.expert is not None:
        return True
    if ".mlp." in text:
        return not text.endswith("router.weight")
    if re.search(r"attn\.(?:linear|softmax)_norm\.", text):
        # Of one head, or of the hidden width behind separate projections: every rank has it whole.
        return name.shape[0] == config.heads * config.head_dim and config.parallel_projections == "shared"
    return any(pattern.search(text) for pattern in (_QUERY_ROWS, _KEY_ROWS, _HEAD_COLUMNS))


def _is_of_kv_heads(name: TensorName) -> bool:
    return _KEY_ROWS.search(name.name) is not None


def _inner(name: TensorName, rank: int, ranks: int) -> Slice:
    return _part(name, 1 if name.name.endswith("down_proj.weight") else 0, rank, ranks)


def _part(name: TensorName, dimension: int, rank: int, ranks: int) -> Slice:
    each = name.shape[dimension] // ranks
    return Slice(name, dimension, rank * each, (rank + 1) * each)


def _whole(name: TensorName) -> Slice:
    return Slice(name, None, 0, name.shape[0])


def _vocabulary(name: TensorName, rank: int, ranks: int) -> Slice:
    rows = name.shape[0]
    each = -(-rows // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE // ranks
    start, stop = min(rank * each, rows), min((rank + 1) * each, rows)
    return Slice(name, 0, start, stop, padding=each - (stop - start))
