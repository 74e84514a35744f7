"""What all stages of a conversion share: its settings, its processes, the teacher, and what training has left so far."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikingbrain.checkpoint.opening import find_tokenizer, open_checkpoint
from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.convert.blocks.evicted import EvictedStudent, evicted_tower
from spikingbrain.convert.data.answers import open_answers, write_answers
from spikingbrain.convert.data.batches import Mix
from spikingbrain.convert.data.chat_template import ChatTemplate, Message
from spikingbrain.convert.data.corpus import open_corpus
from spikingbrain.convert.data.vocabulary import runnable
from spikingbrain.convert.hybrid.student import HybridStudent, hybrid_tower
from spikingbrain.convert.settings import Settings, Shares, Supervised, Training
from spikingbrain.convert.student import Student
from spikingbrain.convert.train.run import Learn, Run, load_branches
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.frozen import Trunk, read_trunk
from spikingbrain.convert.trunk.student import TrunkStudent
from spikingbrain.rules import ConfigError

Report = Callable[[str], None]


class Work:
    def __init__(self, settings: Settings, team: Team, report: Report) -> None:
        self.settings = settings
        self.team = team
        self.report = report if team.leads else _silent
        self.folder = settings.work
        self.folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def source(self) -> WeightSource:
        return open_checkpoint(self.settings.teacher)

    @cached_property
    def trunk(self) -> Trunk:
        return read_trunk(self.source)

    @cached_property
    def opening(self) -> str:
        """What the teacher's chats begin with, before the first question."""
        table = find_tokenizer(self.settings.teacher, self.source)
        return "" if table is None or table.chat_template is None else ChatTemplate(table).opening()

    def mix(self, shares: Shares, stage: int) -> Mix:
        """The training text; `stage` is a number of its own for each one that draws from it."""
        chat_share = shares.chat_share
        chats: npt.NDArray[np.uint32] = np.zeros((0, 0), np.uint32)
        if chat_share > 0:
            path = self.folder / "chat-train.npy"
            if not path.is_file():
                raise ConfigError("chat_share", "0 where there are no chats", chat_share)
            chats = np.load(path)
        copies = None
        if shares.copies_share > 0:
            if not (self.folder / "copies.json").is_file():
                raise ConfigError("copies_share", "0 where there are no conversations", shares.copies_share)
            copies = open_answers(self.folder / "copies")
        return Mix(open_corpus(self.folder / "train"), chats, chat_share, self.settings.seed * 3 + stage, copies, shares.copies_share)

    def write_answers(self, name: str, conversations: Iterable[tuple[str, Sequence[Message]]]) -> None:
        """Conversations, each with where it is from, as tokens in files of that name."""
        table = find_tokenizer(self.settings.teacher, self.source)
        if table is None:
            raise ConfigError("teacher", "a checkpoint with a tokenizer", str(self.settings.teacher))
        answers = write_answers(self.folder / name, conversations, ChatTemplate(table), runnable(table))
        counts = f"{len(answers.starts) - 1} conversations, {len(answers.tokens)} tokens, {int(answers.mask.sum())} of answers"
        self.report(f"{name}: {counts}")

    def student(self) -> Student:
        """What training is of, untrained yet, as the processes share it."""
        return self._student(self.team)

    def trained_student(self) -> Student:
        """As the last training stage that has any steps left it, whole in every process; untrained, with what needs no training."""
        student = self._student(replace(self.team, shares_weights=False))
        if self.settings.is_trained:
            load_branches(self.folder / self._last_stage, student.trained)
        else:
            assert isinstance(student, TrunkStudent)
            student.leave_untrained()
        return student

    def trained_branches(self) -> Mapping[str, Branches]:
        """Those of `trained_student`, for stages of the evicted form only."""
        student = self.trained_student()
        assert isinstance(student, TrunkStudent)
        return student.trained

    def train(self, stage: str, training: Training | Supervised, student: Student, learn: Learn, by_layers: bool = False) -> None:
        """Takes the steps of a training stage that were not taken yet."""
        folder, counts = self.folder / stage, (training.steps, training.sequences)
        run = Run(folder, student.trained, *counts, training.rate_factor, by_layers, rate_of=student.rate, team=self.team)
        with self.team.device:
            run.go(learn, self.report)

    @property
    def stage_before_sft(self) -> str:
        return "distil" if self.settings.distil.steps > 0 else "transfer"

    @property
    def _last_stage(self) -> str:
        return "sft" if self.settings.sft.steps > 0 else self.stage_before_sft

    def _student(self, team: Team) -> Student:
        settings = self.settings
        if settings.hybrid is not None:
            return HybridStudent(hybrid_tower(self.source, settings.hybrid, settings.seed, team), team, settings.hybrid)
        if team.shares_weights:
            return EvictedStudent(evicted_tower(self.source, settings.reach, self._fitted_salience(), team), team, settings.reach)
        return TrunkStudent(self.trunk, settings.reach, self._fitted_salience())

    def _fitted_salience(self) -> Tensor:
        path = self.folder / "salience.pt"
        if not path.is_file():
            raise ConfigError("salience", "a stage that has run", str(path))
        fitted: Tensor = torch.load(path, weights_only=True)
        return fitted


def _silent(line: str) -> None:
    """For all processes but the first."""
