"""What a replica takes of every accelerator, and how many conversations fit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spikingbrain.config import Config
from spikingbrain.sizes import KeyValueType, state_bytes

from spikingbrain_vllm.plan.layout import Layout, Rank, layouts
from spikingbrain_vllm.plan.slices import rank_slices

WEIGHT_BYTES: Mapping[str, int] = {"bfloat16": 2, "float32": 4, "int8": 1}
UTILISATION = 0.9
"""Of an accelerator's memory that vLLM takes (`--gpu-memory-utilization`)."""
STEP_BYTES = 4 * 10**9
"""Beside weights and states: activations of the largest step, CUDA graphs, collectives' buffers. An assumption; see the README."""

NEARLY = 0.75
"""Of the most conversations that some layout holds."""


@dataclass(frozen=True)
class Pool:
    """Accelerators of one kind."""

    nodes: int
    per_node: int
    bytes_each: int

    @property
    def accelerators(self) -> int:
        return self.nodes * self.per_node


@dataclass(frozen=True)
class RankMemory:
    rank: Rank
    weight_bytes: int
    state_bytes: int
    """Of one conversation."""

    def sessions(self, bytes_each: int) -> int:
        """That fit beside the weights; 0 where these do not fit."""
        left = int(bytes_each * UTILISATION) - STEP_BYTES - self.weight_bytes
        return max(0, left // self.state_bytes)


@dataclass(frozen=True)
class Plan:
    config: Config
    pool: Pool
    layout: Layout
    replicas: int
    context: int
    ranks: tuple[RankMemory, ...]
    """Of one replica."""

    @property
    def sessions_per_replica(self) -> int:
        """A conversation is on all tensor ranks of one data rank."""
        each = [[one.sessions(self.pool.bytes_each) for one in self.ranks if one.rank.data == data] for data in range(self.layout.data)]
        return sum(min(of_data_rank) for of_data_rank in each)

    @property
    def sessions(self) -> int:
        return self.replicas * self.sessions_per_replica

    @property
    def fits(self) -> bool:
        return self.sessions > 0

    @property
    def largest(self) -> RankMemory:
        return max(self.ranks, key=lambda one: one.weight_bytes)

    @property
    def state_file_bytes(self) -> int:
        """Of one conversation's state as it travels: all heads, in f32 (int8 rows where the model has those)."""
        kind: KeyValueType = "int8" if self.config.spiking.mode == "paper" else "float32"
        return state_bytes(self.config, self.context, kind).total


def rank_memory(config: Config, rank: Rank, context: int, weights: str, key_values: KeyValueType) -> RankMemory:
    heads = max(1, config.kv_heads // rank.layout.tensor)
    of_rank = replace(config, kv_heads=heads, heads=heads * config.group)
    total = sum(part.elements for part in rank_slices(config, rank)) * WEIGHT_BYTES[weights]
    return RankMemory(rank, total, state_bytes(of_rank, context, key_values).total)


def plan(
    config: Config, pool: Pool, layout: Layout, context: int, weights: str = "bfloat16", key_values: KeyValueType = "bfloat16"
) -> Plan:
    """Raises ConfigError where the engine would not start with this layout."""
    layout.check(config)
    ranks = tuple(rank_memory(config, rank, context, weights, key_values) for rank in layout.ranks())
    return Plan(config, pool, layout, pool.accelerators // layout.accelerators, context, ranks)


def plans(config: Config, pool: Pool, context: int, weights: str, key_values: KeyValueType) -> list[Plan]:
    """Every layout that fits, the best first: of those that hold nearly as many conversations as any does, the one whose replica is
    smallest, since it starts soonest and its loss costs least; of equals the one with whole experts, whose ranks say less to each other.
    A replica is within a node, or takes whole nodes."""
    sizes = [size for size in range(1, pool.accelerators + 1) if pool.per_node % size == 0 or size % pool.per_node == 0]
    sizes = [size for size in sizes if pool.accelerators % size == 0]
    found = [plan(config, pool, layout, context, weights, key_values) for size in sizes for layout in layouts(config, size)]
    fitting = [one for one in found if one.fits and one.layout.tensor <= pool.per_node]
    most = max((one.sessions for one in fitting), default=0)

    def rank(one: Plan) -> tuple[bool, int, int, bool]:
        return one.sessions < NEARLY * most, one.layout.accelerators, -one.sessions, not one.layout.has_expert_parallel

    return sorted(fitting, key=rank)
