"""Name the step between the rows of a series, and count the steps of a season."""

import re

import numpy as np
import pandas as pd

from utils.errors import UserError

_DAY = pd.Timedelta(days=1)
# Steps per season of steps without a fixed length, by pandas' name; each name may end in S or E.
_CALENDAR_SEASONS = {
    "B": 5, "C": 5, "W": 52, "SM": 24, "M": 12, "BM": 12, "CBM": 12, "WOM": 12, "LWOM": 12,
    "Q": 4, "BQ": 4, "Y": 1, "BY": 1,
}  # fmt: skip
# Names that the release and older versions of pandas use, perhaps with a number before them.
_ALIASES = {
    "H": "h", "T": "min", "t": "min", "S": "s", "d": "D", "b": "B", "w": "W",
    "M": "ME", "m": "ME", "Q": "QE", "A": "YE", "Y": "YE",
}  # fmt: skip
_REMEDY = "write h, 15min, D, W, MS, … or leave it out"


def infer_frequency(dates: pd.DatetimeIndex) -> str:
    """Return pandas' name of the step between ``dates``, of the median step where they are uneven."""
    exact = exact_frequency(dates)
    if exact is not None:
        return exact
    if len(dates) < 2:
        return "D"
    step = pd.Timedelta(np.median(np.diff(dates.to_numpy()).astype("timedelta64[ns]")))
    if step <= pd.Timedelta(0):
        return "D"
    whole_days = step % _DAY == pd.Timedelta(0)
    return (pd.offsets.Day(step // _DAY) if whole_days else pd.tseries.frequencies.to_offset(step)).freqstr


def common_step(dates: pd.DatetimeIndex) -> np.timedelta64:
    """Return the most frequent step between at least two dates, the shortest of several."""
    steps, counts = np.unique(np.diff(dates.to_numpy()), return_counts=True)
    return steps[np.argmax(counts)]


def exact_frequency(dates: pd.DatetimeIndex) -> str | None:
    """Return pandas' name of the step if there are at least three dates, all one step apart; else None."""
    if len(dates) > 2 and dates.is_monotonic_increasing and dates.is_unique:
        # Not pd.infer_freq: what it returns is about to change.
        offset = pd.DatetimeIndex(dates.to_numpy(), freq="infer").freq
        if offset is not None and _season(offset) is not None:
            return offset.freqstr
    return None


def future_dates(last: pd.Timestamp, frequency: str, steps: int) -> pd.DatetimeIndex:
    """Return the ``steps`` dates after ``last``.

    Raises:
        UserError: they lie beyond the year 2262, which pandas' dates cannot hold
    """
    try:
        dates = pd.date_range(last, periods=steps + 1, freq=frequency)
        return pd.DatetimeIndex(dates[dates > last][:steps].to_numpy())
    except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        raise UserError(f"{steps} steps of {frequency} after {last} lead beyond the year 2262.") from error


def is_calendar(frequency: str) -> bool:
    """Tell whether a step is a day or longer: such steps follow the calendar, not the clock."""
    try:
        return pd.Timedelta(pd.tseries.frequencies.to_offset(frequency)) >= _DAY
    except ValueError:
        return True


def same_step(one: str, other: str) -> bool:
    """Tell whether two frequencies have steps of equal length, wherever in the week or year they begin."""
    first, second = (pd.tseries.frequencies.to_offset(name) for name in (one, other))
    try:
        return pd.Timedelta(first) == pd.Timedelta(second)
    except ValueError:
        return (first.n, first.rule_code.split("-")[0]) == (second.n, second.rule_code.split("-")[0])


def check_frequency(name: str) -> str:
    """Return a frequency that the user names as pandas spells it.

    Raises:
        UserError: pandas knows no such frequency, or it has no season
    """
    count, unit = re.fullmatch(r"(\d*)(.*)", name, re.DOTALL).groups()
    try:
        offset = pd.tseries.frequencies.to_offset(count + _ALIASES.get(unit, unit))
    except (ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"--freq {name}: no such frequency; {_REMEDY}.") from error
    if _season(offset) is None:
        raise UserError(f"--freq {name}: not a step from one row to the next; {_REMEDY}.")
    return offset.freqstr


def season_length(frequency: str) -> int:
    """Return the steps per season: a day of shorter steps, a week of days, a year of longer steps."""
    season = _season(pd.tseries.frequencies.to_offset(frequency))
    if season is None:
        raise ValueError(f"{frequency} has no season")
    return season


def _season(offset: pd.DateOffset) -> int | None:
    """Return the steps per season; None for steps of no or negative length, and of business hours."""
    if offset.n < 1:
        return None
    prefix = offset.rule_code.split("-")[0]
    for name, season in _CALENDAR_SEASONS.items():
        if prefix in (name, f"{name}S", f"{name}E"):
            return max(1, season // offset.n)
    try:
        step = pd.Timedelta(offset).as_unit("ns")
    except (ValueError, OverflowError):
        return None
    if step < _DAY:
        return round(_DAY / step)
    return max(1, round((7 if step < 7 * _DAY else 364) * _DAY / step))
