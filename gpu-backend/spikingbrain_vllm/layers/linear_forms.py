"""Which form of gated linear attention reads a prompt: flash-linear-attention's kernels on a GPU where they are installed, or plain
torch."""

from importlib.util import find_spec

import torch
from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.model.span import LinearForm
from torch import Tensor

from spikingbrain_vllm.layers.linear_spans import spans


def form_for(device: torch.device) -> LinearForm:
    """Looks whether the package is there without importing it."""
    return chunk_of_kernels if device.type == "cuda" and find_spec("fla") is not None else spans


def chunk_of_kernels(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
    """Shapes as for `naive`. The kernels know no groups (`[batch, tokens, heads, dim]`): each query head is given its KV head's keys,
    values and state, and the states of a group stay the same. Queries are scaled already."""
    from fla.ops.gla import chunk_gla

    group = x.queries.shape[1] // x.keys.shape[1]
    keys, values, gates = (part.repeat_interleave(group, dim=1)[None] for part in (x.keys, x.values, x.log_gates))
    begin = state.repeat_interleave(group, dim=0)[None]
    heads, end = chunk_gla(x.queries[None], keys, values, gates, scale=1.0, initial_state=begin, output_final_state=True)
    return heads[0].to(x.queries.dtype), end[0, ::group].to(state.dtype)
