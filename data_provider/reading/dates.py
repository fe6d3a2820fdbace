"""Read the dates of a table: with certainty, or refuse them."""

import re
from dataclasses import dataclass, replace
from datetime import timezone, tzinfo

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import Location, shown
from data_provider.reading.frequency import exact_frequency
from data_provider.reading.periods import read_periods
from utils.errors import UserError

DATE = "date"
COUNT = "count"  # the form of dates that are whole numbers: n stands n seconds after 1970 began
MOST_COUNT = 10_000_000
ENOUGH = 12  # dates whose order of day and month a regular step decides

# A year first; pandas alone also takes "now", "2024.5" (May) and "-1" (two years before Christ) for ISO dates.
_TIME = r"[T ]\s*\d[\d:.,]*"
_OFFSET = r"\s*(Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
_MONTH_DAY = "|".join(rf"{mark}\d{{1,2}}(?:{mark}\d{{1,2}})?" for mark in "-/ ")
_YEAR_FIRST = rf"\d{{4}}(?:\d{{4}}|{_MONTH_DAY})?(?:{_TIME}(?:{_OFFSET})?)?"
# A day and a time of it, which may be left out at midnight.
_CLOCK = r"(?P<h>\d{1,2})(?::(?P<m>\d{2})(?::(?P<s>\d{2}(?:[.,]\d+)?))?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
_DAY_AND_TIME = rf"(?P<day>.*?\d.*?)(?:(?:\s+|,\s*|T)(?P<time>(?=[^ ]*:|\d+\s*[AaPp]\.?[Mm]){_CLOCK}))?"
TIME_OF_DAY = re.compile(
    r"(?:\d{1,2}(?:[:.]\d{2}){1,2}\s*(?:[AaPp]\.?[Mm]\.?)?|\d{1,2}\s*[AaPp]\.?[Mm]\.?)(?:\s*-\s*\d.*)?"
)
_WEEKDAY = r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+(?=\d|[a-z])"
_INTERVAL = r"(.*\d)\s+(?:-|–|to|bis)\s+\d.*|(\d{4}-.*)/\d{4}-.*"
# Other dates that are read. Where the day may come first or second, the whole column has to decide.
_DAYS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y",
    "%d.%m.%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%b %d, %Y", "%B %d %Y", "%B %d, %Y",
    "%d%b%Y", "%G-W%V-%u", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d",
)  # fmt: skip
_REMEDY = "write dates like 2024-01-31 13:00:00"
_NUMBER = r"[+-]?\d+(?:[.,]\d+)?"
_CELL = re.compile(
    r"[^\w]{0,2}[\d.,]*\d[\d.,]*\s*(?:[eE][+-]?\d+|\W|[kKMBb]|[kM]?\w{0,2})?\)?|\d.*[-/. :]\d.*|\d{4}-?[QWM]\d+"
    r"|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*"
)
# Numbers that count time, by the numbers of their digits: from when, in which unit.
_EPOCHS = {(9, 10): "s", (12, 13): "ms", (15, 16): "us", (18, 19): "ns"}
_STAMPS = {10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_SERIAL = (20_000, 80_000)  # Excel's days, of 1954 to 2119


@dataclass(frozen=True)
class Stamps:
    """Dates as they are written.

    Attributes:
        wall: the time of the clock, NaT where a text is no date
        offsets: of each date from UTC
        is_utc: whether the last offset is written as Z
        zone: the time zone of all dates, where it is known
        form: how they are written, where they are no ISO dates: ``count``, or a pattern of ``periods``
        notes: what was decided
    """

    wall: pd.DatetimeIndex
    offsets: pd.TimedeltaIndex | None = None
    is_utc: bool = False
    zone: tzinfo | None = None
    form: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def written(self) -> str | None:
        """Return the last offset as ISO writes it, like Z or +02:00; None where there is none."""
        if self.offsets is None:
            return None
        return "Z" if self.is_utc else str(timezone(self.offsets[-1].round("min")))[3:] or "+00:00"

    def take(self, rows: np.ndarray) -> "Stamps":
        """Return the dates of some rows, in their order."""
        offsets = None if self.offsets is None else self.offsets[rows]
        return replace(self, wall=self.wall[rows], offsets=offsets)


def parse_dates(column: pd.Series, location: Location) -> Stamps:
    """Read a column of dates or of texts, which knows its rows by its index; raise UserError if one cannot be read."""
    is_dates = pd.api.types.is_datetime64_any_dtype(column)
    stamps = stamps_of(pd.DatetimeIndex(column)) if is_dates else _of_texts(stripped(column), location)
    unread = np.asarray(stamps.wall.isna())
    if unread.any():
        where = f"{location.name}, column {column.name!r}, {location.row(int(column.index[np.argmax(unread)]))}"
        cell = column.iloc[int(np.argmax(unread))]
        problem = "the date is missing" if pd.isna(cell) else f"{shown(cell)} is no date that fits the others"
        raise UserError(f"{where}: {problem}; {_REMEDY}, or name the column of dates with --date_col (none: no dates).")
    return stamps


def is_no_date(cell: pd.Series, location: Location) -> bool:
    """Tell whether a single cell of a column of dates is none."""
    if pd.api.types.is_datetime64_any_dtype(cell):
        return cell.isna().item()
    try:
        return _of_texts(stripped(cell), location).wall.hasnans
    except UserError:  # a date that can be read in two ways
        return False


def looks_like_dates(texts: pd.Series, location: Location) -> bool:
    """Tell whether all texts are dates; those that can be read in two ways are."""
    try:
        stamps = _of_texts(texts, location)
    except UserError:
        return True
    return not stamps.wall.hasnans and stamps.form != COUNT


def are_numbers(texts: pd.Series) -> bool:
    """Tell whether all texts are plain numbers or missing."""
    return bool(texts.str.fullmatch(_NUMBER, na=True).all())


def is_date_or_number(cell: str) -> bool:
    """Tell whether a cell looks like data, and not like the name of a column."""
    return bool(_CELL.fullmatch(cell.strip()))


def stripped(column: pd.Series) -> pd.Series:
    """Return the cells as texts without spaces around, missing ones as NaN."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")  # 2024 is no year where it is written 2024.0
    texts = column.astype("str").where(column.notna()).str.strip()
    return texts.where(texts != "")


def stamps_of(dates: pd.DatetimeIndex) -> Stamps:
    """Split pandas' dates into the time of the clock and its offsets from UTC."""
    if dates.tz is None:
        return Stamps(_nanoseconds(dates))
    wall, instants = dates.tz_localize(None), dates.tz_convert(None)
    offsets = pd.TimedeltaIndex(wall.to_numpy() - instants.to_numpy())
    return Stamps(_nanoseconds(wall), offsets, zone=dates.tz)


def _of_texts(texts: pd.Series, location: Location) -> Stamps:
    """Read texts in the first way that fits the first of them."""
    first, notes = str(texts.iloc[0]) if len(texts) else "", ()
    if "年" in first:
        texts = texts.str.replace("[年月](?=.)", "-", regex=True).str.replace("[月日]", "", regex=True)
        first = texts.iloc[0]
    if re.fullmatch(_INTERVAL, first):
        begins = texts.str.extract(_INTERVAL)
        texts = begins[0].fillna(begins[1]).str.strip().rename(texts.name)
        first, notes = str(texts.iloc[0]), ("its dates are intervals; each is taken by its beginning",)
    form, wall = read_periods(texts)
    if form:
        return Stamps(_nanoseconds(wall), form=form, notes=notes)
    if re.fullmatch(_NUMBER, first) and are_numbers(texts) and (counted := _of_numbers(texts)) is not None:
        return counted
    if re.fullmatch(_YEAR_FIRST, first):
        stamps = _of_iso(texts.where(texts.str.fullmatch(_YEAR_FIRST, na=False)))
        # A clock of 24 or twice 12 hours is read below.
        if not stamps.wall.hasnans or not texts.str.contains(r"[T ]24:|[ap]\.?m", case=False, na=False).any():
            return replace(stamps, notes=notes)
    wall, said = _parse_other_dates(texts, location)
    return Stamps(wall, notes=(*notes, *said))


def _of_iso(texts: pd.Series) -> Stamps:
    zones = texts.str.extract(rf"{_TIME}{_OFFSET}$", expand=False)
    texts = texts.where(zones.isna() == zones.isna().iloc[0])
    if zones.isna().all():
        return Stamps(_parsed(texts, "ISO8601"))
    wall = _parsed(texts.str.replace(rf"{_OFFSET}$", "", regex=True), "ISO8601")
    return Stamps(wall, wall - _parsed(texts, "ISO8601"), is_utc=zones.iloc[-1] == "Z")


def _of_numbers(texts: pd.Series) -> Stamps | None:
    """Read numbers as dates without separators, seconds since 1970, Excel's days or a count; None if they are none."""
    numbers = texts.str.replace(",", ".").astype(np.float64)
    if numbers.isna().any() or not len(numbers):
        return None
    digits, (low, high) = len(f"{numbers.abs().max():.0f}"), (numbers.min(), numbers.max())
    is_whole = bool((numbers % 1 == 0).all())
    if digits in (4, 8) and is_whole:
        return None  # years, or days without separators
    if digits in _STAMPS and is_whole and texts.str.match(r"(?:19|20)\d\d").all():
        wall = _parsed(texts, _STAMPS[digits])
        if not wall.hasnans:
            return Stamps(wall)
    if _SERIAL[0] <= low and high < _SERIAL[1]:
        wall = pd.DatetimeIndex(pd.Timestamp(1899, 12, 30) + pd.to_timedelta(numbers, unit="D")).round("s")
        return Stamps(_nanoseconds(wall), notes=("its dates are numbers, read as days as Excel counts them",))
    unit = next((unit for lengths, unit in _EPOCHS.items() if digits in lengths and low > 0), None)
    if unit and len(f"{low:.0f}") in next(lengths for lengths, name in _EPOCHS.items() if name == unit):
        is_plain = not texts.str.contains(".", regex=False).any()
        whole = texts.astype("int64") if is_plain else numbers  # nanoseconds have more digits than a float
        name = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
        return Stamps(
            _nanoseconds(pd.DatetimeIndex(pd.to_datetime(whole, unit=unit))),
            notes=(f"its dates are numbers, read as {name} since 1970 began, in UTC",),
        )
    steps = np.diff(numbers)
    if is_whole and len(numbers) > 1 and steps[0] and (steps == steps[0]).all() and numbers.abs().max() < MOST_COUNT:
        return Stamps(count_of(numbers.to_numpy()), form=COUNT)
    return None


def count_of(numbers: np.ndarray) -> pd.DatetimeIndex:
    """Return whole numbers as the dates that stand for them: seconds after 1970 began."""
    return pd.DatetimeIndex(np.asarray(numbers, dtype="int64").astype("datetime64[s]")).as_unit("ns")


def _parsed(texts: pd.Series, form: str) -> pd.DatetimeIndex:
    """Return texts of one format as dates, in UTC where they have offsets; NaT where one is no such date."""
    return _nanoseconds(pd.to_datetime(texts, format=form, errors="coerce", utc=True))


def _parse_other_dates(texts: pd.Series, location: Location) -> tuple[pd.DatetimeIndex, tuple[str, ...]]:
    """Read dates in the format that fits the most rows; refuse them if two formats fit all rows and disagree."""
    parts = texts.str.extract(rf"^{_DAY_AND_TIME}$")
    codes, days = pd.factorize(parts["day"])
    days = pd.Series(days, dtype="str").str.replace(_WEEKDAY, "", regex=True, case=False).str.rstrip(",")
    times = _times(parts)
    readings = []
    for form in _DAYS:
        if not _parsed(days[:1], form).hasnans:
            found = _parsed(days, form).append(pd.DatetimeIndex([pd.NaT], dtype="datetime64[ns]"))
            readings.append(found.take(codes) + times)
    complete = [reading for reading in readings if not reading.hasnans]
    notes: tuple[str, ...] = ()
    if len(complete) > 1 and not complete[0].equals(complete[1]):
        regular = [dates for dates in complete if len(dates) >= ENOUGH and exact_frequency(dates) is not None]
        if len(regular) != 1:
            raise UserError(
                f"{location.name}, column {texts.name!r}, {location.row(int(texts.index[0]))}: the dates from "
                f"{shown(texts.iloc[0])} on can all be read with the day or the month first; {_REMEDY}."
            )
        complete = regular
        notes = (f"its dates are read as {complete[0][0]:%Y-%m-%d}, …, with which alone they have a regular step",)
    nothing = pd.DatetimeIndex([pd.NaT] * len(texts))
    return (complete[0] if complete else max(readings, key=lambda one: one.notna().sum(), default=nothing)), notes


def _times(parts: pd.DataFrame) -> pd.TimedeltaIndex:
    """Return the times of the day as spans, 24:00 as a day; midnight where there is none, NaT if it is no time."""
    hours, minutes = (pd.to_numeric(parts[name]).fillna(0) for name in ("h", "m"))
    seconds = pd.to_numeric(parts["s"].str.replace(",", ".")).fillna(0)
    half = parts["half"].str[0].str.lower()
    in_halves = half.notna()
    hours = hours.where(~in_halves | (hours < 13), 99).where(~in_halves, hours % 12 + 12 * (half == "p"))
    wrong = (hours > 24) | (minutes > 59) | (seconds >= 60) | ((hours == 24) & (minutes + seconds > 0))
    wrong |= in_halves & (pd.to_numeric(parts["h"]) > 12)
    total = (hours * 3600 + minutes * 60).astype("int64") * 10**9 + (seconds * 1e9).round().astype("int64")
    return pd.TimedeltaIndex(total.where(~wrong).astype("timedelta64[ns]"))


def _nanoseconds(dates: pd.Series | pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return dates in nanoseconds; NaT for years that these cannot hold (before 1678, after 2261)."""
    index = pd.DatetimeIndex(dates).tz_localize(None)
    lowest, highest = pd.Timestamp(1678, 1, 1), pd.Timestamp(2262, 1, 1)
    return index.where((index >= lowest) & (index < highest)).as_unit("ns")
