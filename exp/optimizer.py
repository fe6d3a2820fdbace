"""Make the optimizer, set its rates, and watch the losses that it lowers."""

import math

import torch
from torch import Tensor

from models.base import ParameterGroup
from utils.errors import UserError
from utils.schedule import Schedule


def build_optimizer(groups: list[ParameterGroup], learning_rate: float) -> torch.optim.Adam:
    """Make Adam over named groups, each at its constant rate or at ``learning_rate``."""
    parameters = [
        {"params": group.parameters, "lr": group.constant_rate or learning_rate, "name": group.name} for group in groups
    ]
    return torch.optim.Adam(parameters, fused=True)


def set_rates(optimizer: torch.optim.Adam, groups: list[ParameterGroup], schedule: Schedule, epoch: int) -> None:
    """Give each group its rate in an epoch, counted from 0: the scheduled one, or its own constant one."""
    factor = schedule.rate(epoch) / schedule.learning_rate
    for part, group in zip(optimizer.param_groups, groups, strict=True):
        part["lr"] = group.constant_rate or schedule.learning_rate * factor


class FiniteLoss:
    """Sums the losses of an epoch, and raises UserError at one that is not finite.

    On CUDA a loss is read one step later, so that the host never waits for the card.
    """

    def __init__(self, epoch: int, device: torch.device, precision: str) -> None:
        self._epoch, self._late, self._precision = epoch, device.type == "cuda", precision
        self._unseen: Tensor | None = None
        self.total, self.steps = 0.0, 0

    def add(self, loss: Tensor) -> None:
        """Add the loss of the next step."""
        seen, self._unseen = (self._unseen, loss) if self._late else (loss, None)
        self._look(seen)

    def finish(self) -> float:
        """Return the mean loss of the epoch."""
        self._look(self._unseen)
        return self.total / self.steps

    def _look(self, loss: Tensor | None) -> None:
        if loss is None:
            return
        value, self.steps = loss.item(), self.steps + 1
        if not math.isfinite(value):
            raise UserError(not_finite("training loss", self._epoch, self.steps, self._precision))
        self.total += value


def not_finite(what: str, epoch: int, step: int | None, precision: str) -> str:
    """Return a message for a loss that is not finite, with the remedy."""
    place = f"epoch {epoch + 1}" + (f", step {step}" if step else "")
    narrow = "float16 holds no numbers above 65,504: choose --precision bf16 or fp32. Otherwise the "
    return (
        f"The {what} is not finite in {place}. {narrow if precision == 'fp16' else 'The '}learning rate is the likely "
        "cause: lower --learning_rate, and check the data for extreme values. The best epoch before, if any, stays "
        "saved."
    )
