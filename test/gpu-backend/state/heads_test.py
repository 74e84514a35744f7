"""A file's KV heads apart and together again."""

import numpy as np
import pytest
import torch
from spikingbrain.config import Config
from spikingbrain.state.file import Digests, StateError, load_state, save_state
from spikingbrain.state.heads import heads_config, put_heads, read_shape, take_heads
from spikingbrain.state.key_values import to_dense
from support.model_examples import MODELS, SEVEN, model_of, name_of, text_of

CPU = torch.device("cpu")
FLOAT = torch.float32


def file_after(config: Config, tokens: int, *, is_rounded: bool = False) -> bytes:
    model = model_of(config, FLOAT)
    return save_state(model.step(model.new_state(), text_of(config, tokens))[1], config, int8_rows=is_rounded, bf16_recurrent=is_rounded)


@pytest.mark.parametrize("config", MODELS, ids=name_of)
@pytest.mark.parametrize("tokens", [1, 45])
@pytest.mark.parametrize("is_rounded", [False, True])
def test_parts_of_all_heads_make_the_file_again(config: Config, tokens: int, is_rounded: bool) -> None:
    data = np.frombuffer(file_after(config, tokens, is_rounded=is_rounded), dtype=np.uint8)
    shape = read_shape(data, config, Digests())
    whole = np.zeros(len(data), dtype=np.uint8)
    whole[: shape.front_bytes] = np.frombuffer(shape.header(Digests()), dtype=np.uint8)
    for head in reversed(range(config.kv_heads)):
        put_heads(whole, shape, take_heads(data, shape, range(head, head + 1)), range(head, head + 1))
    assert whole.tobytes() == data.tobytes()


@pytest.mark.parametrize("config", MODELS, ids=name_of)
def test_a_part_is_the_state_of_its_heads(config: Config) -> None:
    data = file_after(config, 45)
    whole, heads = load_state(data, config, FLOAT, CPU), range(config.kv_heads - 1, config.kv_heads)
    array = np.frombuffer(data, dtype=np.uint8)
    part = load_state(take_heads(array, read_shape(array, config, Digests()), heads), heads_config(config, heads), FLOAT, CPU)
    for layer, of_heads in zip(whole.layers, part.layers, strict=True):
        if layer.linear is not None and of_heads.linear is not None:
            assert torch.equal(of_heads.linear, layer.linear[heads.start :])
        if layer.key_values is not None and of_heads.key_values is not None:
            assert torch.equal(to_dense(of_heads.key_values.keys, FLOAT), to_dense(layer.key_values.keys, FLOAT)[:, heads.start :])
        if layer.evicted is not None and of_heads.evicted is not None:
            assert torch.equal(of_heads.evicted.salient.positions, layer.evicted.salient.positions[:, heads.start :])


def test_a_file_of_another_length_is_refused() -> None:
    data = file_after(SEVEN, 9)
    for wrong in (b"", data[:135], data[:143], data[:-1], data + b"\0"):
        with pytest.raises(StateError, match="must"):
            read_shape(np.frombuffer(wrong, dtype=np.uint8), SEVEN, Digests())


def test_a_part_of_other_heads_is_refused() -> None:
    data = np.frombuffer(file_after(SEVEN, 9), dtype=np.uint8)
    shape = read_shape(data, SEVEN, Digests())
    with pytest.raises(StateError, match="the part of KV heads 0 to 1 must have"):
        put_heads(data.copy(), shape, take_heads(data, shape, range(1)), range(2))
