"""Several processes that train one model: each has its share of a step's sequences or of the layers, and their gradients are summed.

Started by `torchrun` there are as many as it was told to start, on the accelerators that torch finds and over the backend that torch has
for them (NCCL, HCCL, XCCL), or on CPUs over gloo; else there is one. Weights are whole in every process, or shared out among them by FSDP.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from spikingbrain.precision import widest

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Team:
    rank: int = 0
    size: int = 1
    device: torch.device = CPU
    shares_weights: bool = False
    """Whether each process holds a part of the weights in the training stages; where there is one process, all is its part."""

    @staticmethod
    def join(accelerated: bool = False, shares_weights: bool = False) -> "Team":
        """Of what `torchrun` says in the environment; `accelerated` where training runs on accelerators if there are any."""
        device = CPU
        if accelerated and (found := torch.accelerator.current_accelerator(check_available=True)) is not None:
            device = torch.device(found.type, int(os.environ.get("LOCAL_RANK", "0")))
            torch.accelerator.set_device_index(device.index)
        if "RANK" not in os.environ:
            return Team(device=device)
        backends = {kind: dist.get_default_backend_for_device(kind) for kind in dict.fromkeys(("cpu", device.type))}
        dist.init_process_group(",".join(f"{kind}:{backend}" for kind, backend in backends.items()))
        size = dist.get_world_size()
        return Team(dist.get_rank(), size, device, shares_weights and size > 1)

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
        """Adds up every process's gradients in place, as one message; a process without sequences adds zeros. Shared-out weights have
        gradients that are summed already."""
        if self.size == 1 or self.shares_weights:
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
        total = torch.tensor(numbers, dtype=widest(self.device), device=self.device)
        dist.all_reduce(total)
        summed: list[float] = total.tolist()
        return summed

    def share_out(self, module: nn.Module) -> None:
        """Leaves this process its part of the module's parameters. They are gathered around each call and its backward pass, and gradients
        are summed; every process must call the module as often as the others. Does nothing where weights are not shared."""
        if not self.shares_weights:
            return
        fully_shard(module, mesh=init_device_mesh(self.device.type, (self.size,)), reshard_after_forward=True)
        assert isinstance(module, FSDPModule)
        # Sums and not means, by a plain sum: gloo has no other that scales.
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()
