"""Several processes that train one model: each has its share of a step's sequences or of the layers, and their gradients are summed.

Started by `torchrun` there are as many as it was told to start, over gloo on CPUs and NCCL where there is a GPU; else there is one.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import distributed as dist


@dataclass(frozen=True)
class Team:
    rank: int = 0
    size: int = 1

    @staticmethod
    def join() -> "Team":
        """Of what `torchrun` says in the environment."""
        if "RANK" not in os.environ:
            return Team()
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return Team(dist.get_rank(), dist.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Which of `count` sequences are this process's."""
        return range(self.rank, count, self.size)

    def part(self, count: int) -> range:
        """Which of `count` layers are this process's: a run of them, as equal as can be."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Adds up every process's gradients in place, as one message; a process without sequences adds zeros."""
        if self.size == 1:
            return
        held = list(parameters)
        flat = torch.cat([torch.zeros_like(each).flatten() if each.grad is None else each.grad.flatten() for each in held])
        dist.all_reduce(flat)
        start = 0
        for each in held:
            each.grad = flat[start : start + each.numel()].view_as(each).clone()
            start += each.numel()

    def sum_numbers(self, numbers: list[float]) -> list[float]:
        """Element by element over all processes."""
        if self.size == 1:
            return numbers
        total = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(total)
        summed: list[float] = total.tolist()
        return summed

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()
