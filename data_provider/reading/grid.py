"""Find the step between rows where some rows are missing: with certainty, or refuse the dates."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_provider.reading.frequency import (
    check_frequency,
    common_step,
    exact_frequency,
    infer_frequency,
    season_length,
)
from data_provider.reading.location import Location
from utils.errors import UserError

FEW = 12  # rows among which chance makes patterns, like third Fridays
_DAY = np.timedelta64(1, "D")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_CALENDARS = {
    "MS": pd.offsets.MonthBegin(), "ME": pd.offsets.MonthEnd(),
    "BMS": pd.offsets.BMonthBegin(), "BME": pd.offsets.BMonthEnd(),
}  # fmt: skip


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


def whole_grid(dates: pd.DatetimeIndex, frequency: str | None = None, notes: tuple[str, ...] = ()) -> Grid:
    """Return the grid of dates that are taken as they are; the frequency is inferred if it is None."""
    return Grid(dates, frequency or infer_frequency(dates), np.ones(len(dates), bool), notes)


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
    exact = exact_frequency(dates)
    if exact is not None and len(dates) < FEW and re.match(r"L?WOM|\d", exact):
        exact = None if any(True for _ in _calendars(dates)) else exact
    if exact is not None or len(dates) < 2:
        named = _grid(dates, wanted) if wanted else None
        if named is not None and not named.missing:
            return named
        exact = exact or infer_frequency(dates)
        return whole_grid(dates, exact, _clash(wanted, exact))
    names = [*([wanted] if wanted else []), *_candidates(dates)]
    grids = [grid for grid in (_grid(dates, each) for each in names) if grid is not None]
    if not grids:
        raise _no_step(dates, wanted, column, location)
    if grids[0].frequency == wanted:
        return grids[0]
    best = min(grids, key=lambda grid: grid.missing)
    return Grid(best.dates, best.frequency, best.present, _clash(wanted, best.frequency))


def _clash(wanted: str | None, found: str) -> tuple[str, ...]:
    """Return a note where the dates have another step than the user names."""
    if wanted is None or season_length(wanted) == season_length(found):
        return ()
    return (f"--freq {wanted} does not fit the dates, whose step is {found}; the dates decide",)


def _grid(dates: pd.DatetimeIndex, frequency: str) -> Grid | None:
    """Return the grid of a step; None where a date does not lie on it, or more rows are missing than present."""
    offset = pd.tseries.frequencies.to_offset(frequency)
    try:
        count = (dates[-1] - dates[0]) / pd.Timedelta(offset)
    except ValueError:  # steps of the calendar
        count = 0.0
    if count > 2 * len(dates):  # seconds over years would fill the memory
        return None
    every = pd.DatetimeIndex(pd.date_range(dates[0], dates[-1], freq=offset).to_numpy())
    if len(every) > 2 * len(dates) or not dates.isin(every).all():
        return None
    return Grid(every, frequency, every.isin(dates))


def _candidates(dates: pd.DatetimeIndex) -> Iterator[str]:
    """Yield the steps that most of the dates may have."""
    common = common_step(dates)
    if common % _DAY != np.timedelta64(0):
        yield pd.tseries.frequencies.to_offset(pd.Timedelta(common)).freqstr
        return
    days = int(common // _DAY)
    yield from _calendars(dates)
    if (dates.day_of_week == dates[0].weekday()).all() and days % 7 == 0:
        yield f"{'' if days == 7 else days // 7}W-{_WEEKDAYS[dates[0].weekday()]}"
    yield "D" if days == 1 else f"{days}D"
    if (dates.day_of_week < 5).all():
        yield "B"


def _calendars(dates: pd.DatetimeIndex) -> Iterator[str]:
    """Yield the steps of months and years that the dates may have."""
    months = np.unique(np.diff(dates.year * 12 + dates.month), return_counts=True)
    count = int(months[0][np.argmax(months[1])])
    for name, offset in _CALENDARS.items():
        if count > 0 and all(offset.is_on_offset(date) for date in dates):
            yield _calendar(name, count, dates[0].month)


def _calendar(name: str, months: int, first: int) -> str:
    """Return the name of a step of several months, like ``QS-JAN`` for three, from the name of one month's step."""
    for length, letter in ((12, "Y"), (3, "Q")):
        if months % length == 0:
            many = "" if months == length else str(months // length)
            return f"{many}{name.replace('M', letter)}-{_MONTHS[first - 1]}"
    return name if months == 1 else f"{months}{name}"


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
