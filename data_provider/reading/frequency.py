"""Find the step between the rows of a series, with certainty, and every date on its grid."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from data_provider.reading.csv_file import Location
from data_provider.reading.steps import (
    DAY,
    ROWS,
    Consecutive,
    Counted,
    DayOfMonth,
    OfPandas,
    OnWeekdays,
    Step,
    season_of,
    step_of,
)
from utils.errors import UserError

ENOUGH = 12  # dates whose step is not named by chance, like third Fridays
WEEKS = 4  # from which on missing weekdays are no chance
HOLIDAYS, HOLES = 5, 0.1  # weekdays in a row, and share of them, that trading days may lack
# Lengths that people choose, in seconds, for dates that are off by a little.
ROUND = [s * u for u in (1, 60) for s in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)]
ROUND += [3600 * hours for hours in (1, 2, 3, 4, 6, 8, 12, 24, 168)]


class Grid(NamedTuple):
    """Every date from the first to the last, a step apart.

    Attributes:
        rows: for each date the row that has it, -1 where none does
        notes: what was decided
        are_days: whether times of the day, and offsets from UTC, were left out
    """

    dates: pd.DatetimeIndex
    rows: np.ndarray
    frequency: str
    notes: tuple[str, ...] = ()
    are_days: bool = False


def infer_frequency(dates: pd.DatetimeIndex) -> str:
    """Return the name of the step between ``dates``, of the most frequent step where they are uneven."""
    exact = exact_frequency(dates)
    if exact is not None:
        return exact
    step = common_step(dates)
    if not step > pd.Timedelta(0):
        return "D"
    is_whole_days = step % DAY == pd.Timedelta(0)
    return (pd.offsets.Day(step // DAY) if is_whole_days else to_offset(step)).freqstr


def common_step(dates: pd.DatetimeIndex) -> pd.Timedelta:
    """Return the most frequent step between dates, the shortest of several; NaT where there is but one date."""
    return dates.diff().to_series().mode().min()


def exact_frequency(dates: pd.DatetimeIndex) -> str | None:
    """Return pandas' name of the step if there are at least three dates, all one step apart; else None."""
    if len(dates) > 2 and dates.is_monotonic_increasing and dates.is_unique:
        # Not pd.infer_freq: what it returns is about to change.
        offset = pd.DatetimeIndex(dates.to_numpy(), freq="infer").freq
        if offset is not None and offset.is_on_offset(dates[0]) and season_of(offset) is not None:
            return offset.freqstr
    return None


def future_dates(last: pd.Timestamp, frequency: str, steps: int) -> pd.DatetimeIndex:
    """Return the ``steps`` dates after ``last``; raise UserError beyond the year 2262, the last that pandas holds."""
    try:
        return _known(frequency).after(last, steps)
    except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        raise UserError(f"{steps} steps of {frequency} after {last} lead beyond the year 2262.") from error


def is_calendar(frequency: str) -> bool:
    """Tell whether a step is a day or longer: such steps follow the calendar, not the clock."""
    length = _known(frequency).length
    return length is None or length >= DAY


def same_step(one: str, other: str) -> bool:
    """Tell whether two frequencies have steps of equal length, wherever in the week or year they begin."""
    first, second = (_kind(_known(name)) for name in (one, other))
    return first == second


def _kind(step: Step) -> object:
    if isinstance(step, OfPandas):
        return step.length or (step.offset.n, step.offset.rule_code.split("-")[0])
    return step.name


def check_frequency(name: str) -> str:
    """Return the name of a step as it is spelled here; raise UserError if it is no step between rows."""
    if name == ROWS:
        return name
    step = step_of(name)
    if step is None:
        raise UserError(
            f"--freq {name}: no step from one row to the next; write h, 15min, D, W, MS, MS-15 (monthly on the 15th), "
            "Mon-Sat, rows (consecutive rows), 1 (counted rows), … or leave it out."
        )
    return step.name


def date_rule(frequency: str) -> dict[str, Any]:
    """Return how dates go on, for a program without pandas.

    ``kind`` is ``fixed`` (``seconds`` on the file's clock), ``count`` (whole numbers, ``count`` apart) or ``calendar``:
    ``count`` times pandas' ``unit`` (MS, ME, QS, B …) with its ``anchor`` (JAN …), on one ``day`` of the month, or on
    ``weekdays``, of which Monday is 0.
    """
    return {"frequency": frequency, **_known(frequency).rule}


def season_length(frequency: str) -> int:
    """Return the steps per season: a day of shorter steps, a week of days, a year of longer steps, 1 of counts."""
    return _known(frequency).season


def _known(frequency: str) -> Step:
    step = step_of(frequency)
    if step is None:
        raise ValueError(f"{frequency} is no step")
    return step


