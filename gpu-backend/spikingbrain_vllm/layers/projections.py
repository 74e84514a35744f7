"""Matrices of the mixer, each rank with its own heads."""

from collections.abc import Callable

import torch
from spikingbrain.config import Config, LearnedGate
from torch import Tensor, nn
from vllm.model_executor.layers.linear import QKVParallelLinear, ReplicatedLinear, RowParallelLinear
from vllm.model_executor.utils import set_weight_attrs

from spikingbrain_vllm.heads import Heads


class Projections(nn.Module):
    """q, k, v and o of one branch or of both."""

    def __init__(self, config: Config, prefix: str) -> None:
        super().__init__()
        self.heads, biases, dim = Heads.here(config), config.biases, config.head_dim
        self.qkv_proj = QKVParallelLinear(
            config.hidden, dim, config.heads, config.kv_heads, bias=biases.query_key_value, prefix=f"{prefix}.qkv_proj", return_bias=False
        )
        self.o_proj = RowParallelLinear(config.heads * dim, config.hidden, bias=biases.output, prefix=f"{prefix}.o_proj", return_bias=False)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of the normed residual `[tokens, hidden]`: queries, keys and values, `[tokens, the rank's heads, dim]`."""
        heads = self.heads
        parts = self.qkv_proj(x).split([heads.width, heads.kv_width, heads.kv_width], dim=-1)
        query, key, value = (part.view(x.shape[0], -1, heads.dim) for part in parts)
        return query, key, value

    def output(self, heads: Tensor) -> Tensor:
        """Of `[tokens, the rank's heads * dim]`, summed over the ranks: `[tokens, hidden]`."""
        out: Tensor = self.o_proj(heads)
        return out


class Gate(nn.Module):
    """The learned gate's `z`, for the rank's KV heads. Its own small matrices, since vLLM's do not repeat a KV head on several ranks."""

    def __init__(self, config: Config, gate: LearnedGate, prefix: str) -> None:
        super().__init__()
        heads = Heads.here(config)
        inputs = config.hidden if gate.rank is None else gate.rank
        if gate.rank is not None:
            self.add_module("0", ReplicatedLinear(config.hidden, gate.rank, bias=False, prefix=f"{prefix}.0", return_bias=False))
        full: nn.Module = self if gate.rank is None else nn.Module()
        full.weight = own_rows(torch.empty(heads.kv_width, inputs), lambda loaded: heads.kv_own(loaded, heads.dim))
        full.bias = own_rows(torch.empty(heads.kv_width), lambda loaded: heads.kv_own(loaded, heads.dim))
        if gate.rank is not None:
            self.add_module("1", full)
        self.rank = gate.rank

    def low(self, x: Tensor) -> Tensor:
        """What the second matrix of a low-rank gate reads, `[tokens, rank]`."""
        low: Tensor = self.get_submodule("0")(x)
        return low

    def full(self, low: Tensor) -> Tensor:
        """Of what the second matrix, or the only one, reads: `[tokens, the rank's KV heads * dim]`."""
        matrix = self if self.rank is None else self.get_submodule("1")
        return nn.functional.linear(low, matrix.get_parameter("weight"), matrix.get_parameter("bias"))


def own_rows(parameter: Tensor, own: Callable[[Tensor], Tensor]) -> nn.Parameter:
    """A parameter that takes the rank's part of what a checkpoint has."""
    result = nn.Parameter(parameter, requires_grad=False)
    set_weight_attrs(result, {"weight_loader": lambda held, loaded: held.data.copy_(own(loaded))})
    return result
