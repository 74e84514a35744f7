"""Gated linear attention over vLLM's batches (`gpu-backend/docs/model.md#4-gated-linear-attention`)."""

import torch
from spikingbrain.config import Config
from spikingbrain.model.gated_linear.inputs import Inputs, prepare
from torch import Tensor
from vllm.forward_context import get_forward_context
from vllm.platforms import current_platform
from vllm.utils.torch_utils import direct_register_custom_op

from spikingbrain_vllm.heads import Heads
from spikingbrain_vllm.layers.linear_forms import form_for
from spikingbrain_vllm.layers.state_layer import StateLayer
from spikingbrain_vllm.layers.state_metadata import StateMetadata
from spikingbrain_vllm.layers.state_shapes import STATE_DTYPE, linear_shape


class LinearBranch(StateLayer):
    """Heads' outputs from a step's projections, before any norm. States are f32."""

    initial: Tensor
    """What a text begins with."""

    def __init__(self, config: Config, prefix: str) -> None:
        self.heads = Heads.here(config)
        super().__init__(config, linear_shape(self.heads), prefix)
        assert config.linear is not None
        self.linear = config.linear
        self.form = form_for(torch.device(current_platform.device_type))
        self.register_buffer("initial", torch.zeros(self.shape, dtype=STATE_DTYPE), persistent=False)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, gate: Tensor | None) -> Tensor:
        """`[tokens, heads or kv_heads, dim]`, rotated where the config says so; returns the query's shape and type."""
        inputs = self._inputs(query, key, value, gate)
        out = torch.empty_like(inputs.queries)
        torch.ops.vllm.spikingbrain_linear(inputs.queries, inputs.keys, inputs.values.contiguous(), inputs.log_gates, out, self.prefix)
        return out.to(query.dtype)

    def read_sinks(self, query: Tensor, key: Tensor, value: Tensor, gate: Tensor | None) -> Tensor:
        """The learned sinks' own, as `forward`'s; what they leave is what every text begins with. Zeros where sinks are not read."""
        if not self.linear.reads_sinks:
            return torch.zeros_like(query)
        heads, state = self.form(self._inputs(query, key, value, gate), torch.zeros_like(self.initial))
        self.initial.copy_(state)
        return heads.to(query.dtype)

    def _inputs(self, query: Tensor, key: Tensor, value: Tensor, gate: Tensor | None) -> Inputs:
        z = None if gate is None else gate.to(STATE_DTYPE).view(key.shape)
        return prepare(self.linear, query.to(STATE_DTYPE), key.to(STATE_DTYPE), value.to(STATE_DTYPE), z)

    def run(self, inputs: Inputs, out: Tensor) -> None:
        """Reads and writes the states of all sequences of the step; rows that only pad it are left as they are."""
        metadata = self.metadata
        if metadata is None:
            out.zero_()
            return
        if metadata.decodes:
            self._decode(inputs.part(0, metadata.decodes), metadata, out)
        for prefill in metadata.prefills:
            slot = metadata.slots[prefill.row : prefill.row + 1]
            state = self.initial if prefill.position == 0 else self.states.index_select(0, slot)[0]
            heads, state = self.form(inputs.part(prefill.start, prefill.stop), state)
            out[prefill.start : prefill.stop] = heads
            self.states.index_copy_(0, slot, state[None])

    def _decode(self, x: Inputs, metadata: StateMetadata, out: Tensor) -> None:
        """One token of each sequence; a text of one token begins here."""
        slots = metadata.slots[: metadata.decodes]
        begins = metadata.lengths[: metadata.decodes] <= 1
        states = torch.where(begins[:, None, None, None], self.initial, self.states.index_select(0, slots))
        states = x.log_gates.exp()[..., None] * states + x.keys[..., None] * x.values[..., None, :]
        out[: metadata.decodes] = (x.grouped_queries @ states).flatten(1, 2)
        self.states.index_copy_(0, slots, states)


def _run(queries: Tensor, keys: Tensor, values: Tensor, log_gates: Tensor, out: Tensor, layer: str) -> None:
    branch = get_forward_context().no_compile_layers[layer]
    assert isinstance(branch, LinearBranch)
    branch.run(Inputs(queries, keys, values, log_gates), out)


def _shapes(queries: Tensor, keys: Tensor, values: Tensor, log_gates: Tensor, out: Tensor, layer: str) -> None:
    return


direct_register_custom_op(op_name="spikingbrain_linear", op_func=_run, mutates_args=["out"], fake_impl=_shapes)
