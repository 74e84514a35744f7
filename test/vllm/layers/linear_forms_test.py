"""The kernels for GPUs are used where they are, and given what they ask for. They themselves run on no CPU."""

import sys
from types import ModuleType

import pytest
import torch
from spikingbrain.model.gated_linear.chunk import chunk
from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.model.gated_linear.naive import naive
from spikingbrain_vllm.layers import linear_forms
from spikingbrain_vllm.layers.linear_spans import SPAN_TOKENS, spans
from torch import Tensor


def stand_in(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, *, scale: float, initial_state: Tensor, output_final_state: bool
) -> tuple[Tensor, Tensor]:
    """As fla 0.6 documents `chunk_gla`: `[batch, tokens, heads, dim]`, a key head for each query head, states `[batch, heads, D, D]`."""
    assert q.shape == k.shape == v.shape == g.shape and q.shape[0] == 1 and output_final_state
    heads, state = naive(Inputs(q[0] * scale, k[0], v[0], g[0]), initial_state[0])
    return heads[None], state[None]


def example(tokens: int) -> tuple[Inputs, Tensor]:
    draw = torch.Generator().manual_seed(1)
    keys, values, gates = (torch.randn(tokens, 2, 8, generator=draw) for _ in range(3))
    return Inputs(torch.randn(tokens, 6, 8, generator=draw), keys, values, -gates.abs()), torch.randn(2, 8, 8, generator=draw)


@pytest.mark.parametrize("tokens", [1, 15, 16, 33, SPAN_TOKENS + 20])
@pytest.mark.parametrize("closing", [0.01, 1.0, 1e4])
def test_many_chunks_at_a_time_give_what_the_definition_gives(tokens: int, closing: float) -> None:
    """Also where gates close all but a little, and where they forget everything: nothing overflows."""
    inputs, state = example(tokens)
    inputs = Inputs(inputs.queries, inputs.keys, inputs.values, inputs.log_gates * closing)
    heads, end = spans(inputs, state)
    exact = Inputs(*(part.double() for part in (inputs.queries, inputs.keys, inputs.values, inputs.log_gates)))
    expected, expected_end = naive(exact, state.double())
    torch.testing.assert_close(heads.double(), expected, rtol=1e-5, atol=2e-4)
    torch.testing.assert_close(end.double(), expected_end, rtol=1e-5, atol=2e-4)


def test_the_kernels_get_each_query_head_its_own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    gla = ModuleType("fla.ops.gla")
    gla.__dict__["chunk_gla"] = stand_in
    for name, module in (("fla", ModuleType("fla")), ("fla.ops", ModuleType("fla.ops")), ("fla.ops.gla", gla)):
        monkeypatch.setitem(sys.modules, name, module)
    inputs, state = example(40)
    heads, end = linear_forms.chunk_of_kernels(inputs, state)
    expected, expected_end = chunk(inputs, state)
    torch.testing.assert_close(heads, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(end, expected_end, rtol=1e-4, atol=1e-4)


def test_they_are_chosen_by_device_and_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert linear_forms.form_for(torch.device("cpu")) is spans
    assert linear_forms.form_for(torch.device("cuda")) is spans
    monkeypatch.setattr(linear_forms, "find_spec", lambda name: object())
    assert linear_forms.form_for(torch.device("cuda")) is linear_forms.chunk_of_kernels
    assert linear_forms.form_for(torch.device("cpu")) is spans
    assert "fla" not in sys.modules
