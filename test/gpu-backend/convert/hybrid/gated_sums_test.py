"""Linear attention for training against its definition, however closed the gates are."""

import pytest
import torch
from spikingbrain.config import LearnedGate, LinearAttention, OneMinusKeyGate
from spikingbrain.convert.hybrid.gated_sums import gated_sums
from spikingbrain.model.gated_linear.inputs import Inputs, prepare
from spikingbrain.model.gated_linear.naive import naive
from torch import Tensor

LEARNED = LinearAttention(feature_map="relu", gate=LearnedGate(normalizer=16.0, rank=2))
TIED = LinearAttention(feature_map="sigmoid", gate=OneMinusKeyGate(), head_norm=False)


def projected(tokens: int, loud: float) -> list[Tensor]:
    """Queries, keys, values and gate logits; `loud` ones close a tied gate all but entirely."""
    generator = torch.Generator().manual_seed(tokens)
    shapes = ((tokens, 6, 8), (tokens, 2, 8), (tokens, 2, 8), (tokens, 2, 8))
    return [torch.randn(shape, generator=generator) * loud for shape in shapes]


def inputs(linear: LinearAttention, parts: list[Tensor]) -> Inputs:
    query, key, value, gate = parts
    return prepare(linear, query, key, value, gate if isinstance(linear.gate, LearnedGate) else None)


@pytest.mark.parametrize("linear", [LEARNED, TIED], ids=["learned", "tied"])
@pytest.mark.parametrize("loud", [1.0, 40.0])
@pytest.mark.parametrize("tokens", [1, 16, 45])
def test_chunks_are_the_recurrence(linear: LinearAttention, loud: float, tokens: int) -> None:
    x, state = inputs(linear, projected(tokens, loud)), torch.randn(2, 8, 8)
    out, after = gated_sums(torch.float32)(x, state)
    expected, expected_after = naive(x, state)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4 * loud)
    torch.testing.assert_close(after, expected_after, rtol=1e-4, atol=1e-4 * loud)


@pytest.mark.parametrize("linear", [LEARNED, TIED], ids=["learned", "tied"])
@pytest.mark.parametrize("loud", [1.0, 40.0])
def test_gradients_are_the_recurrences_and_finite_in_bf16(linear: LinearAttention, loud: float) -> None:
    """Where decays are taken apart into two exponentials, loud gates give NaN here."""
    parts = [part.requires_grad_() for part in projected(50, loud)]
    used = parts if linear is LEARNED else parts[:3]
    state = torch.zeros(2, 8, 8)
    wanted = torch.autograd.grad(naive(inputs(linear, parts), state)[0].square().sum(), used)
    found = torch.autograd.grad(gated_sums(torch.float32)(inputs(linear, parts), state)[0].square().sum(), used)
    half = torch.autograd.grad(gated_sums(torch.bfloat16)(inputs(linear, parts), state)[0].square().sum(), used)
    for one, two, three in zip(wanted, found, half, strict=True):
        scale = float(one.abs().max())
        torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-4 * scale)
        torch.testing.assert_close(three, one, rtol=0.1, atol=0.05 * scale)
