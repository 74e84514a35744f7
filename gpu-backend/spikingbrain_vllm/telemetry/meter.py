"""Which of a step's tokens are whose, and the operation with which the model's neurons count them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from spikingbrain.spike.modes import SITES, Site
from spikingbrain.spike.telemetry import SpikeMeter, count_spikes
from torch import Tensor
from vllm.distributed import get_tensor_model_parallel_rank, get_tensor_model_parallel_world_size, tensor_model_parallel_all_gather
from vllm.forward_context import get_forward_context
from vllm.utils.torch_utils import direct_register_custom_op

from spikingbrain_vllm.layers.sight_metadata import SightMetadata
from spikingbrain_vllm.layers.state_metadata import StateMetadata
from spikingbrain_vllm.telemetry.tally import Tally


@dataclass(frozen=True)
class Span:
    """Tokens of one request that a step reads for the first time."""

    tally: Tally
    start: int
    """Its first token's row."""
    stop: int
    position: int
    """Of that token in the text."""


@dataclass
class Meter:
    """Of this process, one engine's rank."""

    rows: dict[int, Tally] = field(default_factory=dict)
    """By the row of the batch: requests whose spikes are counted."""
    _step: object = None
    _spans: list[Span] = field(default_factory=list)

    def spans(self) -> list[Span]:
        """Of the present step; none where nobody asks, or where vLLM only measures memory."""
        if not self.rows:
            return []
        context = get_forward_context()
        if context is not self._step:
            self._step, self._spans = context, _spans_of(self.rows, context.attn_metadata)
        return self._spans

    def step_done(self) -> None:
        for span in self._spans:
            span.tally.has_read(span.position + span.stop - span.start)
        self._step, self._spans = None, []


METER = Meter()


class RowRecorder(SpikeMeter):
    """Where the reference's own code fires: `rows` of the step stand for the counts' first dimension."""

    def __init__(self, rows: slice) -> None:
        super().__init__()
        self.rows = rows

    def record(self, layer: int, site: Site, counts: Tensor, outputs: int | Tensor) -> None:
        """See `SpikeMeter`."""
        for span in METER.spans():
            start, stop = max(span.start, self.rows.start), min(span.stop, self.rows.stop)
            if start < stop:
                own = slice(start - self.rows.start, stop - self.rows.start)
                fan_out = outputs[own] if isinstance(outputs, Tensor) else outputs
                span.tally.add(layer, site, count_spikes(counts[own], fan_out))


def count(counts: Tensor, chosen: Tensor | None, where: Sequence[int], *, split: bool) -> None:
    """`counts`, `[tokens, ..., channels]`, at `where`: layer, site, outputs that a channel feeds, and for queries how many keys one sees at
    most and how many learned sinks stand before the text (else 0 and 0). `chosen`, `[tokens]`: those that a product reads at all. `split`:
    the channels are on all ranks."""
    spans = METER.spans()
    layer, site, outputs, reach, sinks = where
    is_shared = not split and SITES[site] != "query" and get_tensor_model_parallel_rank() > 0
    if not spans:
        return
    largest = counts.abs().amax(dim=-1, keepdim=True)
    if split and get_tensor_model_parallel_world_size() > 1:
        largest = tensor_model_parallel_all_gather(largest.to(torch.float32), dim=-1).amax(dim=-1, keepdim=True)
    if is_shared:
        # The first rank counts what all have.
        return
    for span in spans:
        own, highest = counts[span.start : span.stop], largest[span.start : span.stop]
        fan_out: int | Tensor = outputs
        if reach > 0:
            seen = torch.arange(span.position, span.position + span.stop - span.start, device=own.device) + sinks + 1
            fan_out = seen.clamp(max=reach).view(-1, *[1] * (own.dim() - 1))
        if chosen is not None:
            read = chosen[span.start : span.stop]
            own, highest = own[read], highest[read]
        if own.numel() > 0:
            span.tally.add(layer, SITES[site], count_spikes(own, fan_out, largest=highest))


def _count(counts: Tensor, chosen: Tensor | None, values: Tensor, where: list[int], split: bool) -> None:
    """`values` is what the model goes on with. It is said to be written, so that no compiler takes the operation for nothing."""
    count(counts, chosen, where, split=split)


def _pass(counts: Tensor, chosen: Tensor | None, values: Tensor, where: list[int], split: bool) -> None:
    return


direct_register_custom_op(op_name="spikingbrain_count", op_func=_count, mutates_args=["values"], fake_impl=_pass)


def _spans_of(rows: dict[int, Tally], metadata: Any) -> list[Span]:  # noqa: ANN401
    of_step = metadata[0] if isinstance(metadata, list) else metadata
    if not of_step:
        return []
    found = []
    for row, (start, stop, position) in enumerate(_sequences(next(iter(of_step.values())))):
        tally = rows.get(row)
        if tally is None:
            continue
        again = min(max(0, tally.counted - position), stop - start)
        if start + again < stop:
            found.append(Span(tally, start + again, stop, position + again))
    return found


def _sequences(metadata: Any) -> list[tuple[int, int, int]]:  # noqa: ANN401
    """Of each sequence its rows, and the position of the first."""
    if isinstance(metadata, StateMetadata | SightMetadata):
        decodes = [(row, row + 1, length - 1) for row, length in enumerate(metadata.lengths[: metadata.decodes].tolist())]
        return [*decodes, *((one.start, one.stop, one.position) for one in metadata.prefills)]
    starts, lengths = metadata.query_start_loc.tolist(), metadata.seq_lens.tolist()
    pairs = zip(starts, starts[1:], lengths, strict=False)
    return [(start, stop, length - stop + start) for start, stop, length in pairs]
