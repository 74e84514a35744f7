"""Weights that two processes share out by FSDP, over gloo: losses and checkpoints are those of one process that holds them all."""

import json
import re
from pathlib import Path

import pytest
import torch
from spikingbrain.convert.train.run import Run
from spikingbrain.convert.train.team import Team
from spikingbrain.rules import ConfigError
from support.processes import run_two
from support.shard_worker import STEPS, TESTED, work

WORKER = Path(__file__).parents[2] / "support/shard_worker.py"


def losses(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if "seconds" not in name} for line in lines]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The work of two processes, and what they printed."""
    folder = tmp_path_factory.mktemp("shared")
    return folder, run_two([str(WORKER), str(folder)])


def test_each_process_holds_its_half_of_the_weights(shared: tuple[Path, str]) -> None:
    """Frozen and trained ones, embedding and head."""
    shares = [(int(held), int(whole)) for held, whole in re.findall(r"holds (\d+) of (\d+)", shared[1])]
    assert len(shares) == 2
    assert sum(held for held, _ in shares) == shares[0][1]
    assert all(0.4 < held / whole < 0.6 for held, whole in shares)


@pytest.mark.parametrize("form", TESTED)
def test_two_processes_that_share_weights_have_the_losses_of_one(form: str, shared: tuple[Path, str], tmp_path: Path) -> None:
    """In the form that was stopped, also after each process has read its part of the checkpoint."""
    work(form, tmp_path, Team(), None)
    for stage, steps in STEPS.items():
        one, two = tmp_path / stage, shared[0] / form / stage
        assert len(losses(one)) == len(losses(two)) == steps
        for first, second in zip(losses(one), losses(two), strict=True):
            assert first.keys() == second.keys()
            for name, values in first.items():
                assert second[name] == pytest.approx(values, rel=2e-3), (stage, first["step"], name)
        saved, other = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (one, two))
        assert saved.keys() == other.keys()
        for name, trained in saved["branches"].items():
            for key, value in trained.items():
                torch.testing.assert_close(other["branches"][name][key], value, rtol=1e-2, atol=1e-3)


def test_processes_that_share_weights_must_have_as_many_sequences_each(tmp_path: Path) -> None:
    run = Run(tmp_path / "distil", {}, 1, 3, 1.0, team=Team(rank=0, size=2, shares_weights=True))
    with pytest.raises(ConfigError, match=r"distil\.sequences must be a multiple of 2 processes that share weights; it is 3"):
        run.go(lambda step, index: {}, lambda line: None)
