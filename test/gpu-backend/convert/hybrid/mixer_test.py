"""The alternating and the parallel form: the training path against the reference model, training, and the exported file."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.config import Layer
from spikingbrain.convert.blocks.steps import distil_step, set_loudness, transfer_step
from spikingbrain.convert.export.result import ConvertedSource
from spikingbrain.convert.hybrid.form import Alternating, Parallel, hybrid_config
from spikingbrain.convert.hybrid.rates import NEW_MATRIX_RATE, PROJECTION_RATE, VECTOR_RATE, mixer_rate
from spikingbrain.convert.student import STUDENT, WINDOW, Measures
from spikingbrain.convert.train.distil import some_positions
from spikingbrain.convert.train.run import Run
from spikingbrain.convert.trunk.key_sets import KeySet, attend, attend_plainly
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.rules import ConfigError
from support.convert_models import TEACHER, TensorSource, text_of
from support.hybrid_forms import ALTERNATING, FORMS, PARALLEL, converted, reference, tower_of


@pytest.mark.parametrize("form", FORMS)
def test_the_students_logits_are_the_reference_models(form: str) -> None:
    teacher, hybrid = FORMS[form]
    tower, text = tower_of(teacher, hybrid), text_of(300)
    with torch.no_grad(), tower.opened() as trunk:
        logits = trunk.logits(tower.residual(text, STUDENT))
        windows = trunk.logits(tower.residual(text, WINDOW))
        expected = reference(converted(teacher, hybrid, tower)).logits(text)
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=2e-3)
    assert (windows - expected).abs().max() > 0.1


def test_forms_are_the_papers() -> None:
    ten = replace(TEACHER, layers=(Layer(mixer=("full",)),) * 14)
    names = [layer.mixer_name for layer in hybrid_config(ten, Alternating(), "").layers]
    assert names == ["linear", "window"] * 7
    names = [layer.mixer_name for layer in hybrid_config(ten, Parallel(), "").layers]
    assert names == (["linear+window"] * 6 + ["linear+full"]) * 2


def test_windows_that_are_not_trained_are_the_teachers_until_something_leaves_them() -> None:
    tower, text = tower_of(TEACHER, ALTERNATING), text_of(60)
    with torch.no_grad():
        wanted, found = tower.teacher_residual(text), tower.residual(text, WINDOW)
    torch.testing.assert_close(found[:27], wanted[:27], rtol=1e-4, atol=1e-4)
    assert (found[27:] - wanted[27:]).abs().max() > 0.01


@pytest.mark.parametrize("form", ["the 7B's", "the 7B's beside frozen windows", "the 76B's with separate projections"])
def test_what_is_learnt_falls_and_only_mixers_learn(form: str, tmp_path: Path) -> None:
    teacher, hybrid = FORMS[form]
    tower, text = tower_of(teacher, hybrid, busy=False), text_of(200)
    frozen = {name: value.clone() for block in tower.blocks for name, value in block.named_parameters() if not value.requires_grad}
    start = {name: value.clone() for name, value in tower.variants[STUDENT].named_parameters()}

    def transfer(step: int, index: int) -> Measures:
        return transfer_step(tower, text, range(3), 0)

    def distil(step: int, index: int) -> Measures:
        return distil_step(tower, text, some_positions(text.shape[0], 0, torch.Generator().manual_seed(0)))

    lines: list[str] = []
    for name, learn in (("transfer", transfer), ("distil", distil)):
        before = learn(0, 0)[STUDENT]
        for parameter in tower.variants[STUDENT].parameters():
            parameter.grad = None
        Run(tmp_path / name, tower.trained, steps=15, sequences=1, rate_factor=5.0, rate_of=mixer_rate).go(learn, lines.append)
        after = learn(0, 0)[STUDENT]
        assert sum(after) < 0.95 * sum(before), name
    assert list(tower.trained) == [STUDENT]
    for name, value in tower.variants[STUDENT].named_parameters():
        assert not torch.equal(value, start[name]), name
    for block in tower.blocks[-1:]:
        assert all(torch.equal(value, frozen[name]) for name, value in block.named_parameters() if not value.requires_grad)


@pytest.mark.parametrize("form", ["the 7B's", "the 76B's", "the 76B's with separate projections"])
def test_loudness_is_set_to_what_is_nearest_to_the_teacher(form: str) -> None:
    tower, text = tower_of(*FORMS[form], busy=False), text_of(200)

    def errors() -> list[float]:
        return transfer_step(tower, text, range(3), 0)[STUDENT]

    untouched, norms = errors(), [value for name, value in tower.variants[STUDENT].named_parameters() if "norm" in name]
    set_loudness(tower, text)
    best = errors()
    assert sum(best) < sum(untouched)
    for factor in (0.9, 1.1):
        with torch.no_grad():
            for norm in norms:
                norm.mul_(factor)
        assert all(other >= one - 1e-5 for one, other in zip(best, errors(), strict=True))
        with torch.no_grad():
            for norm in norms:
                norm.div_(factor)


def test_layers_may_be_learnt_apart() -> None:
    text = text_of(100)
    whole, apart = tower_of(TEACHER, PARALLEL), tower_of(TEACHER, PARALLEL)
    errors = transfer_step(whole, text, range(3), 0)
    first, second = transfer_step(apart, text, range(1), 0), transfer_step(apart, text, range(1, 3), 0)
    assert errors[STUDENT] == [one + two for one, two in zip(first[STUDENT], second[STUDENT], strict=True)]
    for one, two in zip(whole.variants[STUDENT].parameters(), apart.variants[STUDENT].parameters(), strict=True):
        assert one.grad is not None and two.grad is not None
        assert torch.equal(one.grad, two.grad)


# The engine that reads a GGUF has neither RoPE in linear branches nor norms by the head in parallel ones.
@pytest.mark.parametrize("form", ["the 7B's", "the 7B's beside frozen windows", "the 76B's", "the 76B's with separate projections"])
def test_the_exported_file_is_the_model(form: str, tmp_path: Path) -> None:
    teacher, hybrid = FORMS[form]
    source = converted(teacher, hybrid, tower_of(teacher, hybrid))
    write_gguf(source, tmp_path / "tiny.gguf", "f32")
    found = GgufFile(tmp_path / "tiny.gguf")
    assert found.config.layers == source.config.layers
    assert found.config.linear == source.config.linear
    assert found.names and {name.name for name in found.names} == {name.name for name in source.names}
    for name in found.names:
        assert torch.equal(read_tensor(found, name), read_tensor(source, name)), name.name


def test_a_source_without_what_its_config_needs_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tensor 'model\.layers\.0\.attn\.g_norm\.weight' must be of shape \(8,\); it is None"):
        ConvertedSource(TensorSource(TEACHER), hybrid_config(TEACHER, ALTERNATING, "tiny"), {})


def test_rates_are_by_what_a_parameter_is() -> None:
    rates = {name: mixer_rate(name, value) for name, value in tower_of(TEACHER, ALTERNATING).variants[STUDENT].named_parameters()}
    assert rates["0.q_proj.weight"] == PROJECTION_RATE
    assert rates["0.gk_proj.0.weight"] == rates["0.gk_proj.1.weight"] == NEW_MATRIX_RATE
    assert rates["0.gk_proj.1.bias"] == rates["0.g_norm.weight"] == VECTOR_RATE


def test_windows_on_any_device_are_those_of_the_cpus_kernel() -> None:
    query, key, value = (torch.randn(2, 3, 5, 8) for _ in range(3))
    keys = KeySet(query, key, value, torch.zeros(1, 1, 5, 5).masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf")))
    for one, two in zip(attend(keys), attend_plainly(keys), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
