"""Read the dates of a table: with certainty, or refuse them."""

import re
from dataclasses import dataclass
from datetime import timezone, tzinfo

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import Location, shown
from utils.errors import UserError

DATE = "date"

# A year first; pandas alone also takes "now", "2024.5" (May) and "-1" (two years before Christ) for ISO dates.
_TIME = r"[T ]\s*\d[\d:.,]*"
_OFFSET = r"\s*(Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
_YEAR_FIRST = rf"\d{{4}}(?:\d{{4}}|([-/ ])\d{{1,2}}(?:\1\d{{1,2}})?)?(?:{_TIME}(?:{_OFFSET})?)?"
# Other dates that are read. Where the day may come first or second, the whole column has to decide.
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%b %d, %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_REMEDY = "write dates like 2024-01-31 13:00:00"
_NUMBER = r"[+-]?\d+(?:[.,]\d+)?"


@dataclass(frozen=True)
class Stamps:
    """Dates as they are written.

    Attributes:
        wall: the time of the clock, NaT where a text is no date
        offsets: of each date from UTC
        is_utc: whether the last offset is written as Z
        zone: the time zone of all dates, where it is known
    """

    wall: pd.DatetimeIndex
    offsets: pd.TimedeltaIndex | None = None
    is_utc: bool = False
    zone: tzinfo | None = None

    @property
    def written(self) -> str | None:
        """Return the last offset as ISO writes it, like Z or +02:00; None where there is none."""
        if self.offsets is None:
            return None
        return "Z" if self.is_utc else str(timezone(self.offsets[-1].round("min")))[3:] or "+00:00"


def parse_dates(column: pd.Series, location: Location) -> Stamps:
    """Read a column of dates or of texts; raise UserError if one cannot be read with certainty."""
    is_dates = pd.api.types.is_datetime64_any_dtype(column)
    stamps = stamps_of(pd.DatetimeIndex(column)) if is_dates else _of_texts(column, location)
    unread = np.asarray(stamps.wall.isna())
    if unread.any():
        row = int(np.argmax(unread))
        cell = column.iloc[row]
        problem = "the date is missing" if pd.isna(cell) else f"{shown(cell)} is no date that fits the others"
        is_number = re.fullmatch(_NUMBER, str(cell))
        remedy = " (counts of seconds or days have to be turned into dates first)" if is_number else ""
        where = f"{location.name}, column {column.name!r}, {location.row(row)}"
        raise UserError(f"{where}: {problem}; {_REMEDY}{remedy}.")
    return stamps


def looks_like_dates(texts: pd.Series, location: Location) -> bool:
    """Tell whether texts are dates that rise; years, and days without separators, are such texts too."""
    try:
        wall = _of_texts(texts, location).wall
    except UserError:
        return True  # dates that can be read in two ways
    return not wall.hasnans and bool((np.diff(wall.to_numpy()) >= np.timedelta64(-1, "h")).all())


def are_numbers(texts: pd.Series) -> bool:
    """Tell whether all texts are plain numbers or missing."""
    return bool(texts.str.fullmatch(_NUMBER, na=True).all())


def stripped(column: pd.Series) -> pd.Series:
    """Return the cells as texts without spaces around, missing ones as NaN."""
    return column.astype("str").where(column.notna()).str.strip()


def stamps_of(dates: pd.DatetimeIndex) -> Stamps:
    """Split pandas' dates into the time of the clock and its offsets from UTC."""
    if dates.tz is None:
        return Stamps(_nanoseconds(dates))
    wall, instants = dates.tz_localize(None), dates.tz_convert(None)
    offsets = pd.TimedeltaIndex(wall.to_numpy() - instants.to_numpy())
    return Stamps(_nanoseconds(wall), offsets, zone=dates.tz)


def _of_texts(column: pd.Series, location: Location) -> Stamps:
    texts = stripped(column)
    year_first = texts.str.fullmatch(_YEAR_FIRST, na=False)
    if not year_first.iloc[0]:
        return Stamps(_parse_other_dates(texts, location))
    texts = texts.where(year_first)
    zones = texts.str.extract(rf"{_TIME}{_OFFSET}$", expand=False)
    texts = texts.where(zones.isna() == zones.isna().iloc[0])
    if zones.isna().all():
        return Stamps(_parsed(texts, "ISO8601"))
    wall = _parsed(texts.str.replace(rf"{_OFFSET}$", "", regex=True), "ISO8601")
    return Stamps(wall, wall - _parsed(texts, "ISO8601"), is_utc=zones.iloc[-1] == "Z")


def _parsed(texts: pd.Series, form: str) -> pd.DatetimeIndex:
    """Return texts of one format as dates, in UTC where they have offsets; NaT where one is no such date."""
    return _nanoseconds(pd.to_datetime(texts, format=form, errors="coerce", utc=True))


def _parse_other_dates(texts: pd.Series, location: Location) -> pd.DatetimeIndex:
    """Read dates in the format that fits the most rows; refuse them if two formats fit all rows and disagree."""
    texts = texts.where(texts.str.contains(r"\d", na=False))  # pandas reads "now" and "today" in any format
    formats = [day + time for day in _DAYS for time in _TIMES]
    readings = [_parsed(texts, form) for form in formats if not _parsed(texts[:1], form).hasnans]
    complete = [reading for reading in readings if not reading.hasnans]
    if len(complete) > 1 and not complete[0].equals(complete[1]):
        raise UserError(
            f"{location.name}, column {texts.name!r}, {location.row(0)}: the dates from {shown(texts.iloc[0])} on "
            f"can all be read with the day or the month first; {_REMEDY}."
        )
    nothing = pd.DatetimeIndex([pd.NaT] * len(texts))
    return max(readings, key=lambda reading: reading.notna().sum(), default=nothing)


def _nanoseconds(dates: pd.Series | pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return dates in nanoseconds; NaT for years that these cannot hold (before 1678, after 2261)."""
    index = pd.DatetimeIndex(dates).tz_localize(None)
    lowest, highest = pd.Timestamp(1678, 1, 1), pd.Timestamp(2262, 1, 1)
    return index.where((index >= lowest) & (index < highest)).as_unit("ns")
