"""W8 codes are exact, and both products of spikes with them are the same integers."""

from dataclasses import replace

import pytest
import torch
from spikingbrain.rules import ConfigError
from spikingbrain.spike.coding import Coding
from spikingbrain.spike.neuron import fire
from spikingbrain.spike.product import dense_sums, event_sums, scaled
from spikingbrain.spike.weight_codes import WeightCodes, group_count, largest_scales, quantise_weight
from torch import Tensor

SIGNED: list[Coding] = ["ternary", "bidirectional", "twos_complement"]


def weight_of(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 0.02


def with_outside_codes(rows: int, columns: int) -> WeightCodes:
    """Scales of a third of what they must be, as a checkpoint with trained scales may have."""
    weight = weight_of(rows, columns)
    return quantise_weight(weight, largest_scales(weight) / 3)


@pytest.mark.parametrize("columns", [1, 127, 128, 129, 576])
def test_one_scale_per_row_and_group_of_128(columns: int) -> None:
    weight = weight_of(3, columns)
    codes = quantise_weight(weight)
    assert codes.scales.shape == (3, group_count(columns)) == (3, -(-columns // 128))
    for row in range(3):
        for group in range(group_count(columns)):
            part = weight[row, group * 128 : (group + 1) * 128]
            assert codes.scales[row, group].item() == pytest.approx(float(part.abs().max()) / 127)
            assert codes.codes()[row, group * 128 : (group + 1) * 128].abs().max() == 127
    assert codes.residual.numel() == 0
    error = (codes.dense() - weight).abs() / codes.scales.repeat_interleave(128, dim=1)[:, :columns]
    assert float(error.max()) <= 0.5 + 1e-5


def test_codes_outside_int8_are_kept_exactly() -> None:
    weight = weight_of(8, 300)
    scales = largest_scales(weight) / 3
    codes = quantise_weight(weight, scales)
    spread = scales.repeat_interleave(128, dim=1)[:, :300]
    assert torch.equal(codes.codes(), torch.round(weight / spread).to(torch.int32))
    assert torch.equal(codes.dense(), torch.round(weight / spread) * spread)
    assert codes.codes().max() > 127
    assert codes.codes().min() < -128
    assert codes.base.dtype == torch.int8
    assert codes.outside_share == pytest.approx(float((codes.codes() != codes.codes().clamp(-128, 127)).double().mean()))
    assert 0 < codes.outside_share < 0.5


def test_a_group_of_zeros_has_a_scale_and_zero_codes() -> None:
    codes = quantise_weight(torch.zeros(2, 130))
    assert codes.scales.min().item() == pytest.approx(1e-5)
    assert not codes.codes().any()


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        (torch.ones(2, 1), r"scales must be of shape \(2, 2\); it is \(2, 1\)"),
        (torch.zeros(2, 2), "scales must be positive and finite; it is 0.0"),
        (torch.full((2, 2), torch.nan), "scales must be positive and finite; it is nan"),
        (torch.full((2, 2), 1e-12), "weight must be below 2\\^24 scales in magnitude"),
    ],
)
def test_bad_scales_are_named(scales: Tensor, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quantise_weight(weight_of(2, 130), scales)


@pytest.mark.parametrize("columns", [64, 128, 576])
@pytest.mark.parametrize("coding", SIGNED)
@pytest.mark.parametrize("outside", [False, True])
def test_the_event_driven_product_is_the_dense_one(columns: int, coding: Coding, outside: bool) -> None:
    codes = with_outside_codes(7, columns) if outside else quantise_weight(weight_of(7, columns))
    counts = fire(torch.randn(4, columns, generator=torch.Generator().manual_seed(3)), 3).counts
    counts[1] = 0
    sums = event_sums(counts, codes, coding)
    assert sums.shape == (4, 7, group_count(columns))
    assert torch.equal(sums, dense_sums(counts, codes))
    assert torch.equal(dense_sums(counts, codes).sum(dim=2), counts.long() @ codes.codes().long().T)
    assert not sums[1].any()


@pytest.mark.parametrize("coding", ["binary", "bitwise"])
def test_unsigned_codings_multiply_counts_that_are_not_negative(coding: Coding) -> None:
    codes = with_outside_codes(3, 200)
    counts = fire(torch.randn(2, 200, generator=torch.Generator().manual_seed(3)), 3).counts.abs()
    assert torch.equal(event_sums(counts, codes, coding), dense_sums(counts, codes))


def test_the_event_driven_product_reads_no_column_of_a_silent_channel() -> None:
    codes = quantise_weight(weight_of(3, 200))
    counts = fire(torch.randn(1, 200, generator=torch.Generator().manual_seed(3)), 0.6).counts
    silent = (counts == 0).squeeze(0)
    assert 10 < int(silent.sum()) < 190
    other = codes.base.clone()
    other[:, silent] = 99
    assert torch.equal(event_sums(counts, replace(codes, base=other)), event_sums(counts, codes))
    other[:, ~silent] += 1
    assert not torch.equal(event_sums(counts, replace(codes, base=other)), event_sums(counts, codes))


def test_scaled_sums_are_the_product_of_what_codes_and_spikes_stand_for() -> None:
    codes = with_outside_codes(9, 576)
    x = torch.randn(5, 576, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    spikes, bias = fire(x, 3), torch.linspace(-1, 1, 9)
    expected = spikes.values(torch.float64) @ codes.dense().double().T + bias
    found = scaled(event_sums(spikes.counts, codes), spikes, codes, bias)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found - bias, scaled(dense_sums(spikes.counts, codes), spikes, codes), rtol=1e-5, atol=1e-5)
