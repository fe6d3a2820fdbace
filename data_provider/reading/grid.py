"""Find the step between rows where some rows are missing: with certainty, or refuse the dates."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import Location
from data_provider.reading.frequency import (
    check_frequency,
    common_step,
    exact_frequency,
    infer_frequency,
    season_length,
)
from utils.errors import UserError

FEW = 12  # rows among which chance makes patterns, like third Fridays
_MONTHLY = ("MS", "ME", "BMS", "BME")


@dataclass(frozen=True)
class Grid:
    """Every date from the first to the last.

    Attributes:
        dates: (T,), a step apart
        frequency: pandas' name of the step
        present: (T,) bool, whether there is a row for the date
        notes: decisions to tell the user
    """

    dates: pd.DatetimeIndex
    frequency: str
    present: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """The number of dates without a row."""
        return int((~self.present).sum())


def whole_grid(dates: pd.DatetimeIndex) -> Grid:
    """Return the grid of dates that are taken as they are."""
    return Grid(dates, infer_frequency(dates), np.ones(len(dates), bool))


def find_grid(dates: pd.DatetimeIndex, wanted: str | None, column: str, location: Location) -> Grid:
    """Return the grid on which all dates lie and which misses the fewest rows.

    Args:
        dates: strictly rising
        wanted: the step that the user names; it decides where the dates allow it
        column: the name of the column of dates, for messages

    Raises:
        UserError: there is no such grid
    """
    wanted = None if wanted is None else check_frequency(wanted)
    is_regular = len(dates) < 2 or _is_regular(dates)
    named = _grid(dates, wanted) if wanted else None
    if named is not None and not (is_regular and named.missing):
        return named
    if is_regular:
        best = whole_grid(dates)
    else:
        grids = [grid for step in _candidates(dates) if (grid := _grid(dates, step)) is not None]
        if not grids:
            raise _no_step(dates, wanted, column, location)
        best = min(grids, key=lambda grid: grid.missing)
        best = replace(best, frequency=_spelled(best))
    if wanted is None or season_length(wanted) == season_length(best.frequency):
        return best
    note = f"--freq {wanted} does not fit the dates, whose step is {best.frequency}; the dates decide"
    return replace(best, notes=(note,))


def _is_regular(dates: pd.DatetimeIndex) -> bool:
    """Tell whether all dates are one step apart, and not by chance, as few beginnings of months may be 31 days."""
    exact = exact_frequency(dates)
    if exact is None or len(dates) >= FEW or not re.match(r"L?WOM|\d", exact):
        return exact is not None
    return not any(_grid(dates, step) for step in _monthly_steps(dates))


def _grid(dates: pd.DatetimeIndex, step: str) -> Grid | None:
    """Return the grid of a step; None where a date does not lie on it, or more rows are missing than present."""
    offset = pd.tseries.frequencies.to_offset(step)
    try:
        count = (dates[-1] - dates[0]) / pd.Timedelta(offset)
    except ValueError:  # steps of the calendar
        count = 0.0
    if count > 2 * len(dates):  # seconds over years would fill the memory
        return None
    every = pd.DatetimeIndex(pd.date_range(dates[0], dates[-1], freq=offset).to_numpy())
    if len(every) > 2 * len(dates) or not dates.isin(every).all():
        return None
    return Grid(every, step, every.isin(dates))


def _monthly_steps(dates: pd.DatetimeIndex) -> list[str]:
    """Return the steps of months and years that most of the dates may have."""
    months, counts = np.unique(np.diff(dates.year * 12 + dates.month), return_counts=True)
    count = int(months[np.argmax(counts)])
    return [f"{count}{name}" for name in _MONTHLY] if count else []


def _candidates(dates: pd.DatetimeIndex) -> Iterator[str]:
    """Yield the steps that most of the dates may have, the likeliest first."""
    yield from _monthly_steps(dates)
    yield pd.tseries.frequencies.to_offset(pd.Timedelta(common_step(dates))).freqstr
    yield "B"


def _spelled(grid: Grid) -> str:
    """Return the name of a step as pandas infers it from dates, like QS-JAN for 3MS or W-SUN for 7D."""
    try:
        dates = pd.date_range(grid.dates[0], periods=max(FEW, len(grid.dates)), freq=grid.frequency)
        return exact_frequency(dates) or grid.frequency
    except pd.errors.OutOfBoundsDatetime:
        return grid.frequency


def _no_step(dates: pd.DatetimeIndex, wanted: str | None, column: str, location: Location) -> UserError:
    steps, common = np.diff(dates.to_numpy()), common_step(dates)
    odd = int(np.argmax(steps != common)) + 1
    flag = f"--freq {wanted} does not fit, and " if wanted else ""
    regular = f"{(steps == common).sum()} of {len(steps)} are {pd.Timedelta(common)} apart"
    exception = f"{location.row(odd)} ({dates[odd]}) comes {dates[odd] - dates[odd - 1]} after the one before"
    return UserError(
        f"{location.name}, column {column!r}: {flag}the rows have no regular step: {regular}, but {exception}. "
        "Bring the rows to one step (monthly ones to the first or last day), or name it with --freq."
    )
