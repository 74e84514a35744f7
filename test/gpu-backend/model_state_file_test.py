"""States as bytes."""

from dataclasses import replace

import pytest
import torch
from model_examples import MODELS, SEVEN, model_of, name_of, text_of
from safetensors.torch import load, save
from spikingbrain.config import Config, Spiking, SpikingMode
from spikingbrain.model.state import State
from spikingbrain.model.state_file import StateError, load_state, save_state

CPU = torch.device("cpu")


def state_after(config: Config, tokens: int) -> State:
    model = model_of(config)
    return model.new_state() if tokens == 0 else model.step(model.new_state(), text_of(config, tokens))[1]


@pytest.mark.parametrize("config", MODELS, ids=name_of)
@pytest.mark.parametrize("mode", ["off", "released"])
@pytest.mark.parametrize("tokens", [0, 2, 23])
def test_a_loaded_state_goes_on_bit_for_bit(config: Config, mode: SpikingMode, tokens: int) -> None:
    config = replace(config, spiking=Spiking(mode=mode))
    state = state_after(config, tokens)
    data = save_state(state, config)
    loaded = load_state(data, config, torch.float64, CPU)
    assert save_state(loaded, config) == data
    model, more = model_of(config), text_of(config, 7, seed=9)
    assert torch.equal(model.step(loaded, more)[0], model.step(state, more)[0])


def test_int8_keys_and_values_take_a_byte_each() -> None:
    tensors = load(
        save_state(state_after(replace(SEVEN, spiking=Spiking(mode="paper")), 23), replace(SEVEN, spiking=Spiking(mode="paper")))
    )
    assert tensors["layers.1.keys.codes"].dtype == torch.int8
    assert tensors["layers.1.keys.scales"].shape == (4, 2, 1)


def altered(name: str, tensor: torch.Tensor | None) -> bytes:
    tensors = load(save_state(state_after(SEVEN, 9), SEVEN))
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    return bytes(save(tensors))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("config", None, "state must belong to a model of this config; it belongs to another"),
        ("config", torch.zeros(32, dtype=torch.uint8), "state must belong to a model of this config; it belongs to another"),
        ("position", None, "position must be one int64; it is None"),
        ("position", torch.tensor([9.0]), "position must be one int64"),
        ("position", torch.tensor([-1]), "position must be from 0 to 2147483647; it is -1"),
        ("position", torch.tensor([2**31]), "position must be from 0 to 2147483647; it is 2147483648"),
        ("position", torch.tensor([3]), r"'layers.1.keys' must be torch.float64 \[3, 2, 6\]; it is torch.float64 \[4, 2, 6\]"),
        ("layers.0.linear", None, r"'layers.0.linear' must be torch.float64 \[2, 6, 6\]; it is absent"),
        ("layers.0.linear", torch.zeros(2, 6, 6), r"must be torch.float64 \[2, 6, 6\]; it is torch.float32 \[2, 6, 6\]"),
        ("layers.0.linear", torch.full((2, 6, 6), torch.nan).double(), "'layers.0.linear' must be finite; it is not"),
        ("layers.9.linear", torch.zeros(1), r"'layers.9.linear' must be absent; it is torch.float32 \[1\]"),
    ],
)
def test_what_is_no_state_of_this_model_is_refused_by_name(name: str, tensor: torch.Tensor | None, message: str) -> None:
    with pytest.raises(StateError, match=message):
        load_state(altered(name, tensor), SEVEN, torch.float64, CPU)


def test_a_far_position_takes_no_memory_before_it_is_refused() -> None:
    full = MODELS[3]
    tensors = load(save_state(state_after(full, 4), full))
    data = bytes(save({**tensors, "position": torch.tensor([2**31 - 1])}))
    with pytest.raises(StateError, match=r"'layers.0.keys' must be torch.float64 \[6, 2, 6\]"):
        load_state(data, full, torch.float64, CPU)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, -1])
def test_a_truncated_file_is_refused(cut: int) -> None:
    with pytest.raises(StateError, match="state must be a safetensors file"):
        load_state(save_state(state_after(SEVEN, 9), SEVEN)[:cut], SEVEN, torch.float64, CPU)


def test_another_model_of_the_same_sizes_is_another_model() -> None:
    data = save_state(state_after(SEVEN, 9), SEVEN)
    with pytest.raises(StateError, match="belongs to another"):
        load_state(data, replace(SEVEN, rope_theta=5.0), torch.float64, CPU)
    load_state(data, replace(SEVEN, name="renamed"), torch.float64, CPU)
