"""A run of tokens that a layer reads together, and its queries, keys and values."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from spikingbrain.config import Config
from spikingbrain.model.evicted.inputs import Inputs as EvictedInputs
from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.model.rope import Angles

LinearForm = Callable[[Inputs, Tensor], tuple[Tensor, Tensor]]
"""`naive`, `chunk` or `parallel` of `gated_linear`."""

EvictedForm = Callable[[EvictedInputs, Tensor], tuple[Tensor, Tensor]]
"""`naive` or `chunk` of `evicted`."""


@dataclass(frozen=True)
class Span:
    config: Config
    first: int
    """Position of the first token."""
    angles: Angles
    form: LinearForm
    evicted_form: EvictedForm

    @property
    def is_sinks(self) -> bool:
        return self.first < self.config.learned_sinks


@dataclass(frozen=True)
class Projected:
    """`[tokens, heads or kv_heads, head_dim]`, not rotated."""

    query: Tensor
    key: Tensor
    value: Tensor
