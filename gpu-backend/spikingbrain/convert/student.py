"""What a conversion trains, as its stages see it: every form (`trunk/`, `blocks/`, `hybrid/`) has a class of this interface."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from torch import Tensor, nn

from spikingbrain.config import Config
from spikingbrain.convert.trunk.frozen import Trunk

STATE, CONTROL = "state", "control"
"""Of the evicted form: branches with a state, and the same without one."""
STUDENT = "student"
"""Of other forms: what is trained."""
WINDOW = "window"
"""Windows and kept tokens alone, untrained."""

Measures = dict[str, list[float]]
"""What a step measured, by variant: one number, or one a layer."""


class Reader(Protocol):
    """One variant as measuring reads it."""

    def long(self, tokens: Tensor, segment: int) -> Iterator[tuple[int, Tensor]]:
        """Residuals of a text, `[tokens of a segment, hidden]`, each with the position it begins at."""


class Student(Protocol):
    """All variants of one form beside their teacher. Steps add gradients to what is trained, in place; tokens are `[tokens]` ids."""

    @property
    def trunk(self) -> Trunk:
        """The teacher; where processes share out the weights, this one's part."""

    @property
    def trained(self) -> Mapping[str, nn.ModuleList]:
        """What has parameters, by variant, an entry a layer."""

    def start(self, tokens: Tensor) -> None:
        """Before the first of all steps, with a first text: fits what training starts from, in place."""

    def after_transfer(self) -> None:
        """Adapts, in place, what layers learnt each by itself to being read together."""

    def transfer_step(self, tokens: Tensor, layers: range) -> Measures:
        """Learns what the full attention of `layers` gives. Returns each layer's normalised error, 0 for others; `window` is that of the
        window alone."""

    def distil_step(self, tokens: Tensor, chosen: Tensor) -> Measures:
        """Learns the teacher's distribution at the positions `chosen`. Returns the mean divergence, nats."""

    def sft_step(self, tokens: Tensor, mask: Tensor) -> Measures:
        """Learns the tokens of answers, which `mask` names, `[tokens]`. Returns the mean loss, nats."""

    def rate(self, name: str, parameter: Tensor) -> float:
        """Learning rate of a parameter of `trained`."""

    def readers(self) -> Mapping[str, Reader]:
        """What is measured beside the teacher; weights must be whole."""

    def config(self, name: str) -> Config:
        """Of the model that comes of it."""

    def tensors(self) -> dict[str, Tensor]:
        """What the model has beside the teacher's tensors or in their place, f32, by the name in a checkpoint."""

    @property
    def is_delta(self) -> bool:
        """Whether the teacher's tensors all stay as they are, so that a delta beside its file holds the model."""
