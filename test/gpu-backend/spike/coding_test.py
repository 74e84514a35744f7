"""Every coding is exact, at every number of steps that its rule allows."""

import pytest
import torch
from spikingbrain.rules import ConfigError
from spikingbrain.spike.coding import UNARY, UNSIGNED, Coding, bit_length, decode, encode, step_worths, steps_needed
from torch import Tensor

CODINGS: list[Coding] = ["binary", "ternary", "bitwise", "bidirectional", "twos_complement"]
ALLOWED: dict[Coding, set[int]] = {
    "binary": {0, 1},
    "ternary": {-1, 0, 1},
    "bitwise": {0, 1},
    "bidirectional": {-1, 0, 1},
    "twos_complement": {0, 1},
}


def counts_for(coding: Coding, seed: int) -> Tensor:
    """From silence to hundreds, of several shapes."""
    generator = torch.Generator().manual_seed(seed)
    largest = (0, 1, 2, 7, 8, 100, 300)[seed % 7]
    shape = ((9,), (3, 5), (2, 3, 4))[seed % 3]
    least = 0 if coding in UNSIGNED else -largest
    return torch.randint(least, largest + 1, shape, generator=generator)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("seed", range(14))
@pytest.mark.parametrize("more", [0, 1, 5])
def test_a_round_trip_is_exact(coding: Coding, seed: int, more: int) -> None:
    counts = counts_for(coding, seed)
    needed = int(steps_needed(counts.reshape(1, -1), coding))
    spikes = encode(counts, coding, needed + more)
    assert spikes.shape == (needed + more, *counts.shape)
    assert spikes.dtype == torch.int8
    assert set(spikes.flatten().tolist()) <= ALLOWED[coding]
    assert torch.equal(decode(spikes, coding), counts)
    assert torch.equal(encode(counts.double(), coding), encode(counts, coding, needed))


@pytest.mark.parametrize("coding", CODINGS)
def test_more_steps_are_silent(coding: Coding) -> None:
    counts = counts_for(coding, 5).abs()
    needed = encode(counts, coding)
    spikes = encode(counts, coding, len(needed) + 4)
    silent, same = (spikes[-4:], spikes[:-4]) if coding in UNARY else (spikes[:4], spikes[4:])
    assert not silent.any()
    assert torch.equal(same, needed)


@pytest.mark.parametrize(
    ("coding", "largest", "steps"),
    [
        ("binary", 256, 256),
        ("ternary", 128, 128),
        ("binary", 0, 0),
        ("bitwise", 0, 1),
        ("bitwise", 1, 1),
        ("bitwise", 255, 8),
        ("bitwise", 256, 9),
        ("bidirectional", 127, 7),
        ("bidirectional", 128, 8),
        ("twos_complement", 0, 2),
        ("twos_complement", 1, 2),
        ("twos_complement", 127, 8),
        ("twos_complement", 128, 9),
    ],
)
def test_the_rule_for_steps(coding: Coding, largest: int, steps: int) -> None:
    assert len(encode(torch.tensor([0, largest]), coding)) == steps
    if coding not in UNSIGNED:
        assert len(encode(torch.tensor([0, -largest]), coding)) == steps


def test_steps_follow_every_input_anew() -> None:
    for largest in (3, 300, 3):
        counts = torch.tensor([-largest, largest])
        for coding in ("ternary", "bidirectional", "twos_complement"):
            assert torch.equal(decode(encode(counts, coding), coding), counts)


def test_steps_per_token() -> None:
    counts = torch.tensor([[0, 0], [1, -1], [7, -8], [0, 300]])
    assert steps_needed(counts, "bidirectional").tolist() == [1, 1, 4, 9]
    assert steps_needed(counts, "ternary").tolist() == [0, 1, 8, 300]
    assert steps_needed(counts, "twos_complement").tolist() == [2, 2, 5, 10]


def test_the_most_significant_step_comes_first() -> None:
    assert encode(torch.tensor([6, -5]), "bidirectional").tolist() == [[1, -1], [1, 0], [0, -1]]
    assert encode(torch.tensor([6, -5]), "twos_complement").tolist() == [[0, 1], [1, 0], [1, 1], [0, 1]]
    assert encode(torch.tensor([6]), "bitwise").tolist() == [[1], [1], [0]]
    assert step_worths(4, "bitwise", torch.zeros(1)).flatten().tolist() == [8, 4, 2, 1]
    assert step_worths(4, "twos_complement", torch.zeros(1)).flatten().tolist() == [-8, 4, 2, 1]


def test_a_published_example() -> None:
    spikes = encode(torch.tensor([-5, 0, 3, 7, -1, 20, 300]), "bidirectional")
    assert (len(spikes), int(spikes.abs().sum())) == (9, 14)


def test_all_positive_counts_need_no_zero_point() -> None:
    counts = torch.tensor([[1, 2, 3]])
    for coding in CODINGS:
        assert torch.equal(decode(encode(counts, coding), coding), counts)


@pytest.mark.parametrize("coding", sorted(UNSIGNED))
def test_unsigned_codings_refuse_negative_counts(coding: Coding) -> None:
    with pytest.raises(ConfigError, match=f"counts must be non-negative for the {coding} coding; it is -2"):
        encode(torch.tensor([1, -2]), coding)


@pytest.mark.parametrize("coding", CODINGS)
def test_too_few_steps_are_refused_rather_than_truncated(coding: Coding) -> None:
    needed = len(encode(torch.tensor([9]), coding))
    with pytest.raises(ConfigError, match=f"steps must be an integer from {needed} to"):
        encode(torch.tensor([9]), coding, needed - 1)


@pytest.mark.parametrize("value", [0.5, float("inf"), float("nan"), 2.0**60])
def test_only_whole_numbers_are_counts(value: float) -> None:
    with pytest.raises(ConfigError, match="counts must be whole numbers below"):
        encode(torch.tensor([value], dtype=torch.float64), "bidirectional")


def test_bit_length() -> None:
    numbers = [0, 1, 2, 3, 4, 255, 256, 2**40 - 1, 2**40]
    assert bit_length(torch.tensor(numbers)).tolist() == [number.bit_length() for number in numbers]
