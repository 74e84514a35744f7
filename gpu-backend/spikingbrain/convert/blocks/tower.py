"""A teacher and its students layer by layer, whether every process holds all of the weights or its part of each."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.convert.blocks.block import Block, Ends
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk, read_trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import Positions
from spikingbrain.convert.trunk.teacher import attended, rotary_for

Added = Callable[[Trunk, FrozenLayer, nn.Module, Tensor, Positions], Tensor]
"""What a layer's mixer adds to the residual for its normed input, `[tokens, hidden]`, over a whole text; of the trunk only the config."""

Mixers = Callable[[int, FrozenLayer], Mapping[str, nn.Module]]
"""Makes a layer's mixers by variant."""


class Tower:
    """Reads the teacher layer by layer: where the team shares the weights out, no process ever holds more than a layer beside its part."""

    def __init__(self, source: WeightSource, mixers: Mixers, added: Added, reach: Reach, team: Team, dtype: torch.dtype) -> None:
        self.added, self.reach = added, reach
        self.blocks: list[Block] = []

        def settle(index: int, layer: FrozenLayer) -> FrozenLayer:
            block = Block(layer, mixers(index, layer)).to(team.device)
            team.share_out(block)
            self.blocks.append(block)
            return block.layer()

        trunk = read_trunk(source, dtype, settle)
        self.ends = Ends(trunk).to(team.device)
        team.share_out(self.ends)
        self.trunk = self._with_ends(trunk)

    @property
    def variants(self) -> dict[str, nn.ModuleList]:
        """All layers' mixers by variant."""
        return {name: nn.ModuleList(block.mixers[name] for block in self.blocks) for name in self.blocks[0].mixers}

    @property
    def trained(self) -> dict[str, nn.ModuleList]:
        """Of the variants, those that have parameters."""
        return {name: mixers for name, mixers in self.variants.items() if any(True for _ in mixers.parameters())}

    @contextmanager
    def opened(self) -> Iterator[Trunk]:
        """The trunk with the whole embedding and head."""
        if isinstance(self.ends, FSDPModule):
            self.ends.unshard()
        try:
            yield self._with_ends(self.trunk)
        finally:
            if isinstance(self.ends, FSDPModule):
                self.ends.reshard()

    def embed(self, tokens: Tensor) -> Tensor:
        """`[tokens]` to `[tokens, hidden]`."""
        with self.opened() as trunk:
            return trunk.embed(tokens)

    @torch.no_grad()
    def teacher_layers(self, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For each layer its normed input, what attention adds, and the residual after it, each `[tokens, hidden]`."""
        trunk, rotary = self.trunk, rotary_for(self.trunk, 0, tokens.shape[0])

        def taught(layer: FrozenLayer, _: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            normed, added = attended(trunk, layer, rotary, x)
            x = x + added
            return normed, added, x + trunk.feed_forward(layer, x)

        x = self.embed(tokens)
        for block in self.blocks:
            normed, added, x = block(x, taught)
            yield normed, added, x

    def teacher_residual(self, tokens: Tensor) -> Tensor:
        """After the last layer, `[tokens, hidden]`."""
        *_, (_, _, residual) = self.teacher_layers(tokens)
        return residual

    def residual(self, tokens: Tensor, variant: str) -> Tensor:
        """The variant's after the last layer, `[tokens, hidden]`."""
        trunk, positions = self.trunk, self.positions(tokens)

        def mixed(layer: FrozenLayer, mixers: nn.ModuleDict, x: Tensor) -> Tensor:
            x = x + self.added(trunk, layer, mixers[variant], trunk.normed(x, layer.attention_norm), positions)
            return x + trunk.feed_forward(layer, x)

        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, mixed)
        return x

    def positions(self, tokens: Tensor) -> Positions:
        return Positions(self.trunk, self.reach, 0, tokens.shape[0])

    def _with_ends(self, trunk: Trunk) -> Trunk:
        ends = self.ends
        return replace(trunk, embedding=ends.embedding, norm=ends.norm, head=ends.embedding if ends.head is None else ends.head)


class TowerReader:
    """One variant as evaluation reads students: a text at once, as nothing is carried from segment to segment."""

    def __init__(self, tower: Tower, variant: str) -> None:
        self.tower, self.variant = tower, variant

    def long(self, tokens: Tensor, segment: int) -> Iterator[tuple[int, Tensor]]:
        yield 0, self.tower.residual(tokens, self.variant)
