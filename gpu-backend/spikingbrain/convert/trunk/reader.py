"""The trunk with windows in place of full attention and a branch beside each."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import linear

from spikingbrain.config import Config
from spikingbrain.convert.trunk.branch import Branch, Branches, Carry, Segment
from spikingbrain.convert.trunk.evicted import Shape, ramp_of
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.frozen import FrozenLayer, Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.rotary import Rotary
from spikingbrain.convert.trunk.salient import Rows, recall
from spikingbrain.convert.trunk.teacher import rotary_for
from spikingbrain.convert.trunk.window import Asked, Held, merge_sinks, window_attention


def shape_of(config: Config) -> Shape:
    return Shape(config.hidden, config.heads, config.kv_heads, config.head_dim)


def make_branches(teacher: Config, reach: Reach, stateless: bool) -> Branches:
    return Branches(Branch(shape_of(teacher), reach, stateless) for _ in teacher.layers)


class Positions:
    """What a segment's positions decide for all layers: rotations and the ramp."""

    def __init__(self, trunk: Trunk, reach: Reach, first: int, tokens: int) -> None:
        self.first, self.tokens, self.reach = first, tokens, reach
        at = torch.arange(first, first + tokens)
        self.rotary = rotary_for(trunk, first, tokens)
        self.ramp = ramp_of(at, reach.window, reach.kept)
        config = trunk.config
        self.apart = Rotary.at(torch.tensor([reach.window]), config.head_dim, config.rope_theta, trunk.embedding.dtype)
        """What salient tokens meet a query with, wherever it stands."""
        self.capped: Rotary | None = None
        if reach.capped(first, tokens):
            self.capped = Rotary.at(at.clamp(max=reach.sink_cap), config.head_dim, config.rope_theta, trunk.embedding.dtype)


def read_exactly(
    trunk: Trunk, layer: FrozenLayer, normed: Tensor, carry: Carry, positions: Positions, salience: Tensor | None, firing: Firing
) -> tuple[Segment, Held, Rows]:
    """What one layer's softmax attention gives over the window and, with `salience`, over salient tokens; and what of both the next segment
    takes over."""
    reach, held, rows, first, tokens = positions.reach, carry.held, carry.rows, positions.first, positions.tokens
    query, key, value = trunk.project(layer, normed)
    rotated, rotated_keys = firing(positions.rotary(query), "query"), firing.rows(positions.rotary(key))
    if firing.quantises:
        key, value = positions.rotary.back(rotated_keys), firing.rows(value)
    if first == 0:
        held = Held(held.keys, held.values, rotated_keys[: reach.kept], value[: reach.kept])
    asked = None
    if salience is not None:
        rows = rows.extended(key, firing.rows(key), value, salience, first, reach)
        recalled = recall(rows, first, tokens, reach)
        asked = None if recalled is None else Asked(firing(positions.apart(query), "query"), recalled)
        rows = rows.for_next(first + tokens, reach)
    out, normaliser = window_attention(rotated, rotated_keys, value, held, first, reach, asked)
    if positions.capped is not None:
        out, normaliser = merge_sinks(out, normaliser, firing(positions.capped(query), "query"), held)
    after = Held(
        torch.cat([held.keys, rotated_keys])[-reach.window :],
        torch.cat([held.values, value])[-reach.window :],
        held.sink_keys,
        held.sink_values,
    )
    return Segment(normed, query, key, value, out, normaliser, positions.ramp, first), after, rows


class TrunkReader:
    """One branch per layer over a trunk. `carries` is the text so far; a segment before another must be a multiple of 128 tokens."""

    def __init__(self, trunk: Trunk, reach: Reach, branches: Branches, firing: Firing | None = None) -> None:
        self.trunk, self.reach, self.branches = trunk, reach, branches
        self.firing = firing or Firing()

    def begin(self) -> list[Carry]:
        empty = Carry.empty(shape_of(self.trunk.config), self.reach, self.trunk.embedding.dtype)
        return [empty] * len(self.trunk.layers)

    def residual(self, tokens: Tensor, carries: list[Carry], first: int = 0) -> tuple[Tensor, list[Carry]]:
        """The residual after the last layer, `[tokens, hidden]`, and the carries for what follows."""
        trunk = self.trunk
        positions = Positions(trunk, self.reach, first, tokens.shape[0])
        x = trunk.embed(tokens)
        after = []
        for layer, branch, carry in zip(trunk.layers, self.branches, carries, strict=True):
            normed = self.firing(trunk.normed(x, layer.attention_norm), "attention_in")
            segment, held, rows = read_exactly(trunk, layer, normed, carry, positions, branch.salience, self.firing)
            heads, features, sums = branch(segment, carry)
            after.append(Carry(held, features, sums, rows))
            x = x + linear(self.firing(heads.flatten(1), "attention_out"), layer.output)
            x = x + trunk.feed_forward(layer, x, self.firing)
        return x, after

    def long(self, tokens: Tensor, segment: int) -> Iterator[tuple[int, Tensor]]:
        """Residuals of a text of any length in segments, each with the position it begins at; memory does not grow with the text."""
        carries = self.begin()
        for first in range(0, tokens.shape[0], segment):
            x, carries = self.residual(tokens[first : first + segment], carries, first)
            yield first, x
