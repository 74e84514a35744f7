"""How what the state remembers joins the window's output: see the package."""

import torch
from torch import Tensor

from spikingbrain.model.projection import project
from spikingbrain.model.weights import EvictedWeights

RAMP_TOKENS = 128.0
LEAST_NORMALISER = 1e-6


def ramp(positions: Tensor, window: int, kept: int, dtype: torch.dtype) -> Tensor:
    """`n / (n + 128)` of the n tokens evicted before each query, `[tokens, 1]`."""
    evicted = (positions - window - kept + 1).clamp(min=0).to(dtype)
    return (evicted / (evicted + RAMP_TOKENS))[:, None]


def join(exact: Tensor, remembered: Tensor, log_normaliser: Tensor, x: Tensor, grown: Tensor, weights: EvictedWeights) -> Tensor:
    """The convex mix: `exact` is `[tokens, heads, head_dim]`, `remembered` `[tokens, heads, head_dim + 1]` with the normaliser last,
    `log_normaliser` `[tokens, heads]`, `x` `[tokens, hidden]`, `grown` the ramp. Returns the shape of `exact`."""
    numerator, denominator = remembered[..., :-1], remembered[..., -1] + LEAST_NORMALISER
    met = weights.normaliser.to(grown.dtype) * log_normaliser + weights.match.to(grown.dtype) * denominator.log()
    share = grown * (project(weights.mix, x).to(grown.dtype) + met).sigmoid()
    return exact + share[..., None] * (numerator / denominator[..., None] - exact)


def correct(heads: Tensor, x: Tensor, grown: Tensor, weights: EvictedWeights) -> Tensor:
    """The static correction, opened by gates that read `x`; shapes as for `join`."""
    gates = 1 + grown * (2 * project(weights.correction, x).to(grown.dtype).sigmoid() - 1)
    opened, shifted = gates[:, : heads.shape[1], None], gates[:, heads.shape[1] :, None]
    scale, bias = (vector.to(grown.dtype).view(heads.shape[1:]) for vector in (weights.scale, weights.bias))
    return heads * opened * (1 + grown[..., None] * scale) + grown[..., None] * bias * shifted
