"""A training run on disk: branches, optimisers and the next step, so that a run that was stopped goes on where it was."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spikingbrain.convert.optimiser import make_optimiser, schedule

Step = Callable[[int], Mapping[str, Any]]
"""Takes a step's number, leaves gradients in the branches, and returns what the log says of it."""


@dataclass(frozen=True)
class Run:
    folder: Path
    """Holds `checkpoint.pt` and `log.jsonl`, a line a step."""
    variants: Mapping[str, nn.ModuleList]
    steps: int
    rate_factor: float
    save_every: int = 5

    def go(self, step: Step) -> None:
        """Takes all steps that were not taken yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        optimisers = {name: make_optimiser(branches, self.rate_factor) for name, branches in self.variants.items()}
        begin = self._resume(optimisers)
        for number in range(begin, self.steps):
            started, worked = time.monotonic(), time.process_time()
            entry = dict(step(number))
            for optimiser in optimisers.values():
                schedule(optimiser, number, self.steps)
                optimiser.step()
                optimiser.zero_grad()
            entry |= {
                "step": number,
                "seconds": round(time.monotonic() - started, 1),
                "cpu_seconds": round(time.process_time() - worked, 1),
            }
            with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")
            if (number + 1) % self.save_every == 0 or number + 1 == self.steps:
                self._save(optimisers, number + 1)

    def _resume(self, optimisers: Mapping[str, torch.optim.Optimizer]) -> int:
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return 0
        saved = torch.load(path, weights_only=True)
        for name, branches in self.variants.items():
            branches.load_state_dict(saved["branches"][name])
            optimisers[name].load_state_dict(saved["optimisers"][name])
        done = int(saved["done"])
        log = self.folder / "log.jsonl"
        # Steps after the checkpoint are taken again, and logged again.
        kept = [line for line in log.read_text(encoding="utf-8").splitlines() if json.loads(line)["step"] < done]
        log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        return done

    def _save(self, optimisers: Mapping[str, torch.optim.Optimizer], done: int) -> None:
        content = {
            "done": done,
            "branches": {name: branches.state_dict() for name, branches in self.variants.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
        }
        temporary = self.folder / "checkpoint.pt.partial"
        torch.save(content, temporary)
        os.replace(temporary, self.folder / "checkpoint.pt")
