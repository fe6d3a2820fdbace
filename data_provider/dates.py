"""The dates of a CSV file: read with certainty or refused, never guessed."""

from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.lines import line_of, shown
from utils.errors import UserError

DATE = "date"

# A year first; pandas alone also takes "now", "2024.5" (May) and "-1" (two years before Christ) for ISO dates.
_YEAR_FIRST = r"\d{4}(?:\d{4}|([-/ ])\d{1,2}(?:\1\d{1,2})?)?(?:[T ]\s*\d.*)?"
_ZONE = r":\d\d[\d.,]*\s*(Z|[+-]\d\d(?::?\d\d)?)$"
# Other dates that are read. Where the day may come first or second, the whole column has to decide.
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%b %d, %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_REMEDY = "write dates like 2024-01-31 13:00:00"


def read_dates(texts: pd.Series, path: Path, irregular_dates: bool) -> tuple[pd.DatetimeIndex, tuple[str, ...]]:
    """Parse the ``date`` column of a file; the dates, and notes on what is odd but allowed.

    Args:
        texts: the cells. path: the file, for messages. irregular_dates: accept unsorted and duplicate dates.

    Raises:
        UserError: a date is missing, cannot be read with certainty, or is not later than the one before.
    """
    dates, notes = _parse_dates(texts, path)
    unread = np.asarray(dates.isna())
    if unread.any():
        row = int(np.argmax(unread))
        text = texts.iloc[row]
        problem = "the date is missing" if pd.isna(text) else f"{shown(text)} is no date that fits the others"
        raise UserError(f"{path}, column {DATE!r}, line {line_of(path, row)}: {problem}; {_REMEDY}.")
    steps = np.diff(dates.to_numpy())
    still = np.timedelta64(0, "ns")
    for name, wrong in (("a duplicate", steps == still), ("earlier than the line before", steps < still)):
        if not wrong.any():
            continue
        row = int(np.argmax(wrong)) + 1
        place = f"line {line_of(path, row)} ({texts.iloc[row]}) is {name}"
        if not irregular_dates:
            raise UserError(
                f"{path}, column {DATE!r}: {place}, and {int(wrong.sum())} such line(s) in all; "
                "sort the file by date, one row a date."
            )
        note = f"its dates are irregular: {place}; the rows are taken in the order of the file"
        return dates, (*notes, note)
    return dates, notes


def _parse_dates(texts: pd.Series, path: Path) -> tuple[pd.DatetimeIndex, tuple[str, ...]]:
    """The dates, NaT where a text is none, and notes.

    The first row chooses the format. Local time stays local where every row has the same offset from UTC.
    """
    year_first = texts.str.fullmatch(_YEAR_FIRST, na=False)
    if not year_first.iloc[0]:
        return _parse_other_dates(texts, path), ()
    texts = texts.where(year_first)
    zones = texts.str.extract(_ZONE, expand=False)
    texts = texts.where(zones.isna() == zones.isna().iloc[0])
    if zones.nunique() > 1:
        dates = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
        return _nanoseconds(dates), ("its offsets from UTC change; the dates are read as UTC",)
    local = texts.str.replace(r"\s*(?:Z|[+-]\d\d(?::?\d\d)?)$", "", regex=True) if zones.notna().any() else texts
    return _nanoseconds(pd.to_datetime(local, format="ISO8601", errors="coerce")), ()


def _parse_other_dates(texts: pd.Series, path: Path) -> pd.DatetimeIndex:
    texts = texts.where(texts.str.contains(r"\d", na=False))  # "now" and "today" are read in any format
    first = texts.iloc[:1]
    formats = (day + time for day in _DAYS for time in _TIMES)
    fitting = [f for f in formats if pd.to_datetime(first, format=f, errors="coerce").notna().item()]
    readings = [_nanoseconds(pd.to_datetime(texts, format=f, errors="coerce")) for f in fitting]
    complete = [reading for reading in readings if not reading.hasnans]
    if len(complete) > 1 and not complete[0].equals(complete[1]):
        raise UserError(
            f"{path}, column {DATE!r}, line {line_of(path, 0)}: the dates from {shown(texts.iloc[0])} on "
            f"can all be read with the day or the month first; {_REMEDY}."
        )
    nothing = pd.DatetimeIndex([pd.NaT] * len(texts))
    return max(readings, key=lambda reading: int(reading.notna().sum()), default=nothing)


def _nanoseconds(dates: pd.Series) -> pd.DatetimeIndex:
    """One unit whatever the file's precision; NaT for years that it cannot hold (before 1678, after 2261)."""
    index = pd.DatetimeIndex(dates).tz_localize(None)
    lowest, highest = pd.Timestamp(1678, 1, 1), pd.Timestamp(2262, 1, 1)
    return index.where((index >= lowest) & (index < highest)).as_unit("ns")
