"""Where a run computes: its device, its processes, and the precision of its matrix products."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from utils.command import processes
from utils.device import PRECISIONS

Sent = TypeVar("Sent")


@dataclass(frozen=True)
class Shard:
    """The part of a batch that one process trains on.

    Attributes:
        rows: of the batch; one of them where there are fewer rows than processes, and none is left for this one.
        weight: share of the rows in the loss of the whole batch.
    """

    rows: slice
    weight: float


class Compute:
    """Device, processes and precision (one of ``PRECISIONS``) by way of accelerate."""

    def __init__(self, device: torch.device, precision: str) -> None:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # What an earlier run in this process asked for is over; its process group stays.
        AcceleratorState._reset_state(reset_partial_state=processes() == 1)
        mixed = "no" if precision == "fp32" else precision
        self.accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=mixed)
        self.device, self.precision = device, precision

    @property
    def processes(self) -> int:
        """Return the number of processes."""
        return self.accelerator.num_processes

    @property
    def is_main(self) -> bool:
        """Return whether this process is the one that writes."""
        return self.accelerator.is_main_process

    def describe_precision(self) -> str:
        """Return the precision of the matrix products in words, and on CUDA whether float32 ones are TF32."""
        tf32 = "on" if torch.backends.cuda.matmul.allow_tf32 else "off"
        return PRECISIONS[self.precision] + (f" (TF32 {tf32})" if self.device.type == "cuda" else "")

    def autocast(self) -> AbstractContextManager:
        """Compute matrix products in the run's precision within the block."""
        return self.accelerator.autocast()

    def shard(self, count: int) -> Shard:
        """Return this rank's part of a batch of ``count`` windows."""
        rank = self.accelerator.process_index
        first, last = (count * i // self.processes for i in (rank, rank + 1))
        return Shard(slice(first, last) if first < last else slice(0, 1), (last - first) / count)

    def map_rows(self, work: Callable[..., Tensor], x: Tensor, **others: Tensor) -> Tensor:
        """Return ``work(x, **others)``, rows (dimension 0) sharded over all processes; every rank gets it whole."""
        if self.processes == 1:
            return work(x, **others)
        size = math.ceil(len(x) / self.processes)
        # What the last process has too few of is padded with the last row, and cut off again.
        own = (torch.arange(size) + self.accelerator.process_index * size).clamp(max=len(x) - 1)
        done = work(x[own], **{name: part[own] for name, part in others.items()})
        return self.accelerator.gather(done.contiguous())[: len(x)]

    def all_reduce(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Sum gradients (in place) and the loss over all processes; return the loss of the whole batch."""
        if self.processes == 1:
            return loss
        parts = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([loss.reshape(1), *(grad.flatten() for grad in parts)])
        flat = self.accelerator.reduce(flat, "sum")
        for grad, summed in zip(parts, flat[1:].split([grad.numel() for grad in parts]), strict=True):
            grad.copy_(summed.view_as(grad))
        return flat[0]

    def broadcast(self, value: Sent) -> Sent:
        """Return the value that rank 0 has, on every rank."""
        return broadcast_object_list([value])[0] if self.processes > 1 else value

    def wait(self) -> None:
        """Wait until every rank has come this far."""
        self.accelerator.wait_for_everyone()

    def main_first(self) -> AbstractContextManager:
        """Run the block on rank 0 first, so that what it fetches or makes is there for the other ranks."""
        return self.accelerator.main_process_first()
