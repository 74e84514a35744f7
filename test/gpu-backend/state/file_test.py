"""States as bytes, in the engine's format."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from spikingbrain.config import Config, LearnedGate, LinearAttention, Spiking, SpikingMode
from spikingbrain.state.file import Digests, StateError, load_state, save_state
from spikingbrain.state.fingerprint import description, fingerprint
from spikingbrain.state.header import FIXED, GROUP
from spikingbrain.state.rows import Encoding, recurrent_bytes
from spikingbrain.state.state import State
from support.model_examples import MODELS, SEVEN, model_of, name_of, text_of

CPU = torch.device("cpu")
FLOAT = torch.float32
# SEVEN's layers with keys and values see as far.
HEADER_BYTES = FIXED.size + GROUP.size
POSITION, SINKS, KEPT, KV_TYPE, RECURRENT_TYPE, ZERO, HEAD_BYTES, GROUPS = 104, 112, 116, 120, 121, 122, 124, 132
EVICTED = next(config for config in MODELS if config.evicted is not None)


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


def test_digests_are_written_and_whoever_knows_them_refuses_others() -> None:
    state, known = state_after(SEVEN, 9), Digests(model=bytes([1] * 32), tokenizer=bytes([2] * 32))
    data = save_state(state, SEVEN, known)
    assert (data[40:72], data[72:104]) == (known.model, known.tokenizer)
    for digests in (Digests(), known, Digests(model=known.model)):
        assert load_state(data, SEVEN, FLOAT, CPU, digests).position == 9
    for digests, what in ((Digests(model=bytes([3] * 32)), "weights"), (Digests(tokenizer=bytes([3] * 32)), "tokenizer")):
        with pytest.raises(StateError, match=f"{what} must be those of SHA-256 0303"):
            load_state(data, SEVEN, FLOAT, CPU, digests)


@pytest.mark.parametrize("config", [SEVEN, EVICTED], ids=name_of)
def test_a_rounded_state_is_near_and_stays_as_it_is(config: Config) -> None:
    state = state_after(config, 40)
    exact, rounded = save_state(state, config), save_state(state, config, int8_rows=True, bf16_recurrent=True)
    assert 2 * len(rounded) < len(exact) + HEADER_BYTES
    loaded = load_state(rounded, config, FLOAT, CPU)
    assert save_state(loaded, config, bf16_recurrent=True) == rounded
    for found, expected in zip(loaded.layers, state.layers, strict=True):
        if found.linear is not None and expected.linear is not None:
            torch.testing.assert_close(found.linear, expected.linear, rtol=2**-8, atol=0)
        if found.evicted is not None and expected.evicted is not None:
            torch.testing.assert_close(found.evicted.sums, expected.evicted.sums, rtol=2**-8, atol=0)


def test_the_recurrent_part_is_rounded_to_nearest_even_and_never_to_infinity() -> None:
    values = torch.tensor([0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF], dtype=torch.int32).view(FLOAT)
    found = np.frombuffer(recurrent_bytes(values, Encoding(bf16_recurrent=True)), dtype="<u2")
    assert found.tolist() == [0x3F80, 0x3F82, 0x3F81, 0x7F7F]


def test_before_anything_is_lost_a_file_is_one_row_after_another() -> None:
    """So that a store can cut it."""
    for config in (replace(EVICTED, layers=EVICTED.layers[::2], linear=None), MODELS[3]):
        # Nothing has left before the query at position 4.
        assert config.window is None or config.window + config.kept > 4
        whole = save_state(state_after(config, 4), config)
        front = bytearray(whole[: FIXED.size])
        front[POSITION : POSITION + 8] = struct.pack("<Q", 3)
        assert whole[HEAD_BYTES : HEAD_BYTES + 8] == bytes(8)
        groups = list(struct.iter_unpack("<II", whole[FIXED.size : FIXED.size + GROUP.size * whole[GROUPS]]))
        at, rows = FIXED.size + GROUP.size * len(groups), b""
        for _, token_bytes in groups:
            rows, at = rows + whole[at : at + 3 * token_bytes], at + 4 * token_bytes
        cut = load_state(bytes(front) + whole[FIXED.size : FIXED.size + GROUP.size * len(groups)] + rows, config, FLOAT, CPU)
        assert cut.position == 3
        for found, expected in zip(cut.layers, load_state(whole, config, FLOAT, CPU).layers, strict=True):
            assert found.key_values is not None and expected.key_values is not None
            assert torch.equal(torch.as_tensor(found.key_values.keys), torch.as_tensor(expected.key_values.keys)[:3])


def test_sizes_are_those_of_what_is_seen() -> None:
    """Four keys of the window of five, for each of two window layers and two heads of six; two linear states of two heads."""
    linear = 2 * 2 * 6 * 6 * 4
    assert len(save_state(state_after(SEVEN, 23), SEVEN)) == HEADER_BYTES + linear + 2 * 4 * 2 * 2 * 6 * 4
    spiking = replace(SEVEN, spiking=Spiking(mode="paper"))
    assert len(save_state(state_after(spiking, 23), spiking)) == HEADER_BYTES + linear + 2 * 4 * 2 * (2 * 6 + 2 * 4)


def altered(at: int, value: bytes) -> bytes:
    data = save_state(state_after(SEVEN, 9), SEVEN)
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (altered(0, b"GGUF"), "the bytes must start with b'SBST'; they start with b'GGUF'"),
        (altered(4, struct.pack("<I", 2)), "version must be 3; it is 2"),
        (altered(8, bytes(32)), "state must belong to a model of this config; it belongs to another"),
        (altered(POSITION, struct.pack("<Q", 2**30 + 1)), "position must be from 0 to 1073741824; it is 1073741825"),
        (altered(POSITION, struct.pack("<Q", 3)), "numbers|nothing may follow the last group"),
        (altered(SINKS, struct.pack("<I", 1)), "learned sinks must be 0; it is 1"),
        (altered(KEPT, struct.pack("<I", 1)), "kept tokens must be 0; it is 1"),
        (altered(KV_TYPE, b"\7"), "type of keys and values must be 0 or 1; it is 7"),
        (altered(KV_TYPE, b"\1"), "bytes of a token must be 80; it is 192"),
        (altered(RECURRENT_TYPE, b"\2"), "type of the recurrent part must be 0 or 1; it is 2"),
        (altered(ZERO, b"\1"), "field of zeros must be 0; it is 1"),
        (altered(HEAD_BYTES, struct.pack("<Q", 9)), "bytes of the head must be 576; they are 9"),
        (altered(GROUPS, struct.pack("<I", 2)), "groups must be 1; it is 2"),
        (altered(FIXED.size, struct.pack("<I", 4)), "window of a group must be 5; it is 4"),
        (altered(HEADER_BYTES, struct.pack("<f", float("nan"))), "numbers from byte 144 on must be finite; one is not"),
        (save_state(state_after(SEVEN, 9), SEVEN) + b"x", "nothing may follow the last group; 1 bytes do"),
    ],
)
def test_what_is_no_state_of_this_model_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(StateError, match=message):
        load_state(data, SEVEN, FLOAT, CPU)


def test_a_far_position_takes_no_memory_before_it_is_refused() -> None:
    full = MODELS[3]
    data = save_state(state_after(full, 4), full)
    with pytest.raises(StateError, match=r"a part of \d+ bytes must follow byte \d+; \d+ do"):
        load_state(data[:POSITION] + struct.pack("<Q", 2**30) + data[POSITION + 8 :], full, FLOAT, CPU)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 51, 140, 160, -1])
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
