"""Find and name the step between the rows of a series, with certainty, and count the steps of a season."""

import re
from contextlib import suppress

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from data_provider.reading.csv_file import Location
from utils.errors import UserError

_DAY = pd.Timedelta(days=1)
# Steps per season of steps without a fixed length, by pandas' name.
_CALENDAR_SEASONS = {
    "B": 5, "C": 5, "W": 52, "SMS": 24, "SME": 24, "MS": 12, "ME": 12, "BMS": 12, "BME": 12, "CBMS": 12, "CBME": 12,
    "WOM": 12, "LWOM": 12, "QS": 4, "QE": 4, "BQS": 4, "BQE": 4, "YS": 1, "YE": 1, "BYS": 1, "BYE": 1,
}  # fmt: skip
# Names that the release and older versions of pandas use, perhaps with a number before them.
_ALIASES = {
    "H": "h", "T": "min", "t": "min", "S": "s", "d": "D", "b": "B", "w": "W",
    "M": "ME", "m": "ME", "Q": "QE", "A": "YE", "Y": "YE",
}  # fmt: skip
ENOUGH = 12  # dates whose step is not named by chance, like third Fridays


def infer_frequency(dates: pd.DatetimeIndex) -> str:
    """Return pandas' name of the step between ``dates``, of the most frequent step where they are uneven."""
    exact = exact_frequency(dates)
    if exact is not None:
        return exact
    step = common_step(dates)
    if not step > pd.Timedelta(0):
        return "D"
    is_whole_days = step % _DAY == pd.Timedelta(0)
    return (pd.offsets.Day(step // _DAY) if is_whole_days else to_offset(step)).freqstr


def common_step(dates: pd.DatetimeIndex) -> pd.Timedelta:
    """Return the most frequent step between dates, the shortest of several; NaT where there is but one date."""
    return dates.diff().to_series().mode().min()


def exact_frequency(dates: pd.DatetimeIndex) -> str | None:
    """Return pandas' name of the step if there are at least three dates, all one step apart; else None."""
    if len(dates) > 2 and dates.is_monotonic_increasing and dates.is_unique:
        # Not pd.infer_freq: what it returns is about to change.
        offset = pd.DatetimeIndex(dates.to_numpy(), freq="infer").freq
        if offset is not None and offset.is_on_offset(dates[0]) and _season(offset) is not None:
            return offset.freqstr
    return None


def future_dates(last: pd.Timestamp, frequency: str, steps: int) -> pd.DatetimeIndex:
    """Return the ``steps`` dates after ``last``; raise UserError beyond the year 2262, the last that pandas holds."""
    try:
        dates = pd.date_range(last, periods=steps + 1, freq=frequency)
        return pd.DatetimeIndex(dates[dates > last][:steps].to_numpy())
    except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        raise UserError(f"{steps} steps of {frequency} after {last} lead beyond the year 2262.") from error


def _length(offset: pd.DateOffset) -> pd.Timedelta | None:
    """Return how long a step is; None where that depends on the calendar, or is longer than pandas can hold."""
    try:
        return pd.Timedelta(offset).as_unit("ns")
    except (ValueError, OverflowError):
        return None


def is_calendar(frequency: str) -> bool:
    """Tell whether a step is a day or longer: such steps follow the calendar, not the clock."""
    length = _length(to_offset(frequency))
    return length is None or length >= _DAY


def same_step(one: str, other: str) -> bool:
    """Tell whether two frequencies have steps of equal length, wherever in the week or year they begin."""
    first, second = (
        _length(offset) or (offset.n, offset.rule_code.split("-")[0]) for offset in map(to_offset, (one, other))
    )
    return first == second


def check_frequency(name: str) -> str:
    """Return a frequency that the user names as pandas spells it; raise UserError if it is no step between rows."""
    count, unit = re.fullmatch(r"(\d*)(.*)", name, re.DOTALL).groups()
    offset = None
    with suppress(ValueError, AttributeError, OverflowError):
        offset = to_offset(count + _ALIASES.get(unit, unit))
    if offset is None or _season(offset) is None:
        raise UserError(
            f"--freq {name}: no step from one row to the next; write h, 15min, D, W, MS, … or leave it out."
        )
    return offset.freqstr


def season_length(frequency: str) -> int:
    """Return the steps per season: a day of shorter steps, a week of days, a year of longer steps."""
    season = _season(to_offset(frequency))
    if season is None:
        raise ValueError(f"{frequency} has no season")
    return season


def _season(offset: pd.DateOffset) -> int | None:
    """Return the steps per season; None for steps of no or negative length, and of business hours."""
    length, calendar = _length(offset), _CALENDAR_SEASONS.get(offset.rule_code.split("-")[0])
    if offset.n < 1 or (length is None and calendar is None):
        return None
    if length is None:
        return max(1, calendar // offset.n)
    if length < _DAY:
        return round(_DAY / length)
    return max(1, round((7 if length < 7 * _DAY else 364) * _DAY / length))


def find_grid(
    dates: pd.DatetimeIndex, wanted: str | None, column: str, location: Location
) -> tuple[pd.DatetimeIndex, str, tuple[str, ...]]:
    """Return every date from the first to the last, pandas' name of the step between them, and notes for the user.

    All ``dates``, strictly rising, lie on this grid, and no other grid has fewer dates that are missing; UserError if
    there is none. The step that the user wants decides where the dates allow it.
    """
    wanted = wanted and check_frequency(wanted)
    named = _grid(dates, wanted) if wanted else None
    if named is not None and (len(named) == len(dates) or exact_frequency(dates) is None):
        return named, wanted, ()
    # The likeliest first: few beginnings of months may be 31 days apart by chance.
    steps = [*_monthly_steps(dates), infer_frequency(dates), "B"]
    grids = {step: grid for step in steps if (grid := _grid(dates, step)) is not None}
    if not grids:
        raise _no_step(dates, wanted, column, location)
    step, grid = min(grids.items(), key=lambda item: len(item[1]))
    step = _spelled(step, grid)
    if wanted is None or season_length(wanted) == season_length(step):
        return grid, step, ()
    return grid, step, (f"--freq {wanted} does not fit the dates, whose step is {step}; the dates decide",)


def _grid(dates: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex | None:
    """Return the grid of a step; None where a date does not lie on it, or more rows are missing than present."""
    offset = to_offset(step)
    length = _length(offset)
    if length is not None and dates[-1] - dates[0] > 2 * len(dates) * length:  # seconds over years fill the memory
        return None
    every = pd.DatetimeIndex(pd.date_range(dates[0], dates[-1], freq=offset).to_numpy())
    return every if len(every) <= 2 * len(dates) and dates.isin(every).all() else None


def _monthly_steps(dates: pd.DatetimeIndex) -> list[str]:
    """Return the steps of months and years that most of the dates may have."""
    months = pd.Series(dates.year * 12 + dates.month).diff().mode()
    return [f"{months[0]:.0f}{name}" for name in ("MS", "ME", "BMS", "BME")] if months.min() > 0 else []


def _spelled(step: str, grid: pd.DatetimeIndex) -> str:
    """Return the name of a step as pandas infers it from dates, like QS-JAN for 3MS or W-SUN for 7D."""
    try:
        return exact_frequency(pd.date_range(grid[0], periods=max(ENOUGH, len(grid)), freq=step)) or step
    except pd.errors.OutOfBoundsDatetime:
        return step


def _no_step(dates: pd.DatetimeIndex, wanted: str | None, column: str, location: Location) -> UserError:
    steps, common = dates.diff()[1:], common_step(dates)
    odd = int(np.argmax(steps != common)) + 1
    flag = f"--freq {wanted} does not fit, and " if wanted else ""
    regular = f"{(steps == common).sum()} of {len(steps)} are {common} apart"
    exception = f"{location.row(odd)} ({dates[odd]}) comes {steps[odd - 1]} after the one before"
    return UserError(
        f"{location.name}, column {column!r}: {flag}the rows have no regular step: {regular}, but {exception}. "
        "Bring the rows to one step (monthly ones to the first or last day), or name it with --freq."
    )
