"""SwiGLU, dense or routed (`gpu-backend/docs/model.md#34-swiglu` and `gpu-backend/docs/model.md#35-mixture-of-experts`)."""

import torch
from torch import Tensor
from torch.nn.functional import silu

from spikingbrain.config import Experts
from spikingbrain.model.neurons import Neurons
from spikingbrain.model.projection import outputs, project
from spikingbrain.model.weights import RoutedSwiGlu, SwiGlu
from spikingbrain.precision import accumulator


def dense(x: Tensor, weights: SwiGlu, neurons: Neurons) -> Tensor:
    """`[tokens, hidden]` to the same."""
    return swiglu(neurons(x, "feed_forward_in", outputs(weights.gate, weights.up)), weights, neurons)


def swiglu(x: Tensor, weights: SwiGlu, neurons: Neurons) -> Tensor:
    """`down(silu(gate x) * up x)`, of an input that has fired."""
    inner = silu(project(weights.gate, x)) * project(weights.up, x)
    return project(weights.down, neurons(inner, "feed_forward_down", outputs(weights.down)))


def routed(x: Tensor, config: Experts, weights: RoutedSwiGlu, neurons: Neurons) -> Tensor:
    """Each token's experts, weighted by their scores, and the shared expert, which every token uses with weight 1."""
    parts = [part for expert in weights.experts[: config.used] for part in (expert.gate, expert.up)]
    shared = weights.shared
    x = neurons(x, "feed_forward_in", outputs(weights.router, *parts, *((shared.gate, shared.up) if shared is not None else ())))
    chosen, scores = route(project(weights.router, x), config)
    result = swiglu(x, shared, neurons) if shared is not None else torch.zeros_like(x)
    # A token adds its experts in the order of their numbers.
    for index, expert in enumerate(weights.experts):
        tokens, place = (chosen == index).nonzero(as_tuple=True)
        if tokens.numel() > 0:
            weighted = scores[tokens, place, None].to(x.dtype) * swiglu(x[tokens], expert, neurons)
            result = result.index_add(0, tokens, weighted)
    return result


def route(logits: Tensor, config: Experts) -> tuple[Tensor, Tensor]:
    """Router logits `[tokens, experts]` to the experts used and their scores, both `[tokens, used]`, best first; of equal ones the one
    with the lower number."""
    wide = logits.to(accumulator(logits.dtype))
    scores = wide.softmax(dim=-1) if config.router == "softmax" else wide.sigmoid()
    ordered, experts = scores.sort(dim=-1, descending=True, stable=True)
    used = ordered[:, : config.used]
    return experts[:, : config.used], used / used.sum(dim=-1, keepdim=True) if config.normalised else used
