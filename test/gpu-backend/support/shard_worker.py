"""What `convert/train/shard_test.py` starts in two processes: short runs of tiny conversions, each process with a part of the weights.

`python shard_worker.py FOLDER` takes the steps of all training stages in each form; one form is stopped on its way and goes on.
"""

import contextlib
import sys
from pathlib import Path

import torch
from spikingbrain.convert.blocks.evicted import EvictedStudent, evicted_tower
from spikingbrain.convert.blocks.student import TowerStudent
from spikingbrain.convert.blocks.tower import Tower
from spikingbrain.convert.hybrid.student import HybridStudent, hybrid_tower
from spikingbrain.convert.student import Measures
from spikingbrain.convert.train.distil import some_positions
from spikingbrain.convert.train.run import Learn, Run
from spikingbrain.convert.train.team import Team
from support.convert_models import REACH, TEACHER, TensorSource, text_of
from support.hybrid_forms import FORMS, SEED
from torch.distributed.tensor import DTensor

TESTED = ("evicted", "the 7B's", "the 76B's with separate projections")
STEPS = {"transfer": 2, "distil": 4, "sft": 1}
STOPPED_FORM, STOPPED_STEP = "the 7B's", 3


class StoppedError(Exception):
    """In the middle of a run."""


def made(form: str, team: Team) -> TowerStudent:
    if form == "evicted":
        salience = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(3)) * 0.3
        return EvictedStudent(evicted_tower(TensorSource(TEACHER), REACH, salience, team, torch.float32), team, REACH)
    teacher, hybrid = FORMS[form]
    return HybridStudent(hybrid_tower(TensorSource(teacher), hybrid, SEED, team, torch.float32), team, hybrid)


def work(form: str, folder: Path, team: Team, stop: int | None) -> Tower:
    student = made(form, team)

    def stopping(learn: Learn) -> Learn:
        def learning(step: int, index: int) -> Measures:
            if step == stop:
                raise StoppedError
            return learn(step, index)

        return learning

    def text(step: int, index: int) -> torch.Tensor:
        """Of a length of its own, so that processes have unlike work."""
        return text_of(100 + 60 * index, seed=2 * step + index)

    def transfer(step: int, index: int) -> Measures:
        return student.transfer_step(text(step, index), range(3))

    def distil(step: int, index: int) -> Measures:
        tokens = text(step, index)
        return student.distil_step(tokens, some_positions(tokens.shape[0], student.begin, torch.Generator().manual_seed(step)))

    def sft(step: int, index: int) -> Measures:
        tokens = text(step, index)
        return student.sft_step(tokens, tokens % 3 > 0)

    for name, learn in (("transfer", transfer), ("distil", distil), ("sft", sft)):
        run = Run(folder / name, student.trained, STEPS[name], 2, 1.0, save_every=2, rate_of=student.rate, team=team)
        run.go(stopping(learn) if name == "distil" else learn, lambda line: None)
    return student.tower


def in_parts(folder: Path, team: Team) -> None:
    """All forms, and one line that says how much of the weights this process held."""
    shared: list[torch.Tensor] = []
    for form in TESTED:
        if form == STOPPED_FORM:
            with contextlib.suppress(StoppedError):
                work(form, folder / form, team, STOPPED_STEP)
        tower = work(form, folder / form, team, None)
        shared += [value for module in (*tower.blocks, tower.ends) for value in module.parameters()]
    assert all(isinstance(value, DTensor) for value in shared)
    held = sum(value.to_local().numel() for value in shared if isinstance(value, DTensor))
    print(f"process {team.rank} holds {held} of {sum(value.numel() for value in shared)}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    in_parts(Path(sys.argv[1]), Team.join(shares_weights=True))
    torch.distributed.destroy_process_group()
