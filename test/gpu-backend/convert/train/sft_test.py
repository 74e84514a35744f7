"""Fine-tuning on answers: the loss is the reference model's, its gradient autograd's, and only what may differ from the teacher learns."""

import json
from pathlib import Path

import pytest
import torch
from spikingbrain.convert.blocks import steps
from spikingbrain.convert.student import STUDENT, Measures
from spikingbrain.convert.train.run import Run
from spikingbrain.convert.trunk import losses as minimised
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.losses import answer_positions, next_token_loss
from spikingbrain.convert.trunk.reader import TrunkReader, make_branches
from spikingbrain.convert.trunk.steps import sft_step
from support.convert_models import REACH, TEACHER, busy_branches, converted, text_of, trunk_of
from support.hybrid_forms import ALTERNATING, reference, tower_of
from support.hybrid_forms import converted as converted_hybrid
from torch import Tensor
from torch.nn.functional import cross_entropy

BEGIN = REACH.window + REACH.kept


def mask_of(tokens: int, *answers: tuple[int, int]) -> Tensor:
    mask = torch.zeros(tokens, dtype=torch.bool)
    for start, stop in answers:
        mask[start:stop] = True
    return mask


TEXT = text_of(120)
MASK = mask_of(120, (10, 20), (40, 55), (90, 120))


def expected_loss(logits: Tensor, begin: int) -> float:
    """By the definition, token by token."""
    losses = [-logits[at - 1].log_softmax(dim=-1)[TEXT[at]] for at in range(begin + 1, len(TEXT)) if MASK[at]]
    return float(torch.stack(losses).mean().detach())


def test_positions_are_those_before_answers() -> None:
    assert answer_positions(mask_of(10, (3, 5), (8, 10)), 0).tolist() == [2, 3, 7, 8]
    assert answer_positions(mask_of(10, (3, 5), (8, 10)), 3).tolist() == [3, 7, 8]
    # The first token is predicted by none.
    assert answer_positions(mask_of(10, (0, 2)), 0).tolist() == [0]


def test_the_loss_is_that_of_the_reference_model() -> None:
    trunk = trunk_of()
    variants = {"state": busy_branches(trunk), "control": busy_branches(trunk, stateless=True)}
    losses = sft_step(trunk, REACH, variants, TEXT, MASK)
    logits = converted(TEACHER, REACH, variants["state"]).logits(TEXT)
    assert losses["state"][0] == pytest.approx(expected_loss(logits, BEGIN), rel=1e-3)
    assert losses["control"][0] != pytest.approx(losses["state"][0], rel=1e-3)


def test_the_gradient_is_that_of_the_whole_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one graph over all positions, while the step goes back from a few at a time."""
    monkeypatch.setattr(minimised, "LOGIT_POSITIONS", 7)
    trunk = trunk_of()
    branches, other = busy_branches(trunk), busy_branches(trunk)
    sft_step(trunk, REACH, {"state": branches}, TEXT, MASK)
    student = TrunkReader(trunk, REACH, other)
    residual, _ = student.residual(TEXT, student.begin())
    chosen = answer_positions(MASK, BEGIN)
    cross_entropy(trunk.logits(residual[chosen]), TEXT[chosen + 1]).backward()  # type: ignore[no-untyped-call]
    for (name, one), two in zip(branches.named_parameters(), other.parameters(), strict=True):
        assert one.grad is not None and two.grad is not None and bool(two.grad.any()), name
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-6)


def test_what_is_no_answer_changes_nothing() -> None:
    trunk = trunk_of()
    first, second = busy_branches(trunk), busy_branches(trunk)
    early = mask_of(120, (0, BEGIN), (40, 55))
    losses = [sft_step(trunk, REACH, {"state": each}, TEXT, mask) for each, mask in ((first, mask_of(120, (40, 55))), (second, early))]
    assert losses[0] == losses[1]
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert one.grad is not None and two.grad is not None and torch.equal(one.grad, two.grad)
    residual = torch.randn(3, TEACHER.hidden)
    following = torch.tensor([1, 2, 3])
    whole, gradient = next_token_loss(trunk, residual, following)
    parts = [next_token_loss(trunk, residual[at : at + 1], following[at : at + 1]) for at in range(3)]
    assert whole == pytest.approx(sum(part for part, _ in parts) / 3)
    torch.testing.assert_close(gradient, torch.cat([part for _, part in parts]) / 3)


def test_a_tower_learns_the_same_way() -> None:
    tower = tower_of(TEACHER, ALTERNATING)
    losses = steps.sft_step(tower, TEXT, MASK, 0)
    logits = reference(converted_hybrid(TEACHER, ALTERNATING, tower)).logits(TEXT)
    assert list(losses) == [STUDENT]
    assert losses[STUDENT][0] == pytest.approx(expected_loss(logits, 0), rel=1e-3)
    assert all(parameter.grad is not None for parameter in tower.trained[STUDENT].parameters())
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in tower.ends.parameters())


def test_answers_are_learnt_and_nothing_of_the_trunk(tmp_path: Path) -> None:
    trunk = trunk_of()
    before = [tensor.clone() for layer in trunk.layers for tensor in vars(layer).values() if tensor is not None]
    variants: dict[str, Branches] = {name: make_branches(TEACHER, REACH, stateless=name == "control") for name in ("state", "control")}

    def learn(step: int, index: int) -> Measures:
        return sft_step(trunk, REACH, variants, TEXT, MASK)

    Run(tmp_path, variants, steps=25, sequences=1, rate_factor=1.0).go(learn, lambda line: None)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(lines[-1][name][0] < 0.9 * lines[0][name][0] for name in variants)
    after = [tensor for layer in trunk.layers for tensor in vars(layer).values() if tensor is not None]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
