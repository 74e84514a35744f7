"""Which keys will be asked for: per KV head a direction `u` in which a key stands out that far queries attend to.

Least squares of `ln(m_j / n_j + 1e-6)` on the un-rotated key and a constant, where `m_j` is the attention that the teacher's queries beyond
the window give token j, the largest of the head's group, and `n_j` their number.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.teacher import rotary_for, teacher_layers

# Of the queries, one in so many is asked: neighbours attend alike.
STRIDE = 4
# A token that few queries have met says little.
LEAST_QUERIES = 32
RIDGE = 1e-3


class SalienceFit:
    """Sums over the texts it has seen."""

    def __init__(self, trunk: Trunk, reach: Reach) -> None:
        config = trunk.config
        self.trunk, self.reach = trunk, reach
        width = config.head_dim + 1
        self.squares = torch.zeros(len(trunk.layers), config.kv_heads, width, width, dtype=torch.float64)
        self.products = torch.zeros(len(trunk.layers), config.kv_heads, width, dtype=torch.float64)

    @torch.no_grad()
    def add(self, tokens: Tensor) -> None:
        """One text, read by the teacher."""
        count = tokens.shape[0]
        asked = torch.arange(self.reach.window, count, STRIDE)
        keys = torch.arange(self.reach.kept, count - self.reach.window - STRIDE * LEAST_QUERIES)
        if len(keys) <= 0:
            return
        causal, apart = asked[:, None] >= torch.arange(count), asked[:, None] - torch.arange(count)
        met = (apart >= self.reach.window).sum(dim=0)[keys]
        rotary = rotary_for(self.trunk, 0, count)
        for index, normed, _ in teacher_layers(self.trunk, tokens):
            query, key, _ = self.trunk.project(self.trunk.layers[index], normed)
            kv_heads, dim = key.shape[1:]
            grouped = rotary(query)[asked].view(len(asked), kv_heads, -1, dim)
            scores = torch.einsum("tngd,snd->ngts", grouped, rotary(key)).float() * dim**-0.5
            attention = scores.masked_fill_(~causal, float("-inf")).softmax(dim=-1).amax(dim=1)
            mass = attention.masked_fill_(apart < self.reach.window, 0.0).sum(dim=1)[:, keys]
            wanted = (mass / met + 1e-6).log().double()
            inputs = torch.cat([key[keys].double(), torch.ones(len(keys), kv_heads, 1, dtype=torch.float64)], dim=-1)
            self.squares[index] += torch.einsum("tnd,tne->nde", inputs, inputs)
            self.products[index] += torch.einsum("tnd,nt->nd", inputs, wanted)

    def fitted(self) -> Tensor:
        """`[layers, kv_heads, head_dim]` f32."""
        diagonal = self.squares.diagonal(dim1=-2, dim2=-1)
        solved: Tensor = torch.linalg.solve(self.squares + torch.diag_embed(diagonal * RIDGE + RIDGE), self.products)
        return solved[..., :-1].float()


def put_salience(salience: Tensor, variants: Iterable[Branches]) -> None:
    """Into every branch that has a state, in place."""
    for branches in variants:
        for branch, own in zip(branches, salience, strict=True):
            if branch.salience is not None:
                branch.salience.copy_(own)
