"""Name the steps between the rows of a series, and count on with them."""

import re
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

DAY = pd.Timedelta(days=1)
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ROWS = "rows"  # the name before the step by which the dates after consecutive rows are counted
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


class Step(ABC):
    """A step from one row to the next.

    Attributes:
        offset: how pandas gets from one date to the next.
    """

    offset: pd.DateOffset

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the name under which :func:`step_of` finds the step again."""

    @property
    @abstractmethod
    def rule(self) -> dict[str, Any]:
        """Return what a program without pandas needs to count on: see :func:`frequency.date_rule`."""

    @property
    def season(self) -> int:
        """Return the steps of a season, at least 1."""
        return season_of(self.offset)

    @property
    def length(self) -> pd.Timedelta | None:
        """Return how long a step is; None where that depends on the calendar."""
        return length_of(self.offset)

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
        """Return the dates from the first to the last, which both are among them if they are steps apart."""
        return pd.DatetimeIndex(pd.date_range(first, last, freq=self.offset).to_numpy())

    def after(self, last: pd.Timestamp, count: int) -> pd.DatetimeIndex:
        """Return the dates that follow the last one; OverflowError or OutOfBoundsDatetime beyond the year 2262."""
        dates = pd.date_range(last, periods=count + 1, freq=self.offset)
        return pd.DatetimeIndex(dates[dates > last][:count].to_numpy())


@dataclass(frozen=True)
class OfPandas(Step):
    """A step that pandas has a name for, like h, B or MS."""

    offset: pd.DateOffset

    @property
    def name(self) -> str:
        return self.offset.freqstr

    @property
    def rule(self) -> dict[str, Any]:
        unit, _, anchor = self.offset.rule_code.partition("-")
        weeks = 7 * DAY * self.offset.n if unit == "W" else None
        if length := self.length or weeks:
            return {"kind": "fixed", "seconds": length.total_seconds()}
        return {"kind": "calendar", "unit": unit, "count": self.offset.n, **({"anchor": anchor} if anchor else {})}


@dataclass(frozen=True)
class DayOfMonth(Step):
    """A number of months, to one day of the month; to the last day of shorter months."""

    months: int
    day: int

    @property
    def name(self) -> str:
        return f"{self.months if self.months > 1 else ''}MS-{self.day}"

    @property
    def rule(self) -> dict[str, Any]:
        return {"kind": "calendar", "unit": "MS", "count": self.months, "day": self.day}

    @property
    def offset(self) -> pd.DateOffset:
        return pd.offsets.MonthBegin(self.months)

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
        months = (last.year - first.year) * 12 + last.month - first.month
        return self._dates(first, np.arange(0, months + 1, self.months))

    def after(self, last: pd.Timestamp, count: int) -> pd.DatetimeIndex:
        dates = self._dates(last, np.arange(0, (count + 1) * self.months, self.months))
        return dates[dates > last][:count]

    def _dates(self, first: pd.Timestamp, months: np.ndarray) -> pd.DatetimeIndex:
        starts = pd.DatetimeIndex((first.to_numpy().astype("datetime64[M]") + months).astype("datetime64[ns]"))
        days = np.minimum(self.day, starts.days_in_month) - 1
        return starts + pd.to_timedelta(days, unit="D") + (first - first.normalize())


@dataclass(frozen=True)
class OnWeekdays(Step):
    """From one day to the next of some days of the week."""

    days: tuple[int, ...]

    @property
    def name(self) -> str:
        names = [WEEKDAYS[day] for day in self.days]
        gaps = [(self.days[0] + i) % 7 == day for i, day in enumerate(self.days)]
        return f"{names[0]}-{names[-1]}" if all(gaps) and len(names) > 2 else ",".join(names)

    @property
    def rule(self) -> dict[str, Any]:
        return {"kind": "calendar", "unit": "weekdays", "count": 1, "weekdays": sorted(self.days)}

    @property
    def season(self) -> int:
        return len(self.days)

    @property
    def offset(self) -> pd.DateOffset:
        return pd.offsets.CustomBusinessDay(weekmask=" ".join(WEEKDAYS[day] for day in self.days))


@dataclass(frozen=True)
class Consecutive(Step):
    """From one row to the next, whatever their dates; later dates are counted by a step."""

    step: Step

    @property
    def name(self) -> str:
        return f"{ROWS}:{self.step.name}"

    @property
    def rule(self) -> dict[str, Any]:
        return self.step.rule

    @property
    def season(self) -> int:
        return self.step.season

    @property
    def offset(self) -> pd.DateOffset:
        return self.step.offset

    def after(self, last: pd.Timestamp, count: int) -> pd.DatetimeIndex:
        return self.step.after(last, count)


@dataclass(frozen=True)
class Counted(Step):
    """From one whole number to a later one; the number n stands n seconds after 1970 began."""

    count: int

    @property
    def name(self) -> str:
        return str(self.count)

    @property
    def rule(self) -> dict[str, Any]:
        return {"kind": "count", "count": self.count}

    @property
    def season(self) -> int:
        return 1

    @property
    def offset(self) -> pd.DateOffset:
        return pd.offsets.Second(self.count)


@lru_cache(maxsize=256)
def step_of(name: str) -> Step | None:
    """Return the step of a name, None if it is none."""
    if name.startswith(f"{ROWS}:"):
        inner = step_of(name.removeprefix(f"{ROWS}:"))
        return None if inner is None or isinstance(inner, Consecutive | Counted) else Consecutive(inner)
    if re.fullmatch("[1-9][0-9]{0,8}", name):
        return Counted(int(name))
    if of_month := re.fullmatch("([1-9][0-9]?)?MS-([1-9]|[12][0-9]|3[01])", name):
        return DayOfMonth(int(of_month[1] or 1), int(of_month[2]))
    if days := _weekdays(name):
        return OnWeekdays(days)
    count, unit = re.fullmatch(r"(\d*)(.*)", name, re.DOTALL).groups()
    offset = None
    with suppress(ValueError, AttributeError, OverflowError):
        offset = to_offset(count + _ALIASES.get(unit, unit))
    return None if offset is None or season_of(offset) is None else OfPandas(offset)


def _weekdays(name: str) -> tuple[int, ...]:
    """Return the days of the week of a name like Mon-Sat or Mon,Wed,Fri; none if it is no such name."""
    parts = re.split("[-,]", name)
    if len(parts) < 2 or any(part not in WEEKDAYS for part in parts):
        return ()
    days = [WEEKDAYS.index(part) for part in parts]
    if "-" not in name:
        return tuple(days) if len(set(days)) == len(days) < 7 else ()
    if len(days) != 2 or days[0] == days[1]:
        return ()
    count = (days[1] - days[0]) % 7 + 1
    return tuple((days[0] + i) % 7 for i in range(count)) if count < 7 else ()


def length_of(offset: pd.DateOffset) -> pd.Timedelta | None:
    """Return how long a step is; None where that depends on the calendar, or is longer than pandas can hold."""
    try:
        days = isinstance(offset, pd.offsets.Day)  # which pandas 3.0 takes for no length of time
        return (pd.Timedelta(days=offset.n) if days else pd.Timedelta(offset)).as_unit("ns")
    except (ValueError, OverflowError):
        return None


def season_of(offset: pd.DateOffset) -> int | None:
    """Return the steps per season: a day of shorter steps, a week of days, a year of longer steps.

    None for steps of no or negative length, and of business hours.
    """
    length, calendar = length_of(offset), _CALENDAR_SEASONS.get(offset.rule_code.split("-")[0])
    if offset.n < 1 or (length is None and calendar is None):
        return None
    if length is None:
        return max(1, calendar // offset.n)
    if length < DAY:
        return round(DAY / length)
    return max(1, round((7 if length < 7 * DAY else 364) * DAY / length))
