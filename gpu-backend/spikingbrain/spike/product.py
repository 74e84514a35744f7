"""Products of spikes and W8 weights in integers (`gpu-backend/docs/model.md#85-integer-products`): dense, and driven by events; both give
the same numbers exactly."""

import torch
from torch import Tensor

from spikingbrain.spike.coding import Coding, encode, step_worths
from spikingbrain.spike.neuron import Spikes
from spikingbrain.spike.weight_codes import GROUP, WeightCodes, group_count


def dense_sums(counts: Tensor, weight: WeightCodes) -> Tensor:
    """`sum over j in group of code_oj * count_j`: counts `[tokens, in]` to sums `[tokens, out, groups]`, int64."""
    columns = weight.shape[1]
    codes, whole = weight.codes().to(torch.int64), counts.to(torch.int64)
    parts = [
        torch.einsum("oj,tj->to", codes[:, start : start + GROUP], whole[:, start : start + GROUP]) for start in range(0, columns, GROUP)
    ]
    return torch.stack(parts, dim=2)


def event_sums(counts: Tensor, weight: WeightCodes, coding: Coding = "bidirectional") -> Tensor:
    """As `dense_sums`, by additions alone: time step by time step, each spike adds its column of the weight to its group's sums, which
    count for as much as the step does. Silent channels are never looked at."""
    codes = weight.codes().to(torch.int64)
    spikes = encode(counts, coding)
    worths = step_worths(spikes.shape[0], coding, spikes[0])
    sums = torch.zeros(counts.shape[0], weight.shape[0], group_count(weight.shape[1]), dtype=torch.int64, device=codes.device)
    for step, worth in zip(spikes, worths, strict=True):
        for token in range(counts.shape[0]):
            active = step[token].nonzero().squeeze(1)
            events = codes[:, active] * step[token, active]
            of_step = torch.zeros_like(sums[token]).index_add_(1, active // GROUP, events)
            sums[token] += of_step * worth.item()
    return sums


def scaled(sums: Tensor, spikes: Spikes, weight: WeightCodes, bias: Tensor | None = None) -> Tensor:
    """`y_o = threshold * sum over groups of scale_og * sums_og + b_o`: `[tokens, out]` f32."""
    by_group = (sums.to(torch.float32) * weight.scales).sum(dim=2)
    result = by_group * spikes.threshold
    return result if bias is None else result + bias
