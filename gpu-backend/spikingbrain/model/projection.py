"""`W x + b`."""

from torch import Tensor
from torch.nn.functional import linear

from spikingbrain.model.weights import Projection


def project(projection: Projection, x: Tensor) -> Tensor:
    """`[..., in]` to `[..., out]`."""
    return linear(x, projection.weight, projection.bias)


def outputs(*projections: Projection | None) -> int:
    """How many outputs one input channel feeds."""
    return sum(projection.weight.shape[0] for projection in projections if projection is not None)
