"""Compute the learning rate of an epoch, and decide when to stop early."""

import math
from dataclasses import dataclass

from utils.flags import RATE, SWITCH, choice, flag, whole

MINIMUM_RATE = 1e-8
TYPES = ("type1", "type2", "type3", "type4")


@dataclass(frozen=True)
class Schedule:
    """The learning rate per epoch of the scheduled parameters.

    With ``cos`` the rate falls for ``tmax`` epochs along half a cosine to 1e-8, and rises again after them, as in the
    released code. Else ``lradj`` says how: type1 and type3 take 0.9 of the rate per epoch after the fourth; type2 and
    type4 multiply by ``decay_fac`` per epoch, type2 from the third epoch on, type4 from the second.
    """

    learning_rate: float = flag(1e-4, RATE, "of all parameters without a constant rate of their own")
    cos: int = flag(1, SWITCH, "1: cosine schedule, rising again after tmax epochs as in the release; 0: --lradj")
    tmax: int = flag(20, whole(), "epochs of half a cosine period", needs={"cos": (1,)})
    lradj: str = flag("type1", choice(*TYPES), f"schedule without cosine: {', '.join(TYPES)}", needs={"cos": (0,)})
    decay_fac: float = flag(
        0.5, RATE, "factor per epoch of type2 and type4", needs={"cos": (0,), "lradj": ("type2", "type4")}
    )

    def rate(self, epoch: int) -> float:
        """Return the learning rate in ``epoch``, counted from 0; infinite where no float is as large."""
        if self.cos:
            span = self.learning_rate - MINIMUM_RATE
            return MINIMUM_RATE + span * (1 + math.cos(math.pi * epoch / self.tmax)) / 2
        if self.lradj in ("type1", "type3"):
            return self.learning_rate * 0.9 ** max(0, epoch - 3)
        delay = 1 if self.lradj == "type2" else 0
        try:
            return self.learning_rate * self.decay_fac ** max(0, epoch - delay)
        except OverflowError:
            return math.inf


@dataclass
class EarlyStopping:
    """The lowest score so far; it is time to stop after ``patience`` epochs without a lower one.

    Where ``ties`` count, one that is as low is an improvement, too.
    """

    patience: int
    best: float = math.inf
    best_epoch: int = -1
    epochs_without: int = 0
    ties: bool = False

    def update(self, score: float, epoch: int) -> bool:
        """Take the score of ``epoch``; return whether it is the best so far. NaN never is."""
        if score < self.best or (self.ties and score == self.best):
            self.best, self.best_epoch, self.epochs_without = score, epoch, 0
            return True
        self.epochs_without += 1
        return False

    @property
    def should_stop(self) -> bool:
        """Return whether the patience has run out."""
        return self.epochs_without >= self.patience
