"""Training: losses fall, a resumed run is the same run, and only what should be trained is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from spikingbrain.convert.data.batches import Drawn
from spikingbrain.convert.student import Measures
from spikingbrain.convert.train.distil import learnt_positions
from spikingbrain.convert.train.run import Run, load_branches
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reader import make_branches
from spikingbrain.convert.trunk.steps import distil_step, transfer_step
from spikingbrain.rules import ConfigError
from support.convert_models import REACH, TEACHER, text_of, trunk_of

Maker = Callable[[Trunk, dict[str, Branches]], Callable[[int, int], Measures]]


def transfers(trunk: Trunk, variants: dict[str, Branches]) -> Callable[[int, int], Measures]:
    return lambda step, index: transfer_step(trunk, REACH, variants, text_of(200, seed=index), range(3))


def distils(trunk: Trunk, variants: dict[str, Branches]) -> Callable[[int, int], Measures]:
    def distil(step: int, index: int) -> Measures:
        drawn = Drawn("document", text_of(200, seed=index))
        chosen = learnt_positions(drawn, REACH.window + REACH.kept, torch.Generator().manual_seed(0))
        return distil_step(trunk, REACH, variants, drawn.tokens, chosen)

    return distil


def variants_of(trunk: Trunk) -> dict[str, Branches]:
    return {name: make_branches(trunk.config, REACH, stateless=name == "control") for name in ("state", "control")}


def quiet(line: str) -> None:
    pass


def losses(folder: Path, name: str) -> list[float]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [sum(json.loads(line)[name]) for line in lines]


@pytest.mark.parametrize("maker", [transfers, distils])
def test_what_is_learnt_falls_and_the_state_beats_its_control(tmp_path: Path, maker: Maker) -> None:
    trunk = trunk_of()
    variants = variants_of(trunk)
    Run(tmp_path, variants, steps=40, sequences=1, rate_factor=1.0).go(maker(trunk, variants), quiet)
    state, control = losses(tmp_path, "state"), losses(tmp_path, "control")
    assert state[-1] < 0.9 * state[0]
    assert state[-1] < control[-1] < control[0]


@pytest.mark.parametrize("maker", [transfers, distils])
def test_a_resumed_run_is_the_run_that_was_not_stopped(tmp_path: Path, maker: Maker) -> None:
    trunk = trunk_of()

    def run(folder: str, stop_at: int | None) -> dict[str, Branches]:
        variants = variants_of(trunk)
        learn = maker(trunk, variants)

        def stopping(step: int, index: int) -> Measures:
            if step == stop_at:
                raise KeyboardInterrupt
            return learn(step, index)

        Run(tmp_path / folder, variants, steps=5, sequences=2, rate_factor=1.0, save_every=2).go(stopping, quiet)
        return variants

    whole = run("whole", None)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", 3)
    resumed = run("stopped", None)
    assert losses(tmp_path / "stopped", "state") == losses(tmp_path / "whole", "state")
    for name, branches in whole.items():
        for one, other in zip(branches.parameters(), resumed[name].parameters(), strict=True):
            assert torch.equal(one, other)
    loaded = variants_of(trunk)
    assert load_branches(tmp_path / "whole", loaded) == 5
    assert torch.equal(next(loaded["state"].parameters()), next(whole["state"].parameters()))


def test_every_parameter_of_a_branch_learns_and_nothing_of_the_trunk(tmp_path: Path) -> None:
    trunk = trunk_of()
    before = [tensor.clone() for layer in trunk.layers for tensor in vars(layer).values() if tensor is not None]
    variants = variants_of(trunk)
    start = {name: parameter.clone() for name, parameter in variants["state"].named_parameters()}
    Run(tmp_path, variants, steps=3, sequences=1, rate_factor=1.0).go(distils(trunk, variants), quiet)
    for name, parameter in variants["state"].named_parameters():
        assert not torch.equal(parameter, start[name]), name
    after = [tensor for layer in trunk.layers for tensor in vars(layer).values() if tensor is not None]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_the_decay_stays_within_its_half_life() -> None:
    branches = make_branches(TEACHER, REACH, stateless=False)
    state = next(iter(branches)).state
    assert state is not None
    with torch.no_grad():
        state.decay.copy_(torch.tensor([-100.0, 5.0]))
        half_lives = -torch.log(torch.tensor(2.0)) / state.log_decay()
    assert half_lives[0] == pytest.approx(4096.0)
    assert half_lives[1] < 1


def test_a_stage_that_has_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="transfer must be a stage that has run"):
        load_branches(tmp_path / "transfer", {})


def test_layers_may_be_learnt_apart() -> None:
    """A range of layers has the gradients and errors that it has among all of them, and no other layer has any."""
    trunk, text = trunk_of(), text_of(200)
    whole, apart = variants_of(trunk), variants_of(trunk)
    errors = transfer_step(trunk, REACH, whole, text, range(3))
    first = transfer_step(trunk, REACH, apart, text, range(0, 1))
    assert all(parameter.grad is None for branch in list(apart["state"])[1:] for parameter in branch.parameters())
    second = transfer_step(trunk, REACH, apart, text, range(1, 3))
    for name, values in errors.items():
        assert values == [one + other for one, other in zip(first[name], second[name], strict=True)]
    for name, branches in whole.items():
        for one, other in zip(branches.parameters(), apart[name].parameters(), strict=True):
            assert one.grad is not None and other.grad is not None
            assert torch.equal(one.grad, other.grad)
