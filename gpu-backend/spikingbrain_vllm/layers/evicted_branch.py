"""The evicted-tokens mixer over vLLM's batches (`gpu-backend/docs/evicted-tokens.md`): its window, kept tokens, sums and salient tokens
are one state of constant size."""

import torch
from spikingbrain.config import Config
from spikingbrain.model.evicted.branch import evicted_branch
from spikingbrain.model.evicted.chunk import chunk as evicted_chunk
from spikingbrain.model.gated_linear.chunk import chunk
from spikingbrain.model.model import SPAN_TOKENS
from spikingbrain.model.neurons import Neurons as ReferenceNeurons
from spikingbrain.model.rope import angles
from spikingbrain.model.span import Projected, Span
from spikingbrain.state.evicted import Evicted
from spikingbrain.state.key_values import KeyValues, join_rows, take_rows
from spikingbrain.state.salient import Salient
from torch import Tensor
from vllm.config import get_current_vllm_config
from vllm.forward_context import get_forward_context
from vllm.utils.torch_utils import direct_register_custom_op

from spikingbrain_vllm.heads import Heads
from spikingbrain_vllm.layers.evicted_decode import decode
from spikingbrain_vllm.layers.evicted_shapes import evicted_parts, evicted_shape, get_rows, put_rows, split_row
from spikingbrain_vllm.layers.evicted_weights import EvictedTensors
from spikingbrain_vllm.layers.state_layer import StateLayer
from spikingbrain_vllm.telemetry.meter import RowRecorder
from spikingbrain_vllm.telemetry.settings import directory_of


class EvictedBranch(StateLayer):
    def __init__(self, config: Config, tensors: EvictedTensors, layer: int, prefix: str) -> None:
        heads = Heads.here(config)
        super().__init__(config, evicted_shape(config, heads), prefix)
        self.config, self.parts = config, evicted_parts(config, heads)
        # Not as a submodule: these are the mixer's, by a checkpoint's names.
        self._tensors = (tensors,)
        self._layer, self._counts = layer, directory_of(get_current_vllm_config()) is not None

    def forward(self, query: Tensor, key: Tensor, value: Tensor, x: Tensor) -> Tensor:
        """Not rotated, `[tokens, heads or kv_heads, dim]`, and the layer's normed input; returns the query's shape."""
        out = torch.empty_like(query)
        torch.ops.vllm.spikingbrain_evicted(query.contiguous(), key.contiguous(), value.contiguous(), x, out, self.prefix)
        return out

    def run(self, projected: Projected, x: Tensor, out: Tensor) -> None:
        """Reads and writes the states of all sequences of the step."""
        metadata = self.metadata
        if metadata is None:
            out.zero_()
            return
        weights = self._tensors[0].weights()
        if metadata.decodes:
            slots, first = metadata.slots[: metadata.decodes], slice(0, metadata.decodes)
            position = metadata.lengths[first].to(torch.int64) - 1
            rows = self.states.index_select(0, slots)
            rows = torch.where((position <= 0)[:, None], 0.0, rows)
            tokens = Projected(projected.query[first], projected.key[first], projected.value[first])
            views, neurons = split_row(rows, self.parts), self._neurons(first)
            out[first] = decode(self.config, weights, tokens, x[first], position, views, neurons).to(out.dtype)
            self.states.index_copy_(0, slots, rows)
        for prefill in metadata.prefills:
            slot = metadata.slots[prefill.row : prefill.row + 1]
            row = self.states.index_select(0, slot)[0] if prefill.position else torch.zeros(self.shape, device=x.device)
            for start in range(prefill.start, prefill.stop, SPAN_TOKENS):
                part = slice(start, min(start + SPAN_TOKENS, prefill.stop))
                tokens = Projected(projected.query[part], projected.key[part], projected.value[part])
                first_position = prefill.position + start - prefill.start
                held, memory = self.read_row(row, first_position)
                span = self._span(first_position, tokens.query)
                heads, held, memory = evicted_branch(span, weights, tokens, x[part], held, memory, self._neurons(part))
                out[part] = heads
                self.write_row(row, held, memory, part.stop - prefill.start + prefill.position)
            self.states.index_copy_(0, slot, row[None])

    def _neurons(self, rows: slice) -> ReferenceNeurons:
        """For these rows of the step."""
        return ReferenceNeurons(self.config.spiking, self._layer, RowRecorder(rows) if self._counts else None)

    def _span(self, first: int, query: Tensor) -> Span:
        at = angles(first, query.shape[0], self.config.rotated, self.config.rope_theta, like=query)
        return Span(self.config, first, at, chunk, evicted_chunk)

    def read_row(self, row: Tensor, position: int) -> tuple[KeyValues, Evicted]:
        """As the reference has them, of a text of `position` tokens whose state is the row."""
        window, kept, salient = self._sizes
        views = split_row(row, self.parts)
        near = torch.arange(max(kept, position - window + 1), max(kept, position), device=row.device)
        kept_at, near_at = slice(min(kept, position)), (near - kept) % window
        held_keys, held_values = (
            join_rows(get_rows(views, f"kept_{kind}", kept_at), get_rows(views, f"near_{kind}", near_at)) for kind in ("keys", "values")
        )
        held = KeyValues(held_keys, held_values, torch.cat([torch.arange(min(kept, position), device=row.device), near]))
        slots = slice(min(salient, max(0, position + 1 - window - kept)))
        keys, values = get_rows(views, "salient_keys", slots), get_rows(views, "salient_values", slots)
        return held, Evicted(views["sums"], Salient(keys, values, views["salience"][slots], views["positions"][slots].to(torch.int64)))

    def write_row(self, row: Tensor, held: KeyValues, memory: Evicted, position: int) -> None:
        """As `read_row`, the other way."""
        window, kept, _ = self._sizes
        views = split_row(row, self.parts)
        kept_now = min(kept, position)
        near_at = (held.positions[kept_now:] - kept) % window
        everything = torch.arange(held.positions.shape[0], device=row.device)
        for kind, rows in (("keys", held.keys), ("values", held.values)):
            put_rows(views, f"kept_{kind}", slice(kept_now), take_rows(rows, everything[:kept_now]))
            put_rows(views, f"near_{kind}", near_at, take_rows(rows, everything[kept_now:]))
        slots = slice(memory.salient.salience.shape[0])
        put_rows(views, "salient_keys", slots, memory.salient.keys)
        put_rows(views, "salient_values", slots, memory.salient.values)
        views["salience"][slots] = memory.salient.salience
        views["positions"][slots] = memory.salient.positions.to(torch.int32)
        views["sums"].copy_(memory.sums)

    @property
    def _sizes(self) -> tuple[int, int, int]:
        assert self.config.window is not None and self.config.evicted is not None
        return self.config.window, self.config.kept_tokens, self.config.evicted.salient


def _run(query: Tensor, key: Tensor, value: Tensor, x: Tensor, out: Tensor, layer: str) -> None:
    branch = get_forward_context().no_compile_layers[layer]
    assert isinstance(branch, EvictedBranch)
    branch.run(Projected(query, key, value), x, out)


def _shapes(query: Tensor, key: Tensor, value: Tensor, x: Tensor, out: Tensor, layer: str) -> None:
    return


direct_register_custom_op(op_name="spikingbrain_evicted", op_func=_run, mutates_args=["out"], fake_impl=_shapes)
