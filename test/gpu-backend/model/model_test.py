"""The whole model against an oracle that shares no arithmetic with it, and its states as values."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from spikingbrain.config import Config, Layer, Spiking, SpikingMode
from spikingbrain.model.evicted.naive import naive as evicted_naive
from spikingbrain.model.gated_linear.naive import naive
from spikingbrain.model.gated_linear.parallel import parallel
from spikingbrain.model.span import LinearForm
from spikingbrain.rules import ConfigError
from spikingbrain.spike.telemetry import SpikeMeter
from support.model_examples import MODELS, SEVEN, SEVENTY_SIX, model_of, name_of, oracle_of, text_of

TOKENS = 37


@pytest.mark.parametrize("config", MODELS, ids=name_of)
@pytest.mark.parametrize("mode", ["off", "paper", "released"])
def test_logits_are_the_oracles(config: Config, mode: SpikingMode) -> None:
    config = replace(config, spiking=Spiking(mode=mode, k=2.5, site_k=(("query", 4.5), ("attention_out", 1.5))))
    text = text_of(config, TOKENS)
    expected = oracle_of(config).logits(np.asarray(text))
    np.testing.assert_allclose(np.asarray(model_of(config).logits(text)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("config", MODELS, ids=name_of)
@pytest.mark.parametrize("form", [naive, parallel])
def test_every_form_gives_the_same_logits(config: Config, form: LinearForm) -> None:
    text = text_of(config, TOKENS)
    one = model_of(config, form=form, evicted_form=evicted_naive).logits(text)
    torch.testing.assert_close(one, model_of(config).logits(text), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("config", MODELS, ids=name_of)
@pytest.mark.parametrize("steps", [[1] * 9 + [28], [36, 1], [2, 33, 2]], ids=str)
def test_a_prompt_may_be_read_in_steps_of_any_size(config: Config, steps: list[int]) -> None:
    model, text = model_of(config), text_of(config, TOKENS)
    expected, expected_state = model.step(model.new_state(), text)
    state, found, first = model.new_state(), [], 0
    for step in steps:
        logits, state = model.step(state, text[first : first + step])
        found.append(logits)
        first += step
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-9, atol=1e-9)
    assert state.position == expected_state.position == TOKENS + config.learned_sinks
    for one, other in zip(state.layers, expected_state.layers, strict=True):
        torch.testing.assert_close(one.linear, other.linear, rtol=1e-9, atol=1e-9)
        if one.evicted is not None and other.evicted is not None:
            torch.testing.assert_close(one.evicted.sums, other.evicted.sums, rtol=1e-9, atol=1e-9)
            assert torch.equal(one.evicted.salient.positions, other.evicted.salient.positions)
            torch.testing.assert_close(
                one.evicted.salient.dense(torch.float64), other.evicted.salient.dense(torch.float64), rtol=1e-9, atol=1e-9
            )
        if one.key_values is not None and other.key_values is not None:
            assert torch.equal(one.key_values.positions, other.key_values.positions)
            torch.testing.assert_close(one.key_values.dense(torch.float64), other.key_values.dense(torch.float64), rtol=1e-9, atol=1e-9)


def test_a_text_longer_than_a_span() -> None:
    config = replace(SEVEN, layers=SEVEN.layers[:2])
    text = text_of(config, 300)
    expected = oracle_of(config).logits(np.asarray(text))
    np.testing.assert_allclose(np.asarray(model_of(config).logits(text)), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("config", [SEVEN, SEVENTY_SIX], ids=name_of)
def test_a_fork_is_the_old_value_kept(config: Config) -> None:
    model, text = model_of(config), text_of(config, 20)
    _, common = model.step(model.new_state(), text[:11])
    expected, _ = model.step(common, text[11:])
    model.step(common, text_of(config, 9, seed=5))
    again, _ = model.step(common, text[11:])
    assert torch.equal(again, expected)


def test_a_state_has_a_constant_size() -> None:
    model = model_of(SEVEN)
    _, state = model.step(model.new_state(), text_of(SEVEN, 50))
    held = [layer.key_values.positions.tolist() for layer in state.layers if layer.key_values is not None]
    assert held == [[46, 47, 48, 49]] * 2
    assert [layer.linear.shape for layer in state.layers if layer.linear is not None] == [(2, 6, 6)] * 2


@pytest.mark.parametrize("config", [SEVEN, SEVENTY_SIX], ids=name_of)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.06)])
def test_lower_precision_is_near(config: Config, dtype: torch.dtype, tolerance: float) -> None:
    # A route that flips is no rounding error.
    config = replace(config, layers=tuple(Layer(mixer=layer.mixer) for layer in config.layers), experts=None)
    text = text_of(config, TOKENS)
    expected = model_of(config).logits(text)
    found = model_of(config, dtype).logits(text)
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) < tolerance


def test_spikes_change_the_result_and_let_gradients_through() -> None:
    text = text_of(SEVEN, 8)
    spiking = model_of(replace(SEVEN, spiking=Spiking(mode="paper")))
    assert not torch.allclose(spiking.logits(text), model_of(SEVEN).logits(text), rtol=1e-2)
    embedding = spiking.weights.embedding.requires_grad_()
    (gradient,) = torch.autograd.grad(spiking.logits(text).square().sum(), embedding)
    assert bool(gradient[text].ne(0).any(dim=1).all())
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("tokens", [torch.zeros(0, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.int64), torch.zeros(2)])
def test_tokens_are_whole_numbers_in_one_dimension(tokens: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="tokens must be at least one token in one dimension"):
        model_of(SEVEN).logits(tokens)


@pytest.mark.parametrize("token", [-1, 40])
def test_unknown_tokens_are_named(token: int) -> None:
    with pytest.raises(ConfigError, match=rf"tokens must be from 0 to 39; it is \[{token}\]"):
        model_of(SEVEN).logits(torch.tensor([3, token]))


@pytest.mark.parametrize("config", [SEVEN, SEVENTY_SIX], ids=name_of)
def test_every_tensor_is_made_where_the_weights_are(config: Config) -> None:
    model, text = model_of(replace(config, spiking=Spiking(mode="paper"))), text_of(config, 9)
    meter = SpikeMeter()
    # Whatever is made on the default device instead cannot meet the weights.
    with torch.device("meta"):
        logits = model.logits(text, meter)
    assert torch.equal(logits, model.logits(text))
