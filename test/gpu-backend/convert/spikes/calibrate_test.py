"""Which thresholds are chosen, and what they are measured to cost."""

import pytest
import torch
from spikingbrain.config import Site, Spiking
from spikingbrain.convert.spikes.calibrate import FINEST, Calibration
from spikingbrain.convert.spikes.thresholds import Choice, Trial, choose, multiply_accumulates
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.reader import TrunkReader
from spikingbrain.rules import ConfigError
from support.convert_models import REACH, TEACHER, busy_branches, text_of, trunk_of

TRIALS = {
    "attention_in": [Trial(1.0, 0.50, 0.6), Trial(2.0, 0.10, 0.8), Trial(4.0, 0.01, 0.9)],
    "feed_forward_down": [Trial(1.0, 0.20, 0.5), Trial(2.0, 0.05, 0.7), Trial(4.0, 0.02, 0.85)],
}
WORK: dict[Site, int] = {"attention_in": 100, "feed_forward_down": 1_000}


@pytest.mark.parametrize(
    ("budget", "expected"), [(0.035, (4.0, 4.0)), (0.07, (4.0, 2.0)), (0.22, (4.0, 1.0)), (0.31, (2.0, 1.0)), (0.8, (1.0, 1.0))]
)
def test_the_site_with_more_work_gets_the_budget_first(budget: float, expected: tuple[float, float]) -> None:
    chosen = choose(TRIALS, WORK, budget)  # type: ignore[arg-type]
    assert chosen == Spiking(mode="paper", site_k=(("attention_in", expected[0]), ("feed_forward_down", expected[1])))


def test_a_budget_that_nothing_fits_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"spikes\.budgets must be at least 0\.0300, the least that is possible; it is 0\.02"):
        choose(TRIALS, WORK, 0.02)  # type: ignore[arg-type]


def test_what_is_measured() -> None:
    trunk, texts = trunk_of(), [text_of(90, seed) for seed in (1, 2)]
    branches = busy_branches(trunk)
    calibration = Calibration(trunk, REACH, branches, texts)
    trials = calibration.trials([1.0, 8.0], lambda line: None)
    assert list(trials) == ["attention_in", "query", "attention_out", "feed_forward_in", "feed_forward_down"]
    for site, (coarse, fine) in trials.items():
        assert coarse.divergence > fine.divergence, site
        assert coarse.active < fine.active < 1, site
    spiking = Spiking(mode="paper", k=FINEST, site_k=(("feed_forward_in", 1.0),))
    measured, activity = calibration.measure(spiking)
    least, _ = calibration.measure(Spiking(mode="paper", k=FINEST))
    assert measured - least == trials["feed_forward_in"][0].divergence
    assert activity["feed_forward_in"].share == trials["feed_forward_in"][0].active
    with torch.no_grad():
        students = [TrunkReader(trunk, REACH, branches, firing) for firing in (Firing(), Firing(spiking))]
        plain, fired = (torch.cat([trunk.logits(one.residual(text, one.begin())[0]) for text in texts]) for one in students)
    expected = (plain.softmax(dim=-1) * (plain.log_softmax(dim=-1) - fired.log_softmax(dim=-1))).sum(dim=-1).mean()
    assert measured == pytest.approx(float(expected), rel=1e-4)
    first, second = calibration.curve([Choice(0.5, spiking)], texts, lambda line: None)
    assert first["perplexity"] != second["perplexity"]
    assert 0 < abs(first["perplexity of W8"] / first["perplexity"] - 1) < 0.05  # type: ignore[operator]
    assert 0 < second["active multiply-accumulates"] < 1  # type: ignore[operator]
    work = multiply_accumulates(TEACHER, REACH)
    assert work["query"] == 48 * (24 + 3 + 5)
    assert work["feed_forward_in"] == 48 * 80
