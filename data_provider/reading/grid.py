"""The step between rows where some are missing: found with certainty or refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_provider.reading.csv_rows import Place
from data_provider.reading.frequency import check_frequency, exact_frequency, infer_frequency, season_length
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
        dates: G dates. frequency: pandas' name of the step. present: (G,) bool, whether there is a row for it.
        notes: what was decided.
    """

    dates: pd.DatetimeIndex
    frequency: str
    present: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        return int((~self.present).sum())


def find_grid(dates: pd.DatetimeIndex, wanted: str | None, name: str, place: Place) -> Grid:
    """The step on which all dates lie with the fewest left out.

    Args:
        dates: rising strictly. wanted: the step as the user names it; it decides where the dates allow it.
        name: of the date column.

    Raises:
        UserError: there is no such step.
    """
    wanted = None if wanted is None else check_frequency(wanted)
    exact = exact_frequency(dates)
    if exact is not None and len(dates) < FEW and re.match(r"L?WOM|\d", exact):
        exact = None if any(True for _ in _calendars(dates)) else exact
    if exact is not None or len(dates) < 2:
        return _regular(dates, wanted, exact or infer_frequency(dates))
    names = [*([wanted] if wanted else []), *_candidates(dates)]
    grids = [grid for grid in (_grid(dates, each) for each in names) if grid is not None]
    if grids and grids[0].frequency == wanted:
        return grids[0]
    if not grids:
        raise _no_step(dates, wanted, name, place)
    best = min(grids, key=lambda grid: grid.missing)
    return best if wanted is None else Grid(best.dates, best.frequency, best.present, _clash(wanted, best.frequency))


def _regular(dates: pd.DatetimeIndex, wanted: str | None, exact: str) -> Grid:
    everything = np.ones(len(dates), bool)
    fitting = _grid(dates, wanted) if wanted else None
    if fitting is not None and not fitting.missing:
        return fitting
    return Grid(dates, exact, everything, _clash(wanted, exact) if wanted else ())


def _clash(wanted: str, found: str) -> tuple[str, ...]:
    if season_length(wanted) == season_length(found):
        return ()
    return (f"--freq {wanted} does not fit the dates, whose step is {found}; the dates decide",)


def _grid(dates: pd.DatetimeIndex, frequency: str) -> Grid | None:
    """The grid of a step; None where a date is not on it, or more are missing than there."""
    offset = pd.tseries.frequencies.to_offset(frequency)
    try:
        count = (dates[-1] - dates[0]) / pd.Timedelta(offset)
    except ValueError:  # steps of the calendar
        count = 0.0
    if count > 2 * len(dates):  # seconds over years would fill the memory
        return None
    every = pd.DatetimeIndex(pd.date_range(dates[0], dates[-1], freq=offset).to_numpy())
    places = every.get_indexer(dates)
    if (places < 0).any() or len(every) > 2 * len(dates):
        return None
    present = np.zeros(len(every), bool)
    present[places] = True
    return Grid(every, frequency, present)


def _candidates(dates: pd.DatetimeIndex) -> Iterator[str]:
    """Steps that most of the dates may have; the dates decide which do."""
    steps, counts = np.unique(np.diff(dates.to_numpy()), return_counts=True)
    common = steps[np.argmax(counts)]
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
    """Steps of months and years that the dates may have."""
    months = np.unique(np.diff(dates.year * 12 + dates.month), return_counts=True)
    count = int(months[0][np.argmax(months[1])])
    for name, offset in _CALENDARS.items():
        if count > 0 and all(offset.is_on_offset(date) for date in dates):
            yield _calendar(name, count, dates[0].month)


def _calendar(name: str, months: int, first: int) -> str:
    """``QS-JAN`` for steps of three months, from the name of one month's step."""
    for length, letter in ((12, "Y"), (3, "Q")):
        if months % length == 0:
            many = "" if months == length else str(months // length)
            return f"{many}{name.replace('M', letter)}-{_MONTHS[first - 1]}"
    return name if months == 1 else f"{months}{name}"


def _no_step(dates: pd.DatetimeIndex, wanted: str | None, name: str, place: Place) -> UserError:
    steps, counts = np.unique(np.diff(dates.to_numpy()), return_counts=True)
    common = steps[np.argmax(counts)]
    odd = int(np.flatnonzero(np.diff(dates.to_numpy()) != common)[0]) + 1
    flag = f"--freq {wanted} does not fit, and " if wanted else ""
    return UserError(
        f"{place.name}, column {name!r}: {flag}the rows have no regular step: {counts.max()} of {len(dates) - 1} are "
        f"{pd.Timedelta(common)} apart, but {place.row(odd)} ({dates[odd]}) comes {dates[odd] - dates[odd - 1]} after "
        "the one before. Bring the rows to one step (monthly ones to the first or last day), or name it with --freq."
    )
