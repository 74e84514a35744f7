"""The rule by which a token is chosen: the choices of the WASM engine, whose test reads the same file."""

import json
import math
from typing import Any

import choices
import pytest
import torch
from spikingbrain.rules import ConfigError
from spikingbrain.sampling.choose import NONE, choose
from spikingbrain.sampling.draws import uniform
from spikingbrain.sampling.exponential import exponential
from spikingbrain.sampling.settings import Sampling
from spikingbrain.sampling.tally import Tally

FILE: dict[str, Any] = json.loads(choices.FILE.read_text())


def test_draws_are_those_of_the_file() -> None:
    for seed, number, bits in FILE["draws"]:
        assert uniform(int(seed), number) == bits / 2**53


def test_choices_are_those_of_the_file() -> None:
    for index, case in enumerate(FILE["cases"]):
        assert choices.chosen(case) == case["chosen"], index


def test_rows_of_a_batch_do_not_see_one_another() -> None:
    """Every case of one vocabulary at once, with its own logits."""
    cases = [case for case in FILE["cases"] if case["vocabulary"] == 300]
    rows, logits, expected = [], [], []
    for case in cases:
        tally = Tally(case["prompt"])
        tally.follow(case["output"])
        rows += [(choices.sampling_of(case, seed), tally) for seed in case["seeds"]]
        logits += [choices.logits_of(case)] * len(case["seeds"])
        expected += [NONE if token is None else token for token in case["chosen"]]
    assert len(cases) > 50
    assert choose(rows, torch.stack(logits)).tolist() == expected


def test_logits_stay_as_they_are() -> None:
    sampling = Sampling(logit_bias=((1, 3.0),), repetition_penalty=1.5, min_tokens=1, stop_tokens=(0,))
    logits = torch.tensor([[1.0, 2.0, float("nan")]])
    before = logits.clone()
    choose([(sampling, Tally([2]))], logits)
    assert torch.equal(logits.nan_to_num(nan=7.0), before.nan_to_num(nan=7.0))


def test_what_an_earlier_attempt_has_sampled_counts_as_output() -> None:
    """The prompt's last tokens, as many as are said; and wherever the answer was cut off, it goes on alike."""
    logits = torch.rand(1, 64, generator=torch.Generator().manual_seed(1))
    sampling = Sampling(temperature=1.5, seed=9, presence_penalty=0.5, repetition_penalty=1.3, frequency_penalty=0.1, top_p=0.9)
    whole, tally = list[int](), Tally([5, 6])
    while len(whole) < 12:
        tally.follow(whole)
        whole.append(int(choose([(sampling, tally)], logits)[0]))
    for cut in range(1, 12):
        again = Tally([5, 6, *whole[:cut]], continued=cut)
        again.follow(whole[cut:11])
        assert (again.generated, int(choose([(sampling, again)], logits)[0])) == (11, whole[11])
    assert Tally([5, 6, 7]).generated == 0


def test_output_that_was_taken_back_does_not_count() -> None:
    tally = Tally([1, 2, 1], continued=1)
    tally.follow([3, 3, 4])
    assert (tally.generated, tally.seen().tolist(), [part.tolist() for part in tally.output()]) == (4, [1, 2, 3, 4], [[1, 3, 4], [1, 2, 1]])
    tally.follow([3])
    assert (tally.generated, tally.seen().tolist(), [part.tolist() for part in tally.output()]) == (2, [1, 2, 3], [[1, 3], [1, 1]])


def test_the_exponential_is_within_two_units_in_the_last_place() -> None:
    x = torch.arange(-87.0, 88.0, 0.0137)
    exact = x.to(torch.float64).exp()
    assert float(((exponential(x).to(torch.float64) - exact).abs() / exact).max()) < 2.4e-7
    assert exponential(torch.tensor([-math.inf, -87.1, 0.0])).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 2.1}, "temperature must be a number from 0 and at most 2; it is 2.1"),
        ({"temperature": math.nan}, "temperature must be a number from 0"),
        ({"top_p": 0.0}, "top_p must be a number above 0 and at most 1; it is 0.0"),
        ({"top_k": -1}, "top_k must be an integer from 0"),
        ({"min_p": True}, "min_p must be a number"),
        ({"repetition_penalty": 0.0}, "repetition_penalty must be a number above 0"),
        ({"presence_penalty": -2.5}, "presence_penalty must be a number from -2"),
        ({"frequency_penalty": math.inf}, "frequency_penalty must be a number from -2"),
        ({"logit_bias": ((10, 1.0),)}, "logit_bias must be an integer from 0 to 9; it is 10"),
        ({"logit_bias": ((1, 101.0),)}, "logit_bias must be a number from -100"),
        ({"seed": 2**64}, "seed must be an integer from 0 to 18446744073709551615"),
        ({"min_tokens": -1}, "min_tokens must be an integer from 0"),
        ({"stop_tokens": (10,)}, "stop_tokens must be an integer from 0 to 9"),
    ],
)
def test_ranges_are_checked_by_name(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as found:
        Sampling(**wrong).check(10)
    assert str(found.value).startswith(message)
