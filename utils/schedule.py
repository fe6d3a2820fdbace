"""Compute the learning rate of an epoch, and decide when to stop early."""

import math
from dataclasses import dataclass

from utils.errors import UserError

LRADJ = ("type1", "type2", "type3", "type4")
MINIMUM_RATE = 1e-8


@dataclass(frozen=True)
class Schedule:
    """Learning rate per epoch for the scheduled parameters.

    Attributes:
        learning_rate: the rate of the first epoch.
        cosine: anneal with half-period ``tmax`` epochs down to 1e-8, and up again after it, as the
            released code does; otherwise follow ``lradj``.
        lradj: type1 and type3 fall to 0.9 of the rate per epoch after the fourth; type2 and type4
            multiply by ``decay_fac`` per epoch, type2 from the third epoch on, type4 from the second.
    """

    learning_rate: float
    cosine: bool = True
    tmax: int = 20
    lradj: str = "type1"
    decay_fac: float = 0.5

    def __post_init__(self) -> None:
        if self.lradj not in LRADJ:
            raise UserError(f"--lradj {self.lradj}: no such schedule; choose one of {', '.join(LRADJ)}.")

    def rate(self, epoch: int) -> float:
        """The learning rate in ``epoch``, counted from 0."""
        if self.cosine:
            span = self.learning_rate - MINIMUM_RATE
            return MINIMUM_RATE + span * (1 + math.cos(math.pi * epoch / self.tmax)) / 2
        if self.lradj in ("type1", "type3"):
            return self.learning_rate * 0.9 ** max(0, epoch - 3)
        delay = 1 if self.lradj == "type2" else 0
        return self.learning_rate * self.decay_fac ** max(0, epoch - delay)


@dataclass
class EarlyStopping:
    """Remembers the lowest score; wants to stop after ``patience`` epochs without a lower one."""

    patience: int
    best: float = math.inf
    best_epoch: int = -1
    epochs_without: int = 0

    def update(self, score: float, epoch: int) -> bool:
        """Take the score of ``epoch``; True if it is the best so far. NaN never is."""
        if score < self.best:
            self.best, self.best_epoch, self.epochs_without = score, epoch, 0
            return True
        self.epochs_without += 1
        return False

    @property
    def should_stop(self) -> bool:
        return self.epochs_without >= self.patience