def find_grid(
    dates: pd.DatetimeIndex, wanted: str | None, column: str, location: Location, is_count: bool = False
) -> Grid:
    """Return every date from the first to the last, each with its row, and the step between them.

    All ``dates``, strictly rising, lie on this grid, and no other grid has fewer dates that are missing. The step that
    the user wants decides where the dates allow it.

    Raises:
        UserError: there is no such grid.
    """
    wanted = wanted and check_frequency(wanted)
    if is_count or (wanted and isinstance(step_of(wanted), Counted)):
        return _count(dates, wanted, is_count, column, location)
    if wanted and wanted.split(":")[0] == ROWS:
        return _consecutive(dates, wanted)
    found = _exact_grid(dates, wanted)
    if found is None:
        found = _days_of_another_zone(dates, wanted) or _by_month(dates) or _rounded(dates)
    if found is None:
        raise _no_step(dates, wanted, column, location)
    if wanted is None and found.frequency == "B" and _is_trading(found.rows):
        return _consecutive(dates, f"{ROWS}:B")
    if wanted is None or season_length(wanted) == season_length(found.frequency):
        return found
    note = f"--freq {wanted} does not fit the dates, whose step is {found.frequency}; the dates decide"
    return found._replace(notes=(*found.notes, note))


def _count(dates: pd.DatetimeIndex, wanted: str | None, is_count: bool, column: str, location: Location) -> Grid:
    """Return the grid of dates that stand for whole numbers."""
    if not is_count:
        raise UserError(
            f"{location.name}: --freq {wanted} counts rows, but column {column!r} holds dates; leave --freq out, or "
            "say --date_col none."
        )
    step = Counted(max(1, int(common_step(dates).total_seconds()))) if len(dates) > 1 else Counted(1)
    every = step.between(dates[0], dates[-1])
    return Grid(every, dates.get_indexer(every), step.name)


def _consecutive(dates: pd.DatetimeIndex, wanted: str) -> Grid:
    """Return the rows as they are, one step apart."""
    inner = step_of(wanted.removeprefix(f"{ROWS}:")) if wanted != ROWS else None
    if inner is None:
        on_weekdays = len(dates) > 2 and (dates == dates.normalize()).all() and (dates.day_of_week < 5).all()
        inner = step_of("B") if on_weekdays and common_step(dates) == DAY else step_of(infer_frequency(dates))
    step = Consecutive(inner)
    by = "weekdays; holidays are not known" if inner.name == "B" else f"steps of {inner.name}"
    note = f"its rows are taken as consecutive ({step.name}), no date is added; dates after the end are counted in {by}"
    return Grid(dates, np.arange(len(dates)), step.name, (note,))


def _is_trading(rows: np.ndarray) -> bool:
    """Tell whether some weekdays are missing, as on holidays."""
    known = np.flatnonzero(rows >= 0)
    longest = int(np.diff(known).max(initial=1)) - 1
    return 0 < longest <= HOLIDAYS and len(rows) - len(known) <= HOLES * len(rows)


def _exact_grid(dates: pd.DatetimeIndex, wanted: str | None) -> Grid | None:
    """Return the shortest grid on which all dates lie, that of the wanted step where it fits; None if there is none."""
    named = _grid(dates, step_of(wanted)) if wanted else None
    if named is not None and (len(named) == len(dates) or exact_frequency(dates) is None):
        return Grid(named, dates.get_indexer(named), wanted)
    # The likeliest first: few beginnings of months may be 31 days apart by chance.
    steps = [*_monthly_steps(dates), step_of(infer_frequency(dates)), step_of("B"), *_weekday_steps(dates)]
    grids = [(step, grid) for step in steps if (grid := _grid(dates, step)) is not None]
    if not grids:
        return None
    step, grid = min(grids, key=lambda found: len(found[1]))
    name = _spelled(step, grid) if isinstance(step, OfPandas) else step.name
    return Grid(grid, dates.get_indexer(grid), name)


def _grid(dates: pd.DatetimeIndex, step: Step) -> pd.DatetimeIndex | None:
    """Return the grid of a step; None where a date does not lie on it, or more rows are missing than present."""
    length = step.length
    if length is not None and dates[-1] - dates[0] > 2 * len(dates) * length:  # seconds over years fill the memory
        return None
    every = step.between(dates[0], dates[-1])
    return every if len(every) <= 2 * len(dates) and dates.isin(every).all() else None


def _monthly_steps(dates: pd.DatetimeIndex) -> list[Step]:
    """Return the steps of months and years that most of the dates may have."""
    months = pd.Series(dates.year * 12 + dates.month).diff().mode()
    if not months.min() > 0:
        return []
    steps = [step_of(f"{months[0]:.0f}{name}") for name in ("MS", "ME", "BMS", "BME")]
    return [*steps, DayOfMonth(int(months[0]), int(dates.day.max()))]


