"""A training run on disk: what is trained, optimisers and the next step, so that a run that was stopped goes on where it was."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from spikingbrain.convert.student import Measures
from spikingbrain.convert.train.optimiser import clip, make_optimiser, schedule
from spikingbrain.convert.train.parts_of import load_module, load_optimiser, whole
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.rates import branch_rate
from spikingbrain.rules import ConfigError, require

Learn = Callable[[int, int], Measures]
"""Takes a step's number and the index of one of its sequences, adds their gradients to the branches', and says what it measured."""


@dataclass(frozen=True)
class Run:
    folder: Path
    """Holds `checkpoint.pt` and `log.jsonl`, a line a step."""
    variants: Mapping[str, nn.ModuleList]
    """By name, an entry a layer: `Branches`, or mixers of another form."""
    steps: int
    sequences: int
    """Of one step, whichever process reads them; gradients are their mean."""
    rate_factor: float
    by_layers: bool = False
    """Whether processes share out the layers and all read every sequence, which `learn` sees to; else they share the sequences."""
    save_every: int = 5
    rate_of: Callable[[str, Tensor], float] = branch_rate
    team: Team = field(default_factory=Team)

    def go(self, learn: Learn, report: Callable[[str], None]) -> None:
        """Takes all steps that were not taken yet."""
        whole_rounds = not self.team.shares_weights or self.sequences % self.team.size == 0
        require(
            whole_rounds, f"{self.folder.name}.sequences", f"a multiple of {self.team.size} processes that share weights", self.sequences
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        optimisers = {name: make_optimiser(branches, self.rate_factor, self.rate_of) for name, branches in self.variants.items()}
        for number in range(self._resume(optimisers), self.steps):
            started, worked = time.monotonic(), time.process_time()
            measured = self._step(number, learn, optimisers)
            entry = {"step": number, "seconds": round(time.monotonic() - started, 1), "cpu_seconds": round(time.process_time() - worked, 1)}
            report(
                f"step {number + 1} of {self.steps}: " + ", ".join(f"{name} {sum(part) / len(part):.4f}" for name, part in measured.items())
            )
            if self.team.leads:
                with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(entry | measured) + "\n")
            if (number + 1) % self.save_every == 0 or number + 1 == self.steps:
                self._save(optimisers, number + 1)
        self.team.wait()

    def _step(self, number: int, learn: Learn, optimisers: Mapping[str, torch.optim.Optimizer]) -> Measures:
        measured = [learn(number, index) for index in (range(self.sequences) if self.by_layers else self.team.share(self.sequences))]
        sums = {name: [sum(values) for values in zip(*(one[name] for one in measured), strict=True)] for name in measured[0]}
        for name, branches in self.variants.items():
            self.team.sum_gradients(branches.parameters())
            for branch in branches:
                for parameter in branch.parameters():
                    if parameter.grad is not None:
                        parameter.grad /= self.sequences
                clip(branch.parameters())
            schedule(optimisers[name], number, self.steps)
            optimisers[name].step()
            optimisers[name].zero_grad()
        return {name: [value / self.sequences for value in self.team.sum_numbers(values)] for name, values in sums.items()}

    def _resume(self, optimisers: Mapping[str, torch.optim.Optimizer]) -> int:
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return 0
        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name, branches in self.variants.items():
            load_module(branches, saved["branches"][name])
            load_optimiser(optimisers[name], saved["optimisers"][name])
        done = int(saved["done"])
        if self.team.leads:
            log = self.folder / "log.jsonl"
            # Steps after the checkpoint are taken again, and logged again.
            kept = [line for line in log.read_text(encoding="utf-8").splitlines() if json.loads(line)["step"] < done]
            log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        return done

    def _save(self, optimisers: Mapping[str, torch.optim.Optimizer], done: int) -> None:
        content = {
            "done": done,
            "branches": {name: whole(branches.state_dict()) for name, branches in self.variants.items()},
            "optimisers": {name: whole(optimiser.state_dict()) for name, optimiser in optimisers.items()},
        }
        if not self.team.leads:
            return
        temporary = self.folder / "checkpoint.pt.partial"
        torch.save(content, temporary)
        os.replace(temporary, self.folder / "checkpoint.pt")


def is_begun(folder: Path) -> bool:
    """Whether a run has left a checkpoint, from which it would go on."""
    return (folder / "checkpoint.pt").is_file()


def load_branches(folder: Path, variants: Mapping[str, nn.ModuleList]) -> int:
    """Fills what a run trained from its last checkpoint and returns how many steps it had taken."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        raise ConfigError(folder.name, "a stage that has run", str(path))
    saved = torch.load(path, map_location="cpu", weights_only=True)
    for name, branches in variants.items():
        load_module(branches, saved["branches"][name])
    return int(saved["done"])
