"""The three forms of gated linear attention are one function."""

import math
from collections.abc import Callable

import pytest
import torch
from spikingbrain.config import LearnedGate, LinearAttention, OneMinusKeyGate
from spikingbrain.model.gated_linear.chunk import chunk
from spikingbrain.model.gated_linear.inputs import Inputs, log_gates, prepare
from spikingbrain.model.gated_linear.naive import naive
from spikingbrain.model.gated_linear.parallel import parallel
from torch import Tensor

HEADS, KV_HEADS, DIM = 6, 2, 5

Form = Callable[[Inputs, Tensor], tuple[Tensor, Tensor]]
FORMS: dict[str, Form] = {
    "parallel": parallel,
    "chunk": chunk,
    "chunks of 1": lambda x, state: chunk(x, state, 1),
    "chunks of 7": lambda x, state: chunk(x, state, 7),
}


def inputs(tokens: int, closing: float, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Inputs, Tensor]:
    """Random inputs and a state that is not zero; `closing` is the largest log-gate's magnitude."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    gates = -closing * torch.rand(tokens, KV_HEADS, DIM, generator=generator, dtype=torch.float64)
    x = Inputs(draw(tokens, HEADS, DIM).relu(), draw(tokens, KV_HEADS, DIM).relu(), draw(tokens, KV_HEADS, DIM), gates)
    parts = (part.to(dtype) for part in (x.queries, x.keys, x.values, x.log_gates))
    return Inputs(*parts), draw(KV_HEADS, DIM, DIM).to(dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tokens", [1, 2, 31, 32, 33, 65, 97])
@pytest.mark.parametrize("closing", [0.0, 0.05, 3.0, 800.0])
def test_all_forms_agree_on_outputs_and_final_state(form: str, tokens: int, closing: float) -> None:
    x, state = inputs(tokens, closing)
    expected, expected_state = naive(x, state)
    found, found_state = FORMS[form](x, state)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(found_state, expected_state, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("form", ["parallel", "chunk"])
def test_forms_agree_in_single_precision_over_a_long_text(form: str) -> None:
    x, state = inputs(300, 3.0, dtype=torch.float32)
    expected, expected_state = naive(*inputs(300, 3.0))
    found, found_state = FORMS[form](x, state)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found_state.double(), expected_state, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["naive", *FORMS])
@pytest.mark.parametrize("cut", [1, 13, 32, 40, 64])
def test_a_text_may_be_cut_anywhere(form: str, cut: int) -> None:
    run = {"naive": naive, **FORMS}[form]
    x, state = inputs(65, 0.5)
    expected, expected_state = run(x, state)
    first, between = run(x.part(0, cut), state)
    second, last = run(x.part(cut, 65), between)
    torch.testing.assert_close(torch.cat([first, second]), expected, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(last, expected_state, rtol=1e-11, atol=1e-11)


def test_the_current_token_counts_undecayed_and_older_ones_decay() -> None:
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    x = Inputs(one.repeat(2, 1, 1), one.repeat(2, 1, 1), torch.tensor([[[3.0]], [[5.0]]]).double(), math.log(0.5) * one.repeat(2, 1, 1))
    outputs, state = naive(x, torch.zeros(1, 1, 1, dtype=torch.float64))
    assert outputs.flatten().tolist() == [3.0, 6.5]
    assert state.item() == 6.5


def test_the_learned_gates_half_lives() -> None:
    linear = LinearAttention(gate=LearnedGate(normalizer=16))
    logs = log_gates(linear, torch.zeros(3, 1, 1), torch.tensor([0.0, 4.0, 8.0]).double().reshape(3, 1, 1))
    half_lives = (math.log(0.5) / logs).flatten().tolist()
    assert half_lives == pytest.approx([16, 611, 33_000], rel=0.01)


@pytest.mark.parametrize("key", [-800.0, -2.0, 0.0, 2.0, 30.0])
def test_a_tied_gate_is_one_minus_the_key(key: float) -> None:
    keys = torch.tensor([[[key]]], dtype=torch.float64)
    x = prepare(LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate()), keys, keys, keys, None)
    assert x.log_gates.exp().item() == pytest.approx(1 / (1 + math.exp(min(key, 700))), rel=1e-12)
    assert x.queries.item() == x.keys.item()


def test_a_learned_gate_needs_its_projection() -> None:
    with pytest.raises(ValueError, match="gate must be given"):
        log_gates(LinearAttention(), torch.zeros(1, 1, 1), None)
