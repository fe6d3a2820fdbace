"""When to stop: the best validation score so far, and how long ago it was."""

import math
from dataclasses import dataclass


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
