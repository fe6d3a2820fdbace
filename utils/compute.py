"""Where a run computes: its device, its processes, and the precision of its matrix products."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from utils.command import processes
from utils.device import PRECISIONS

Sent = TypeVar("Sent")


class Compute(Accelerator):
    """An ``Accelerator`` for a device and a precision (one of ``PRECISIONS``)."""

    def __init__(self, device: torch.device, precision: str) -> None:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # What an earlier run in this process asked for is over; its process group stays.
        AcceleratorState._reset_state(reset_partial_state=processes() == 1)
        super().__init__(cpu=device.type == "cpu", mixed_precision="no" if precision == "fp32" else precision)
        self.state.device = device  # with the number of the card
        self.precision = precision

    def describe_precision(self) -> str:
        """Return the precision of the matrix products in words, and on CUDA whether float32 ones are TF32."""
        tf32 = "on" if torch.backends.cuda.matmul.allow_tf32 else "off"
        return PRECISIONS[self.precision] + (f" (TF32 {tf32})" if self.device.type == "cuda" else "")

    def shard(self, count: int) -> tuple[slice, float]:
        """Return this rank's rows of a batch of ``count`` windows, and their weight in the loss of the whole batch.

        Where there are fewer rows than processes and none is left for this one, it gets one of them with weight 0.
        """
        first, last = (count * i // self.num_processes for i in (self.process_index, self.process_index + 1))
        return slice(first, last) if first < last else slice(0, 1), (last - first) / count

    def map_rows(self, work: Callable[..., Tensor], x: Tensor, **others: Tensor) -> Tensor:
        """Return ``work(x, **others)``, rows (dimension 0) sharded over all processes; every rank gets it whole."""
        if self.num_processes == 1:
            return work(x, **others)
        size = math.ceil(len(x) / self.num_processes)
        # What the last process has too few of is padded with the last row, and cut off again.
        own = (torch.arange(size) + self.process_index * size).clamp(max=len(x) - 1)
        done = work(x[own], **{name: part[own] for name, part in others.items()})
        return self.gather(done.contiguous())[: len(x)]

    def all_reduce(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Sum gradients (in place) and the loss over all processes; return the loss of the whole batch."""
        if self.num_processes == 1:
            return loss
        parts = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([loss.reshape(1), *(grad.flatten() for grad in parts)])
        flat = self.reduce(flat, "sum")
        for grad, summed in zip(parts, flat[1:].split([grad.numel() for grad in parts]), strict=True):
            grad.copy_(summed.view_as(grad))
        return flat[0]

    def average_statistics(self, model: nn.Module) -> None:
        """Give every rank the mean of the running statistics that batch norms have gathered from its own rows."""
        for norm in model.modules() if self.num_processes > 1 else ():
            if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                for statistic in (norm.running_mean, norm.running_var):
                    statistic.copy_(self.reduce(statistic, "mean"))

    def broadcast(self, value: Sent) -> Sent:
        """Return the value that rank 0 has, on every rank."""
        return broadcast_object_list([value])[0] if self.num_processes > 1 else value
