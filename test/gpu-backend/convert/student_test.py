"""Every form through the one interface that the stages of a conversion see."""

from collections.abc import Callable

import pytest
import torch
from spikingbrain.convert.blocks.evicted import EvictedStudent, evicted_tower
from spikingbrain.convert.export.result import ConvertedSource
from spikingbrain.convert.hybrid.student import HybridStudent, hybrid_tower
from spikingbrain.convert.student import CONTROL, STATE, STUDENT, WINDOW, Student
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.student import TrunkStudent
from support.convert_models import REACH, TEACHER, TensorSource, text_of, trunk_of
from support.hybrid_forms import ALTERNATING, PARALLEL, SEED

SALIENCE = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(3)) * 0.3
TOKENS = text_of(200)
CHOSEN = torch.arange(REACH.window + REACH.kept, 150, 3)


def on_trunk() -> Student:
    return TrunkStudent(trunk_of(), REACH, SALIENCE)


def in_tower() -> Student:
    return EvictedStudent(evicted_tower(TensorSource(TEACHER), REACH, SALIENCE, Team(), torch.float32), Team(), REACH)


def hybrid(form: str) -> Student:
    chosen = {"alternating": ALTERNATING, "parallel": PARALLEL}[form]
    return HybridStudent(hybrid_tower(TensorSource(TEACHER), chosen, SEED, Team(), torch.float32), Team(), chosen)


FORMS: dict[str, Callable[[], Student]] = {
    "evicted": on_trunk,
    "evicted in a tower": in_tower,
    "alternating": lambda: hybrid("alternating"),
    "parallel": lambda: hybrid("parallel"),
}


def learn(student: Student) -> list[dict[str, list[float]]]:
    """A step of every training stage, in the order of the pipeline."""
    student.start(TOKENS)
    measured = [student.transfer_step(TOKENS, range(3))]
    student.after_transfer()
    return [*measured, student.distil_step(TOKENS, CHOSEN), student.sft_step(TOKENS, TOKENS % 3 > 0)]


@pytest.mark.parametrize("form", FORMS)
def test_every_stage_teaches_every_variant(form: str) -> None:
    student = FORMS[form]()
    transfer, *others = learn(student)
    trained = {STATE, CONTROL} if student.is_delta else {STUDENT}
    assert set(student.trained) == trained
    assert set(transfer) - {WINDOW} == trained and all(len(errors) == 3 for errors in transfer.values())
    assert all(set(measured) == trained for measured in others)
    for mixers in student.trained.values():
        assert all(parameter.grad is not None and student.rate(name, parameter) > 0 for name, parameter in mixers.named_parameters())


@pytest.mark.parametrize("form", FORMS)
def test_what_comes_of_it_is_a_whole_model(form: str) -> None:
    """Beside the teacher's tensors, or with some of them in its place."""
    student, teacher = FORMS[form](), TensorSource(TEACHER)
    source = ConvertedSource(teacher, student.config("tiny"), student.tensors())
    assert source.config.name == "tiny" and source.config.layers != TEACHER.layers
    assert student.tensors().keys() <= {name.name for name in source.names}
    assert student.is_delta == student.tensors().keys().isdisjoint(teacher.tensors)


@pytest.mark.parametrize("form", ["evicted", "alternating", "parallel"])
def test_variants_are_measured_beside_the_bare_windows(form: str) -> None:
    student = FORMS[form]()
    with torch.no_grad():
        for parameter in (parameter for mixers in student.trained.values() for parameter in mixers.parameters()):
            parameter.add_(0.1)
    readers = student.readers()
    assert set(readers) == {*student.trained, WINDOW}
    with torch.no_grad():
        read = {name: torch.cat([part for _, part in reader.long(TOKENS, 128)]) for name, reader in readers.items()}
    assert all(residual.shape == (200, TEACHER.hidden) for residual in read.values())
    assert all(not torch.equal(read[name], read[WINDOW]) for name in student.trained)


def test_a_tower_learns_as_the_trunk_does() -> None:
    for one, other in zip(learn(on_trunk()), learn(in_tower()), strict=True):
        for name in (STATE, CONTROL):
            assert other[name] == pytest.approx(one[name], rel=2e-3)
