"""What is measured of spikes, on numbers small enough to count by hand, on the distributions of
`gpu-backend/docs/model.md#86-what-is-measured`, and in a model."""

from dataclasses import replace

import pytest
import torch
from spikingbrain.config import Config, Spiking, SpikingMode
from spikingbrain.spike.energy import estimate
from spikingbrain.spike.modes import FIRING, SITES
from spikingbrain.spike.neuron import fire
from spikingbrain.spike.telemetry import SpikeCounts, SpikeMeter, count_spikes
from support.model_examples import SEVEN, SEVENTY_SIX, model_of, name_of, text_of
from torch.distributions import Laplace, Normal, StudentT

HAND = torch.tensor([[0.0, -3.0, 4.0, 9.0], [0.0, 1.0, 0.0, -7.0]])


def test_by_hand() -> None:
    # In binary 0, 11, 100, 1001: four digits, so two windows a channel. Then 0, 1, 0, 111: three digits, one window.
    assert count_spikes(HAND, 10) == SpikeCounts(
        channels=8,
        silent=3,
        small=7,
        count=24,
        spikes=9,
        windows=(3 + 3, 3 + 1, 1, 1),
        multiply_accumulates=80,
        skipped=30,
        additions=90,
    )


def test_outputs_may_differ_by_row() -> None:
    counted = count_spikes(HAND, torch.tensor([[1], [100]]))
    assert (counted.multiply_accumulates, counted.skipped, counted.additions) == (404, 201, 405)


def test_shares_and_means() -> None:
    counted = count_spikes(HAND, 10)
    assert (counted.silent_share, counted.small_share, counted.mean_count, counted.mean_spikes) == (3 / 8, 7 / 8, 3.0, 9 / 8)
    assert counted.window_shares == (0.5, 1 / 3, 1 / 12, 1 / 12)
    nothing = SpikeCounts()
    assert (nothing.silent_share, nothing.mean_spikes, nothing.window_shares) == (0.0, 0.0, (0.0,) * 4)


def test_counts_add_up() -> None:
    one, other = count_spikes(HAND[:1], 10), count_spikes(HAND[1:], 10)
    assert one + other == count_spikes(HAND, 10)


def test_energy_is_additions_against_multiplications() -> None:
    energy = estimate(additions=113, multiply_accumulates=100)
    assert energy.spikes / 100 == pytest.approx(0.034, abs=5e-4)
    assert 1 - energy.spikes / energy.fp16 == pytest.approx(0.977, abs=5e-4)
    assert 1 - energy.spikes / energy.int8 == pytest.approx(0.852, abs=1e-3)


@pytest.mark.parametrize(
    ("distribution", "silent", "small", "spikes"),
    [
        (Normal(0.0, 1.0), 0.106, 0.954, 1.30),
        (Laplace(0.0, 1.0), 0.154, 0.918, 1.22),
        (StudentT(3.0), 0.134, 0.930, 1.23),
    ],
    ids=["gaussian", "laplace", "student"],
)
def test_the_synthetic_figures(distribution: Normal | Laplace | StudentT, silent: float, small: float, spikes: float) -> None:
    torch.manual_seed(0)
    drawn: torch.Tensor = distribution.sample(torch.Size((256, 3584)))
    counted = count_spikes(fire(drawn, 3).counts, 1)
    assert counted.silent_share == pytest.approx(silent, abs=0.002)
    assert counted.small_share == pytest.approx(small, abs=0.002)
    assert counted.mean_spikes == pytest.approx(spikes, abs=0.01)


@pytest.mark.parametrize("config", [SEVEN, SEVENTY_SIX], ids=name_of)
@pytest.mark.parametrize("mode", ["off", "paper", "released"])
def test_a_model_is_counted_by_layer_and_site(config: Config, mode: SpikingMode) -> None:
    config = replace(config, spiking=Spiking(mode=mode))
    meter, text = SpikeMeter(), text_of(config, 11)
    counted = model_of(config).logits(text, meter)
    assert torch.equal(counted, model_of(config).logits(text))
    expected = {
        (index, site)
        for index, layer in enumerate(config.layers)
        for site in FIRING[mode]
        if (site != "gate_in" or (layer.is_linear and config.experts is None)) and (site != "query" or layer.softmax is not None)
    }
    assert set(meter.counts) == expected
    assert sum(meter.by_layer().values(), SpikeCounts()) == sum(meter.by_site().values(), SpikeCounts()) == meter.total()
    assert list(meter.by_site()) == [site for site in SITES if site in FIRING[mode] and (site != "gate_in" or config.experts is None)]


def test_channels_and_operations_of_the_7bs_sites() -> None:
    config = replace(SEVEN, spiking=Spiking(mode="paper"))
    meter, tokens = SpikeMeter(), 11
    model_of(config).logits(text_of(config, tokens), meter)
    width, kv_width, rank, inner = 36, 12, 3, 20
    channels = {site: counts.channels for site, counts in meter.by_site().items()}
    assert channels == {
        "attention_in": 4 * tokens * config.hidden,
        "gate_in": 2 * tokens * rank,
        "query": 2 * tokens * width,
        "attention_out": 4 * tokens * width,
        "feed_forward_in": 4 * tokens * config.hidden,
        "feed_forward_down": 4 * tokens * inner,
    }
    seen = sum(min(position + 1, 5) for position in range(tokens))
    operations = {site: counts.multiply_accumulates for site, counts in meter.by_site().items()}
    assert operations == {
        "attention_in": tokens * config.hidden * (4 * (width + 2 * kv_width) + 2 * rank),
        "gate_in": 2 * tokens * rank * kv_width,
        "query": 2 * seen * width,
        "attention_out": 4 * tokens * width * config.hidden,
        "feed_forward_in": 4 * tokens * config.hidden * 2 * inner,
        "feed_forward_down": 4 * tokens * inner * config.hidden,
    }


def test_only_the_experts_that_are_used_count() -> None:
    config = replace(SEVENTY_SIX, spiking=Spiking(mode="paper"))
    meter, tokens = SpikeMeter(), 11
    model_of(config).logits(text_of(config, tokens), meter)
    # One expert of 12 and the shared one of 8, of four experts.
    assert meter.counts[1, "feed_forward_in"].multiply_accumulates == tokens * config.hidden * (4 + 2 * (12 + 8))
    assert meter.counts[1, "feed_forward_down"].multiply_accumulates == tokens * config.hidden * (12 + 8)
