"""Counts against the published ones, and against tensors that exist."""

from dataclasses import replace

import pytest
import torch
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.config import Config, LearnedGate, LinearAttention
from spikingbrain.presets import seven_billion, seventy_six_billion
from spikingbrain.sizes import KeyValueType, parameter_count, state_bytes

KIB, MIB = 1 << 10, 1 << 20


def test_the_7b_has_the_published_parameters() -> None:
    counted = parameter_count(seven_billion())
    assert counted.total == counted.active == 7_616_542_976


@pytest.mark.parametrize(("projections", "total", "active"), [("shared", 76.06e9, 11.89e9), ("separate", 76.88e9, 12.72e9)])
def test_both_readings_of_the_76b(projections: str, total: float, active: float) -> None:
    counted = parameter_count(seventy_six_billion(projections="shared" if projections == "shared" else "separate"))
    assert counted.total == pytest.approx(total, abs=0.5e7)
    assert counted.active == pytest.approx(active, abs=0.5e7)


@pytest.mark.parametrize(
    "config",
    [
        seven_billion(),
        replace(seven_billion(), tied_head=True, linear=LinearAttention(gate=LearnedGate(rank=None), head_norm=False)),
        seventy_six_billion(),
        seventy_six_billion(projections="separate", head_norm=True, shared_inner=0),
        seventy_six_billion(branch_norm="head", expert_inner=100),
    ],
)
def test_the_count_is_that_of_the_tensors(config: Config) -> None:
    assert parameter_count(config).total == sum(torch.Size(name.shape).numel() for name in tensor_names(config))


def test_the_7bs_state() -> None:
    config = seven_billion(window=4_096)
    assert state_bytes(config, 0).head == 3.5 * MIB
    assert state_bytes(config, 0).per_token == 28 * KIB
    for context in (4_096, 4_000_000):
        assert state_bytes(config, context).pages == 112 * MIB
        assert state_bytes(config, context).per_token == 0
    assert state_bytes(config, 4_095).per_token == 28 * KIB
    assert state_bytes(config, 100).total == 3.5 * MIB + 100 * 28 * KIB
    assert state_bytes(config, 100, "float32").pages == 2 * state_bytes(config, 100).pages


def test_the_76bs_full_layers_grow_for_ever() -> None:
    config = seventy_six_billion()
    assert state_bytes(config, 1_000_000).per_token == 8 * KIB
    held = 24 * (128 + 4_096) + 4 * (128 + 1_000_000)
    assert state_bytes(config, 1_000_000).pages == held * 2 * KIB


@pytest.mark.parametrize(("key_values", "bytes_of_row"), [("int8", 128 + 4), ("bfloat16", 256), ("float32", 512)])
def test_what_a_token_costs_by_type(key_values: KeyValueType, bytes_of_row: int) -> None:
    assert state_bytes(seven_billion(), 0, key_values).per_token == 14 * 2 * 4 * bytes_of_row
