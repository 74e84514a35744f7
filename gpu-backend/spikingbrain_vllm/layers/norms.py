"""RMSNorm where the normed width is on several ranks (`gpu-backend/docs/model.md#32-rmsnorm`)."""

import torch
from spikingbrain.precision import accumulator
from torch import Tensor, nn
from vllm.distributed import tensor_model_parallel_all_reduce
from vllm.model_executor.utils import set_weight_attrs

from spikingbrain_vllm.heads import Heads


class AllHeadsNorm(nn.Module):
    """Over all heads together, of which a rank has its own."""

    def __init__(self, heads: Heads, width: int, epsilon: float) -> None:
        """`width` is that of all ranks' heads."""
        super().__init__()
        self.width, self.epsilon, self.is_split = width, epsilon, heads.width < width
        self.weight = nn.Parameter(torch.ones(heads.width), requires_grad=False)
        set_weight_attrs(self.weight, {"weight_loader": lambda own, loaded: own.data.copy_(heads.own(loaded, heads.dim))})

    def forward(self, x: Tensor) -> Tensor:
        """`[tokens, the rank's heads * dim]`"""
        wide = x.to(accumulator(x.dtype))
        sums = wide.square().sum(dim=-1, keepdim=True)
        if self.is_split:
            sums = tensor_model_parallel_all_reduce(sums)
        return (wide * torch.rsqrt(sums / self.width + self.epsilon)).to(x.dtype) * self.weight
