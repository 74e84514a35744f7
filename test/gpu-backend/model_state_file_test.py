"""States as bytes, in the engine's format."""

import struct
from dataclasses import replace

import pytest
import torch
from model_examples import MODELS, SEVEN, model_of, name_of, text_of
from spikingbrain.config import Config, LearnedGate, LinearAttention, Spiking, SpikingMode
from spikingbrain.model.state import State
from spikingbrain.model.state_file import HEADER, StateError, load_state, save_state
from spikingbrain.model.state_fingerprint import description, fingerprint

CPU = torch.device("cpu")
FLOAT = torch.float32


def state_after(config: Config, tokens: int, dtype: torch.dtype = FLOAT) -> State:
    model = model_of(config, dtype)
    return model.new_state() if tokens == 0 else model.step(model.new_state(), text_of(config, tokens))[1]


@pytest.mark.parametrize("config", MODELS, ids=name_of)
@pytest.mark.parametrize("mode", ["off", "released"])
@pytest.mark.parametrize("tokens", [0, 2, 23])
def test_a_loaded_state_goes_on_bit_for_bit(config: Config, mode: SpikingMode, tokens: int) -> None:
    config = replace(config, spiking=Spiking(mode=mode))
    state = state_after(config, tokens)
    data = save_state(state, config)
    loaded = load_state(data, config, FLOAT, CPU)
    assert save_state(loaded, config) == data
    model, more = model_of(config, FLOAT), text_of(config, 7, seed=9)
    assert torch.equal(model.step(loaded, more)[0], model.step(state, more)[0])


def test_a_half_precision_state_loses_nothing() -> None:
    state = state_after(SEVEN, 9, torch.bfloat16)
    loaded = load_state(save_state(state, SEVEN), SEVEN, torch.bfloat16, CPU)
    assert loaded.layers[1].key_values is not None and state.layers[1].key_values is not None
    assert torch.equal(torch.as_tensor(loaded.layers[1].key_values.keys), torch.as_tensor(state.layers[1].key_values.keys))


def test_what_is_wider_than_f32_is_refused() -> None:
    with pytest.raises(StateError, match="a state must be of f32 or a half type; it is float64"):
        save_state(state_after(SEVEN, 9, torch.float64), SEVEN)
    with pytest.raises(StateError, match="the weights must be of f32 or a half type; they are float64"):
        load_state(save_state(state_after(SEVEN, 9), SEVEN), SEVEN, torch.float64, CPU)


def test_sizes_are_those_of_what_is_seen() -> None:
    """Four keys of the window of five, for each of two window layers and two heads of six; two linear states of two heads."""
    linear = 2 * 2 * 6 * 6 * 4
    assert len(save_state(state_after(SEVEN, 23), SEVEN)) == HEADER.size + linear + 2 * 4 * 2 * 2 * 6 * 4
    spiking = replace(SEVEN, spiking=Spiking(mode="paper"))
    assert len(save_state(state_after(spiking, 23), spiking)) == HEADER.size + linear + 2 * 4 * 2 * (2 * 6 + 2 * 4)


def altered(at: int, value: bytes) -> bytes:
    data = save_state(state_after(SEVEN, 9), SEVEN)
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (altered(0, b"GGUF"), "the bytes must start with b'SBST'; they start with b'GGUF'"),
        (altered(4, struct.pack("<I", 1)), "version must be 2; it is 1"),
        (altered(8, bytes(32)), "state must belong to a model of this config; it belongs to another"),
        (altered(40, struct.pack("<I", 7)), "type of keys and values must be 0 or 1; it is 7"),
        (altered(44, struct.pack("<Q", 2**30 + 1)), "position must be from 0 to 1073741824; it is 1073741825"),
        (altered(44, struct.pack("<Q", 3)), "numbers|nothing may follow the last layer"),
        (altered(52, struct.pack("<f", float("nan"))), "numbers from byte 52 on must be finite; one is not"),
        (altered(40, struct.pack("<I", 1)), "nothing may follow|must be finite and not negative|must be from -127"),
        (save_state(state_after(SEVEN, 9), SEVEN) + b"x", "nothing may follow the last layer; 1 bytes do"),
    ],
)
def test_what_is_no_state_of_this_model_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(StateError, match=message):
        load_state(data, SEVEN, FLOAT, CPU)


def test_a_far_position_takes_no_memory_before_it_is_refused() -> None:
    full = MODELS[3]
    data = save_state(state_after(full, 4), full)
    with pytest.raises(StateError, match=r"a part of \d+ bytes must follow byte \d+; \d+ do"):
        load_state(data[:44] + struct.pack("<Q", 2**30) + data[52:], full, FLOAT, CPU)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 51, 100, -1])
def test_a_truncated_file_is_refused(cut: int) -> None:
    with pytest.raises(StateError, match=r"a part of \d+ bytes must follow byte \d+"):
        load_state(save_state(state_after(SEVEN, 9), SEVEN)[:cut], SEVEN, FLOAT, CPU)


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_theta": 5.0},
        {"window": 6},
        {"epsilon": 1e-5},
        {"linear": LinearAttention(gate=LearnedGate(normalizer=3.0, rank=3))},
        {"spiking": Spiking(mode="paper")},
        {"spiking": Spiking(k=4.0)},
        {"spiking": Spiking(site_k=(("query", 4.0),))},
    ],
)
def test_another_model_of_the_same_sizes_is_another_model(changes: dict[str, object]) -> None:
    assert fingerprint(replace(SEVEN, **changes)) != fingerprint(SEVEN)  # type: ignore[arg-type]
    with pytest.raises(StateError, match="belongs to another"):
        load_state(save_state(state_after(SEVEN, 9), SEVEN), replace(SEVEN, **changes), FLOAT, CPU)  # type: ignore[arg-type]


def test_a_name_decides_nothing() -> None:
    load_state(save_state(state_after(SEVEN, 9), SEVEN), replace(SEVEN, name="renamed", bos=3, context=99), FLOAT, CPU)


def test_the_text_behind_the_fingerprint_is_spelled_out() -> None:
    """As the engine's: `wasm/engine/src/state/fingerprint.rs`."""
    assert description(SEVEN).splitlines() == [
        "spikingbrain state",
        "hidden=24",
        "heads=6",
        "kv_heads=2",
        "head_dim=6",
        "vocabulary=40",
        "epsilon=358637bd",
        "rope_theta=49742400",
        "rope_dim=6",
        "learned_sinks=0",
        "kept_tokens=0",
        "window=5",
        "layers=linear dense,window dense,linear dense,window dense",
        "parallel_projections=shared",
        "branch_norm=full",
        "linear=relu/learned/40000000/true/false/true",
        "evicted=none",
        "inner=20",
        "experts=none",
        "spiking=off",
        "spiking_k=40400000",
    ]
