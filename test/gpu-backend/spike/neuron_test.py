"""The neuron's threshold, rounding and gradient."""

from fractions import Fraction

import pytest
import torch
from spikingbrain.rules import ConfigError
from spikingbrain.spike.key_value_codes import quantise_rows
from spikingbrain.spike.neuron import fire, threshold, through_spikes
from torch import Tensor


def step_by_step(charge: Fraction, level: Fraction) -> int:
    """Integrate and fire as eqs 19 to 21 of the paper have it: one spike a step while the charge is at least half a threshold away from
    silence, each spike taking its threshold away; half a threshold exactly fires if that makes the count even."""
    count = 0
    sign = 1 if charge > 0 else -1
    left = abs(charge)
    while left > level / 2 or (left == level / 2 and count % 2 == 1):
        left -= level
        count += 1
    return sign * count


def test_a_tokens_threshold_is_its_mean_magnitude_over_k() -> None:
    x = torch.tensor([[1.0, -2.0, 3.0, -6.0], [0.0, 0.0, 0.0, 8.0]])
    assert threshold(x, 3).tolist() == [[1.0], [pytest.approx(2 / 3)]]
    assert threshold(x, 2).tolist() == [[1.5], [1.0]]
    assert threshold(x.double(), 3).dtype == torch.float32


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 1e-5), (1e-9, 1e-5), (1e9, 1e4)])
def test_the_threshold_is_clamped(scale: float, expected: float) -> None:
    assert threshold(torch.full((1, 5), scale), 3).item() == pytest.approx(expected)


def test_the_threshold_does_not_depend_on_the_order_of_channels() -> None:
    x = torch.randn(1, 3584, generator=torch.Generator().manual_seed(0)) * 10 ** torch.linspace(-3, 3, 3584)
    assert torch.equal(threshold(x, 3), threshold(x.flip(1), 3))


def test_counts_round_half_to_even_on_both_sides_of_zero() -> None:
    # Six channels of mean magnitude 3: the threshold is 1 at k = 3.
    counts = fire(torch.tensor([[0.5, -0.5, 1.5, -1.5, 2.5, -11.5]]), 3).counts
    assert counts.tolist() == [[0.0, 0.0, 2.0, -2.0, 2.0, -12.0]]


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_what_integrating_and_firing_leaves(seed: int) -> None:
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    spikes = fire(x, 3)
    for row, counts, level in zip(x.tolist(), spikes.counts.tolist(), spikes.threshold.tolist(), strict=True):
        assert counts == [step_by_step(Fraction(value), Fraction(level[0])) for value in row]


def test_an_outlier_fires_as_often_as_it_must() -> None:
    x = torch.tensor([[1.0] * 999 + [1e5]])
    spikes = fire(x, 3)
    assert float(spikes.counts.max()) == pytest.approx(1e5 / float(spikes.threshold), rel=1e-3)
    assert float(spikes.counts.max()) > 2_000


def test_silence_stays_silent() -> None:
    spikes = fire(torch.zeros(2, 4), 3)
    assert not spikes.counts.any()
    assert not spikes.values(torch.float32).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_what_spikes_stand_for_has_the_type_of_the_model(dtype: torch.dtype) -> None:
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    spikes = fire(x, 3)
    replaced = through_spikes(x, spikes)
    assert replaced.dtype == dtype
    assert float((replaced - x).abs().max() / spikes.threshold.max()) <= 0.51


def test_the_gradient_passes_straight_through() -> None:
    x = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.arange(8.0)
    (gradient,) = torch.autograd.grad((through_spikes(x, fire(x, 3)) * weight).sum(), x)
    assert torch.equal(gradient, weight.expand(2, 8))


@pytest.mark.parametrize("x", [torch.zeros(2, 0), torch.zeros(2, 3, dtype=torch.int64)])
def test_what_cannot_fire_is_refused(x: Tensor) -> None:
    with pytest.raises(ConfigError, match="x must be floating-point with at least one channel"):
        fire(x, 3)


def test_k_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="k must be a positive finite number; it is 0"):
        fire(torch.ones(1, 1), 0)


def test_int8_rows_have_one_scale_per_token_and_head() -> None:
    x = torch.tensor([[[127.0, -1.0, 0.5, 1.5], [-254.0, 1.0, 3.0, 5.0]]])
    rows = quantise_rows(x)
    assert rows.scales.tolist() == [[[1.0], [2.0]]]
    assert rows.codes.tolist() == [[[127, -1, 0, 2], [-127, 0, 2, 2]]]
    assert rows.dense(torch.float32).tolist() == [[[127.0, -1.0, 0.0, 2.0], [-254.0, 0.0, 4.0, 4.0]]]


@pytest.mark.parametrize(("value", "scale", "code"), [(0.0, 1e-5, 0), (1e-4, 1e-5, 10), (2e6, 1e4, 127), (-2e6, 1e4, -127)])
def test_int8_scales_and_codes_are_clamped(value: float, scale: float, code: int) -> None:
    rows = quantise_rows(torch.tensor([[[value]]]))
    assert rows.scales.item() == pytest.approx(scale)
    assert rows.codes.item() == code
