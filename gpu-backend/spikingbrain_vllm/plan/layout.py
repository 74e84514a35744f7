"""How a model is spread over accelerators: tensor (T), data (D) and expert parallelism, as vLLM has them."""

from collections.abc import Iterator
from dataclasses import dataclass

from spikingbrain.config import Config
from spikingbrain.rules import require

VOCABULARY_MULTIPLE = 64
"""vLLM pads a vocabulary to this before it shares the rows out."""


@dataclass(frozen=True, order=True)
class Layout:
    """Of one replica, T x D accelerators. Attention and dense feed-forwards are split T ways and there are D copies of them; with expert
    parallelism each accelerator has whole experts, without it a part of each expert."""

    tensor: int
    data: int = 1
    has_expert_parallel: bool = False

    @property
    def accelerators(self) -> int:
        return self.tensor * self.data

    def __str__(self) -> str:
        return f"TP {self.tensor} x DP {self.data}{' with EP' if self.has_expert_parallel else ''}"

    def ranks(self) -> "Iterator[Rank]":
        for data in range(self.data):
            for tensor in range(self.tensor):
                yield Rank(self, tensor, data)

    def check(self, config: Config) -> None:
        """Raises ConfigError that names what does not divide, as the engine would when it starts (`refusals.py`)."""
        ranks, experts = self.tensor, config.experts
        require(config.heads % ranks == 0, "tensor", f"a divisor of the model's {config.heads} heads", ranks)
        shares = config.kv_heads % ranks == 0 or ranks % config.kv_heads == 0
        require(shares, "tensor", f"a divisor or a multiple of the model's {config.kv_heads} KV heads", ranks)
        if any(layer.feed_forward == "dense" for layer in config.layers):
            require(
                config.feed_forward_inner % ranks == 0, "tensor", f"a divisor of feed_forward_inner, {config.feed_forward_inner}", ranks
            )
        require(experts is not None or self.data == 1, "data", "1 for a model without experts: run replicas beside each other", self.data)
        require(experts is not None or not self.has_expert_parallel, "experts", "off for a model without experts", "on")
        if experts is None:
            return
        if experts.shared_inner > 0:
            require(experts.shared_inner % ranks == 0, "tensor", f"a divisor of experts.shared_inner, {experts.shared_inner}", ranks)
        if self.has_expert_parallel:
            holds = experts.count % self.accelerators == 0
            require(holds, "tensor x data", f"a divisor of the model's {experts.count} experts", self.accelerators)
        else:
            holds = experts.inner % self.accelerators == 0
            require(holds, "tensor x data", f"a divisor of experts.inner, {experts.inner}", self.accelerators)


@dataclass(frozen=True)
class Rank:
    """One accelerator of a replica."""

    layout: Layout
    tensor: int
    data: int

    @property
    def expert(self) -> int:
        """Among all accelerators, which share the experts out."""
        return self.data * self.layout.tensor + self.tensor


def layouts(config: Config, accelerators: int) -> list[Layout]:
    """All that use so many accelerators and that the engine would take."""
    found = []
    for tensor in range(1, accelerators + 1):
        if accelerators % tensor:
            continue
        for expert_parallel in (True, False):
            layout = Layout(tensor, accelerators // tensor, expert_parallel)
            if is_possible(layout, config):
                found.append(layout)
    return found


def is_possible(layout: Layout, config: Config) -> bool:
    from spikingbrain.rules import ConfigError

    try:
        layout.check(config)
    except ConfigError:
        return False
    return True
