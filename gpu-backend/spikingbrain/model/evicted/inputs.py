"""What the state of evicted tokens reads and takes up in a run of tokens."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.model.weights import Projection


@dataclass(frozen=True)
class Inputs:
    queries: Tensor
    """`[tokens, heads, features]`, after the feature map."""
    keys: Tensor
    """`[tokens, kv_heads, features]`: features of the token that leaves after each query; zeros where none does."""
    values: Tensor
    """`[tokens, kv_heads, head_dim + 1]`: its values and a one, which sums the normaliser."""
    log_decay: Tensor
    """`[kv_heads]`, below 0."""

    @property
    def grouped_queries(self) -> Tensor:
        """`[tokens, kv_heads, group, features]`"""
        return self.queries.reshape(self.queries.shape[0], self.keys.shape[1], -1, self.queries.shape[2])

    def part(self, start: int, stop: int) -> "Inputs":
        return Inputs(self.queries[start:stop], self.keys[start:stop], self.values[start:stop], self.log_decay)


def feature_map(x: Tensor, projection: Projection) -> Tensor:
    """`softmax([M x, -M x] + b)` of un-rotated `[tokens, heads, head_dim]`; the weight is `[heads * head_dim, head_dim]`, the bias
    `[heads * 2 head_dim]`. Returns `[tokens, heads, 2 head_dim]`."""
    heads, dim = x.shape[1:]
    mapped = torch.einsum("thd,hed->the", x, projection.weight.to(x.dtype).view(heads, dim, dim))
    logits = torch.cat([mapped, -mapped], dim=-1)
    if projection.bias is not None:
        logits = logits + projection.bias.to(x.dtype).view(heads, 2 * dim)
    return logits.softmax(dim=-1)
