"""Find the step between rows where some rows are missing: with certainty, or refuse the dates."""

import re
from collections.abc import Iterator

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


def find_grid(
    dates: pd.DatetimeIndex, wanted: str | None, column: str, location: Location
) -> tuple[pd.DatetimeIndex, str, tuple[str, ...]]:
    """Return every date from the first to the last, pandas' name of the step between them, and notes for the user.

    All ``dates`` lie on this grid, and no other grid has fewer dates that are missing.

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
    if named is not None and (len(named) == len(dates) or not is_regular):
        return named, wanted, ()
    if is_regular:
        grid, step = dates, infer_frequency(dates)
    else:
        grids = {step: grid for step in _candidates(dates) if (grid := _grid(dates, step)) is not None}
        if not grids:
            raise _no_step(dates, wanted, column, location)
        step, grid = min(grids.items(), key=lambda item: len(item[1]))
        step = _spelled(step, grid)
    if wanted is None or season_length(wanted) == season_length(step):
        return grid, step, ()
    return grid, step, (f"--freq {wanted} does not fit the dates, whose step is {step}; the dates decide",)


def _is_regular(dates: pd.DatetimeIndex) -> bool:
    """Tell whether all dates are one step apart, and not by chance, as few beginnings of months may be 31 days."""
    exact = exact_frequency(dates)
    if exact is None or len(dates) >= FEW or not re.match(r"L?WOM|\d", exact):
        return exact is not None
    return not any(_grid(dates, step) is not None for step in _monthly_steps(dates))


def _grid(dates: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex | None:
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
    return every


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


def _spelled(step: str, grid: pd.DatetimeIndex) -> str:
    """Return the name of a step as pandas infers it from dates, like QS-JAN for 3MS or W-SUN for 7D."""
    try:
        return exact_frequency(pd.date_range(grid[0], periods=max(FEW, len(grid)), freq=step)) or step
    except pd.errors.OutOfBoundsDatetime:
        return step


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
