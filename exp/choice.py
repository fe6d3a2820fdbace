"""Compare forecasters by their errors at the same dates.

Shapes: M forecasters, D dates at which forecasts begin.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.base import Model

TIE = 0.02  # a larger difference of errors is no tie, however uncertain
HORIZONS = 2.0  # that validation has to span to tell which forecaster is the best


@dataclass(frozen=True)
class Candidate:
    """One forecaster to try: a model, and its season where that is not the usual one."""

    model: str
    season: int | None = None

    @property
    def label(self) -> str:
        """Return its name, with the season where that is not the usual one."""
        return self.model if self.season is None else f"{self.model}-{self.season}"


class Trial(NamedTuple):
    """What a candidate forecast.

    Attributes:
        forecasts: (W, H, C), standardized, of W validation windows.
        errors: (D, C), mean absolute errors by date; NaN where no truth is known.
        earlier: likewise, of dates over the newer half of all rows before the test; None for a model that trains on
            some of these rows.
    """

    candidate: Candidate
    model: Model
    forecasts: np.ndarray
    errors: np.ndarray
    seconds: float
    earlier: np.ndarray | None = None


@dataclass(frozen=True)
class Span:
    """Rows over which forecasts of H steps begin."""

    rows: int
    pred_len: int

    @classmethod
    def of(cls, dates: np.ndarray, pred_len: int) -> "Span":
        """Return the span of forecasts that begin at some dates, each given by its place among all."""
        return cls(int(dates.max() - dates.min()) + 1, pred_len)

    @property
    def horizons(self) -> float:
        """Return how many horizons the forecasts cover, one after the other."""
        return (self.rows + self.pred_len - 1) / self.pred_len

    def overlap(self, count: int) -> float:
        """Return how many neighbours among ``count`` dates, evenly spaced, share a step, so that they count as one."""
        return max(1.0, self.pred_len * count / self.rows)


def by_date(errors: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """Return the mean errors (D, C) of windows (W, C) that begin at the same date, in the order of the dates.

    Series of one file often rise and fall together: at one date, many of them show no more than a few would.
    """
    places, which = np.unique(dates, return_inverse=True)
    known = ~np.isnan(errors)
    sums, counts = (np.zeros((len(places), errors.shape[1])) for _ in range(2))
    np.add.at(sums, which, np.where(known, errors, 0))
    np.add.at(counts, which, known)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def is_twin(trials: list[Trial], i: int) -> bool:
    """Return whether an earlier candidate made the same forecasts, as two names of one method do."""
    return any(np.allclose(trials[i].forecasts, earlier.forecasts) for earlier in trials[:i])


def compared(errors: np.ndarray, best: np.ndarray, overlap: float) -> tuple[float, float]:
    """Return the mean difference of two forecasters' errors (D,) at the same dates, and its standard error.

    Args:
        overlap: how many neighbouring dates count as one, see :meth:`Span.overlap`.
    """
    difference = errors - best
    difference = difference[~np.isnan(difference)]
    if len(difference) < 2:
        return float(difference.mean()) if len(difference) else math.nan, math.inf
    independent = max(1.0, len(difference) / overlap)
    return float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(independent))


def pick(errors: np.ndarray, overlap: float) -> int:
    """Return the index of the forecaster to use, given the errors (M, D) of all, the simplest first.

    The simplest wins among those that tie with the best: their difference is below its standard error, and below
    ``TIE`` of the best one's error.
    """
    means = np.nanmean(errors, axis=1)
    best = int(np.argmin(means))
    for i in range(best):
        difference, uncertainty = compared(errors[i], errors[best], overlap)
        if difference <= min(uncertainty, TIE * means[best]):
            return i
    return best


def choose(trials: list[Trial], errors: np.ndarray, column: int, span: Span, earlier: Span | None) -> int:
    """Return the index of the forecaster to use for a column: a trial, or the number of trials for their ensemble.

    Of those that need no training the one that is the best over the longer span ``earlier`` stands for all: it has
    more dates to show that at than validation has. A trained network has to be better than the ensemble beyond doubt.

    Args:
        errors: (M, D, C) of all trials, and after them of their ensemble, if there is one.
    """
    untrained = [i for i, trial in enumerate(trials) if trial.earlier is not None]
    open_to = list(range(len(errors)))
    if len(untrained) > 1 and earlier is not None:
        before = np.stack([trials[i].earlier[:, column] for i in untrained])
        best = untrained[pick(before, earlier.overlap(before.shape[1]))]
        open_to = [i for i in open_to if i not in untrained or i == best]
    mine, overlap, ensemble = errors[..., column], span.overlap(errors.shape[1]), len(trials)
    found = open_to[pick(mine[open_to], overlap)]
    if found < ensemble < len(errors) and trials[found].model.trains:
        difference, uncertainty = compared(mine[ensemble], mine[found], overlap)
        return ensemble if difference <= uncertainty else found
    return found
