"""Training through spikes: what is tuned, the short way through the window, and that steps bring a coarse student nearer."""

from dataclasses import replace

import pytest
import torch
from spikingbrain.config import Config, Site, Spiking
from spikingbrain.convert.spikes.thresholds import Trial, active_work, between, choose_active
from spikingbrain.convert.train.optimiser import make_optimiser
from spikingbrain.convert.train.spike_distil import spike_distil_step
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.near import near_residual
from spikingbrain.convert.trunk.reader import TrunkReader
from spikingbrain.convert.trunk.tuning import MATRICES, NORMS, block_spread, make_tuning, tuning_rate
from spikingbrain.rules import ConfigError
from support.convert_models import REACH, TEACHER, busy_branches, text_of, trunk_of

COARSE = Spiking(mode="paper", k=1.0)
BLOCKY: Config = replace(TEACHER, hidden=64, feed_forward_inner=96, heads=8)
"""Whose matrices have whole blocks of 32 inputs."""


@pytest.mark.parametrize("firing", [Firing(), Firing(COARSE)])
def test_within_the_window_the_short_way_is_the_student(firing: Firing) -> None:
    trunk, text = trunk_of(), text_of(REACH.window)
    student = TrunkReader(trunk, REACH, busy_branches(trunk), firing)
    expected, _ = student.residual(text, student.begin())
    torch.testing.assert_close(near_residual(trunk, REACH, text, firing), expected, rtol=1e-4, atol=1e-4)


def test_the_short_way_ends_at_the_window() -> None:
    with pytest.raises(ConfigError, match="tokens must be at most 24, the window; it is 25"):
        near_residual(trunk_of(), REACH, text_of(25), Firing())


def test_what_is_tuned_scales_and_shifts_blocks() -> None:
    trunk = trunk_of(BLOCKY)
    tuning = make_tuning(trunk, matrices=True)
    assert all(torch.equal(getattr(tuning.trunk(trunk).layers[1], name), getattr(trunk.layers[1], name)) for name in (*NORMS, *MATRICES))
    one = next(iter(tuning))
    with torch.no_grad():
        one.gain["attention_norm"][3] = 0.5
        one.factor["down"][2, 1] = 0.25
        one.shift["down"][4, 0] = -2.0
    tuned, layer = tuning.trunk(trunk).layers[0], trunk.layers[0]
    assert torch.equal(tuned.attention_norm[3], 1.5 * layer.attention_norm[3])
    expected = layer.down.clone()
    expected[2, 32:64] *= 1.25
    expected[4, :32] -= 2 * block_spread(layer.down)[4, 0]
    torch.testing.assert_close(tuned.down, expected)
    assert torch.equal(tuned.gate_up, layer.gate_up)


def test_gradients_are_those_of_the_plain_formula() -> None:
    trunk = trunk_of(BLOCKY)
    tuning = make_tuning(trunk, matrices=True)
    weight, factor, shift = trunk.layers[0].down, torch.randn(64, 3, requires_grad=True), torch.randn(64, 3, requires_grad=True)
    spread = block_spread(weight)
    plain = weight.view(64, 3, 32) * (1 + factor[..., None]) + (shift * spread)[..., None]
    towards = torch.randn(64, 96)
    expected = torch.autograd.grad((plain.flatten(1) * towards).sum(), (factor, shift))
    one = next(iter(tuning))
    with torch.no_grad():
        one.factor["down"].copy_(factor)
        one.shift["down"].copy_(shift)
    (one(trunk.layers[0]).down * towards).sum().backward()
    torch.testing.assert_close((one.factor["down"].grad, one.shift["down"].grad), expected)


@pytest.mark.parametrize("matrices", [False, True])
def test_steps_bring_a_coarse_student_nearer(matrices: bool) -> None:
    trunk, text = trunk_of(BLOCKY), text_of(REACH.window)
    tuning = make_tuning(trunk, matrices)
    optimiser = make_optimiser(tuning, 1.0, tuning_rate)
    found = []
    for _ in range(30):
        found.append(spike_distil_step(trunk, REACH, tuning, Spiking(mode="paper", k=6.0), text))
        optimiser.step()
        optimiser.zero_grad()
    assert found[-1] < 0.6 * found[0]


def test_inputs_that_are_no_whole_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match="teacher's query_key_value must be a multiple of 32 inputs; it is 48"):
        make_tuning(trunk_of(), matrices=True)


def test_thresholds_for_a_share_of_work() -> None:
    trials: dict[Site, list[Trial]] = {
        "attention_in": [Trial(1.0, 0.50, 0.6), Trial(4.0, 0.01, 0.9)],
        "feed_forward_down": [Trial(1.0, 0.20, 0.5), Trial(4.0, 0.02, 0.9)],
    }
    work: dict[Site, int] = {"attention_in": 100, "feed_forward_down": 300}
    finer = between(trials["attention_in"])
    assert [one.k for one in finer] == [1.0, 1.41, 2.0, 2.83, 4.0]
    assert [one.active for one in finer] == pytest.approx([0.6, 0.675, 0.75, 0.825, 0.9])
    assert finer[2].divergence == pytest.approx((0.5 * 0.01) ** 0.5, rel=1e-3)
    chosen = dict(choose_active(trials, work, 0.75).site_k)
    left = {site: next(one.active for one in between(trials[site]) if one.k == k) for site, k in chosen.items()}
    assert 0.65 < active_work(left, work) <= 0.75
    assert left["feed_forward_down"] < left["attention_in"]
    with pytest.raises(ConfigError, match=r"spike_distil\.active must be at least 0\.5250, the least that was tried; it is 0\.5"):
        choose_active(trials, work, 0.5)