def _weekday_steps(dates: pd.DatetimeIndex) -> list[Step]:
    """Return the step of the days of the week that occur, where that some never do is no chance."""
    counts = np.bincount(dates.day_of_week, minlength=7)
    days = np.flatnonzero(counts)
    weeks = (dates[-1] - dates[0]) / (7 * DAY)
    if not 2 <= len(days) <= 6 or weeks < WEEKS or counts[days].min() < weeks / 2:
        return []
    begin = next((day for day in days if (day - 1) % 7 not in days), days[0])  # Sunday to Thursday begins on Sunday
    is_span = all((begin + i) % 7 in days for i in range(len(days)))
    order = [(begin + i) % 7 for i in range(len(days))] if is_span else days
    return [OnWeekdays(tuple(int(day) for day in order))]


def _spelled(step: OfPandas, grid: pd.DatetimeIndex) -> str:
    """Return the name of a step as pandas infers it from dates, like QS-JAN for 3MS or W-SUN for 7D."""
    try:
        return exact_frequency(pd.date_range(grid[0], periods=max(ENOUGH, len(grid)), freq=step.offset)) or step.name
    except pd.errors.OutOfBoundsDatetime:
        return step.name


def _days_of_another_zone(dates: pd.DatetimeIndex, wanted: str | None) -> Grid | None:
    """Return the grid of days stamped at midnight of another zone, whose clock changes; None if they are not."""
    times = np.unique((dates - dates.normalize()).to_numpy())
    hours = times / np.timedelta64(1, "h")
    if len(times) != 2 or hours[1] - hours[0] not in (1, 23) or (np.diff(dates) < np.timedelta64(23, "h")).any():
        return None
    # From noon on a stamp belongs to the day that begins next.
    ahead = 1 if hours[1] - hours[0] == 23 else 24 - hours[0] if hours[1] >= 12 else 0
    found = _exact_grid((dates + pd.Timedelta(hours=ahead)).normalize(), wanted)
    if found is None:
        return None
    note = "its days are stamped at midnight of another time zone; they are read as days"
    return found._replace(notes=(note,), are_days=True)


def _by_month(dates: pd.DatetimeIndex) -> Grid | None:
    """Return the grid of months for dates of which each lies in a month of its own; None if they do not."""
    if len(dates) < ENOUGH:
        return None
    starts = pd.DatetimeIndex(dates.to_numpy().astype("datetime64[M]").astype("datetime64[ns]"))
    if not starts.is_unique or common_step(starts) > 31 * DAY:
        return None
    is_end = dates.day.to_series().median() > 25
    days = starts + pd.offsets.MonthEnd(1) if is_end else starts
    found = _exact_grid(days, "ME" if is_end else "MS")
    return found and found._replace(notes=("its dates are a month apart on changing days; each stands for its month",))


def _rounded(dates: pd.DatetimeIndex) -> Grid | None:
    """Return an even grid to which dates are rounded that are off by less than half a step; None if there is none."""
    if len(dates) < ENOUGH:
        return None
    seconds = (dates - dates[0].normalize()).total_seconds().to_numpy()
    typical = float(np.median(np.diff(seconds)))
    length = min(ROUND, key=lambda each: abs(each - typical) / each)
    if abs(length - typical) > 0.1 * length:
        length = typical
    phases = pd.Series(np.round(seconds % length, 3)).mode()
    for phase in (0.0, float(phases[0])):
        places = np.rint((seconds - phase) / length)
        off = np.abs(seconds - phase - places * length)
        even = len(np.unique(places)) == len(places) and places[-1] - places[0] < 2 * len(places)
        if even and off.max() < length / 2 and np.median(off) <= length / 4:
            moved = dates[0].normalize() + pd.to_timedelta(phase + places * length, unit="s")
            every = pd.date_range(moved[0], moved[-1], freq=pd.Timedelta(seconds=length))
            name = infer_frequency(pd.DatetimeIndex(every[:ENOUGH]))
            note = f"its dates are rounded to a grid of steps of {name}, by at most {off.max():g} s"
            return Grid(pd.DatetimeIndex(every.to_numpy()), moved.get_indexer(every), name, (note,))
    return None


def _no_step(dates: pd.DatetimeIndex, wanted: str | None, column: str, location: Location) -> UserError:
    steps, common = dates.diff()[1:], common_step(dates)
    odd = int(np.argmax(steps != common)) + 1
    flag = f"--freq {wanted} does not fit, and " if wanted else ""
    regular = f"{(steps == common).sum()} of {len(steps)} are {common} apart"
    exception = f"{location.row(odd)} ({dates[odd]}) comes {steps[odd - 1]} after the one before"
    return UserError(
        f"{location.name}, column {column!r}: {flag}the rows have no regular step: {regular}, but {exception}. "
        "Bring the rows to one step, or take them as consecutive with --freq rows."
    )
