"""What is trained in one layer: the correction, and the state unless it is the control."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from spikingbrain.convert.trunk.evicted import LEAST_NORMALISER, Correction, Shape, State, decayed_sums
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.salient import Rows
from spikingbrain.convert.trunk.window import Held


@dataclass(frozen=True)
class Carry:
    """What a layer hands from one segment of a text to the next."""

    held: Held
    features: Tensor
    """Key features of the last `window` positions, `[window, kv_heads, 2 head_dim]`."""
    sums: Tensor
    """`[kv_heads, 2 head_dim, head_dim + 1]` f32."""
    rows: Rows
    """Salient tokens, and those of the window that may become so."""

    @staticmethod
    def empty(shape: Shape, reach: Reach, dtype: torch.dtype) -> "Carry":
        keys = torch.zeros(reach.window, shape.kv_heads, shape.head_dim, dtype=dtype)
        sinks = torch.zeros(reach.kept, shape.kv_heads, shape.head_dim, dtype=dtype)
        features = torch.zeros(reach.window, shape.kv_heads, 2 * shape.head_dim, dtype=dtype)
        sums = torch.zeros(shape.kv_heads, 2 * shape.head_dim, shape.head_dim + 1)
        return Carry(Held(keys, keys, sinks, sinks), features, sums, Rows.empty(shape.kv_heads, shape.head_dim, dtype))


@dataclass(frozen=True)
class Segment:
    """What the window gave for a run of tokens, and what the branch reads beside it."""

    normed: Tensor
    """`[tokens, hidden]`"""
    query: Tensor
    """`[tokens, heads, head_dim]`, not rotated."""
    key: Tensor
    """`[tokens, kv_heads, head_dim]`, not rotated."""
    value: Tensor
    out: Tensor
    """Heads of what is exact, the window and the salient tokens: `[tokens, heads, head_dim]`."""
    normaliser: Tensor
    """`[tokens, heads]` f32, natural log."""
    ramp: Tensor
    """`[tokens, 1]` f32."""
    first: int
    """Position of the first token."""


class Branch(nn.Module):
    salience: Tensor | None
    """`[kv_heads, head_dim]`; fitted before any training (`fit/salience.py`), and not trained. None in the control."""

    def __init__(self, shape: Shape, reach: Reach, stateless: bool) -> None:
        super().__init__()
        self.shape, self.reach = shape, reach
        self.correction = Correction(shape)
        self.state = None if stateless else State(shape)
        self.register_buffer("salience", None if stateless else torch.zeros(shape.kv_heads, shape.head_dim))

    def forward(self, segment: Segment, carry: Carry) -> tuple[Tensor, Tensor, Tensor]:
        """The heads that go to o, `[tokens, heads, head_dim]` in the trunk's type, the carry's next features and sums."""
        out, features, sums = segment.out.float(), carry.features, carry.sums
        if self.state is not None:
            remembered, features, sums = self._remembered(self.state, segment, carry)
            numerator, denominator = remembered[..., :-1], remembered[..., -1:]
            share = segment.ramp * self.state.share(segment.normed, segment.normaliser, denominator[..., 0])
            out = out + share[..., None] * (numerator / (denominator + LEAST_NORMALISER) - out)
        return self.correction(out, segment.normed, segment.ramp).to(segment.out.dtype), features, sums

    def _remembered(self, state: State, segment: Segment, carry: Carry) -> tuple[Tensor, Tensor, Tensor]:
        """Token j enters the sums when the query at j + window comes; the kept ones never do."""
        window, tokens = self.reach.window, segment.query.shape[0]
        positions = torch.arange(segment.first, segment.first + tokens)
        own = state.key_features(segment.key) * (positions >= self.reach.kept)[:, None, None]
        features = torch.cat([carry.features, own])
        values = torch.cat([carry.held.values, segment.value])
        queries = state.query_features(segment.query)
        remembered, sums = decayed_sums(queries, features[:tokens], values[:tokens], state.log_decay(), carry.sums)
        return remembered, features[-window:], sums


class Branches(nn.ModuleList):
    """One branch a layer."""

    def __iter__(self) -> Iterator[Branch]:
        return cast(Iterator[Branch], super().__iter__())


def put_salience(salience: Tensor, variants: Iterable[Branches]) -> None:
    """Into every branch that has a state, in place."""
    for branches in variants:
        for branch, own in zip(branches, salience, strict=True):
            if branch.salience is not None:
                branch.salience.copy_(own)


NEVER = -1e9


def switch_sums_off(branches: Branches) -> None:
    """So that nothing of the heads' output comes from the sums, in place; all branches must have a state."""
    with torch.no_grad():
        for branch in branches:
            assert branch.state is not None
            branch.state.mix_bias.fill_(NEVER)
