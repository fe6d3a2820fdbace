"""A CSV file as a checked table: sorted dates and finite numbers, or a message that names the place."""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from utils.errors import UserError

DATE = "date"
LARGEST = 1e100  # beyond it the squares of a column no longer fit in a float

# A year first; pandas alone also takes "now", "2024.5" (May) and "-1" (two years before Christ) for ISO dates.
_YEAR_FIRST = r"\d{4}(?:\d{4}|([-/ ])\d{1,2}(?:\1\d{1,2})?)?(?:[T ]\s*\d.*)?"
_ZONE = r":\d\d[\d.,]*\s*(Z|[+-]\d\d(?::?\d\d)?)$"
# Other dates that are read. Where the day may come first or second, the whole column has to decide.
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%b %d, %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_REMEDY = "write dates like 2024-01-31 13:00:00"


@dataclass(frozen=True)
class Frame:
    """A multivariate series.

    Attributes:
        dates: T time stamps, rising. values: (T, C) float64, finite. columns: C names.
        source: what to call it in messages. notes: what is odd but allowed.
    """

    dates: pd.DatetimeIndex
    values: np.ndarray
    columns: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()

    def select(self, features: str, target: str) -> "Frame":
        """The channels of a run: all of them with the target last (M, MS), or the target alone (S).

        Raises:
            UserError: there is no such target.
        """
        if target not in self.columns:
            raise UserError(
                f"{self.source} has no column {target!r} (--target); its columns are {_listing(self.columns)}."
            )
        others = () if features == "S" else tuple(name for name in self.columns if name != target)
        columns = (*others, target)
        order = [self.columns.index(name) for name in columns]
        return replace(self, values=np.ascontiguousarray(self.values[:, order]), columns=columns)

    def line(self, row: int) -> int:
        """The line of the file where ``row`` begins, for messages."""
        return _line(Path(self.source), row)


def read_frame(path: Path, irregular_dates: bool = False) -> Frame:
    """Read a CSV file with a ``date`` column and one numeric column per channel.

    Args:
        path: the file. irregular_dates: accept unsorted and duplicate dates, with a note.

    Raises:
        UserError: anything in the file that cannot be used, with column and line.
    """
    names = _header(path)
    table = _parse(path, names)
    dates, notes = _dates(table[DATE], path, irregular_dates)
    columns = tuple(name for name in names if name != DATE)
    values = np.column_stack([_numbers(table[name], path) for name in columns])
    return Frame(dates, values, columns, str(path), notes)


def _header(path: Path) -> list[str]:
    """The names of the columns, checked."""
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "is no file" if os.path.exists(path) else "does not exist"
        raise UserError(f"Data file {path} {what}; check --root_path and --data_path.")
    try:
        _, header = next(_records(path), (1, None))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a UTF-8 text file; save it as CSV in UTF-8.") from error
    except (csv.Error, OSError) as error:
        raise UserError(f"{path} is not a readable CSV file: {error}.") from error
    if header is None:
        raise UserError(f"{path} is empty.")
    names = [name.strip() for name in header]
    if not any(names):
        raise UserError(f"{path}, line 1: it is blank; it has to name the columns.")
    if DATE not in names:
        hint = " Columns are separated by commas." if len(names) == 1 else ""
        raise UserError(f"{path} has no column {DATE!r}; its columns are {_listing(names)}.{hint}")
    if "" in names:
        raise UserError(f"{path}, line 1: column {names.index('') + 1} has no name; name it or remove it.")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise UserError(f"{path} has more than one column called {_shown(twice)}; rename them.")
    if names == [DATE]:
        raise UserError(f"{path} has no column beside {DATE!r}: there is nothing to forecast.")
    return names


def _parse(path: Path, names: list[str]) -> pd.DataFrame:
    """The rows as pandas reads them: the date as text, a row for every line but blank ones at the end."""
    try:
        table = pd.read_csv(
            path, names=names, header=0, dtype={DATE: str}, skip_blank_lines=False, low_memory=False, compression=None
        )
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a UTF-8 text file; save it as CSV in UTF-8.") from error
    except (pd.errors.ParserError, ValueError, OverflowError, OSError) as error:
        _check_fields(path, names)
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        unclosed = re.fullmatch(r"EOF inside string starting at row (\d+)", reason)
        if unclosed:
            reason = f"a quote in line {_line(path, int(unclosed[1]) - 1)} is never closed"
        raise UserError(f"{path} is not a readable CSV file: {reason}.") from error
    if not isinstance(table.index, pd.RangeIndex):
        _check_fields(path, names)
    table[DATE] = table[DATE].str.strip().replace("", None)
    written = table.notna().any(axis=1).to_numpy().nonzero()[0]
    if not len(written):
        raise UserError(f"{path} has a header but no rows.")
    return table.iloc[: written[-1] + 1]


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each record of the file, the header first, and the line where it begins; quoted cells may span lines."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        line = 1
        for record in reader:
            yield line, record
            line = reader.line_num + 1


def _check_fields(path: Path, names: list[str]) -> None:
    """Point out the first line with more fields than the header; called once pandas has stumbled."""
    try:
        for line, record in _records(path):
            if len(record) > len(names):
                raise UserError(
                    f"{path}, line {line}: it has {len(record)} fields, but the header names {len(names)} columns."
                )
    except (csv.Error, OSError, UnicodeDecodeError):
        return


def _line(path: Path, row: int) -> int:
    """The line where ``row`` begins. The file is read again: this is asked once, for a message."""
    try:
        return next(line for i, (line, _) in enumerate(_records(path)) if i == row + 1)
    except (StopIteration, csv.Error, OSError, UnicodeDecodeError):
        return row + 2


def _dates(texts: pd.Series, path: Path, irregular_dates: bool) -> tuple[pd.DatetimeIndex, tuple[str, ...]]:
    dates, notes = _parse_dates(texts, path)
    unread = np.asarray(dates.isna())
    if unread.any():
        row = int(np.argmax(unread))
        text = texts.iloc[row]
        problem = "the date is missing" if pd.isna(text) else f"{_shown(text)} is no date that fits the others"
        raise UserError(f"{path}, column {DATE!r}, line {_line(path, row)}: {problem}; {_REMEDY}.")
    steps = np.diff(dates.to_numpy())
    still = np.timedelta64(0, "ns")
    for name, wrong in (("a duplicate", steps == still), ("earlier than the line before", steps < still)):
        if not wrong.any():
            continue
        row = int(np.argmax(wrong)) + 1
        place = f"line {_line(path, row)} ({texts.iloc[row]}) is {name}"
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
            f"{path}, column {DATE!r}, line {_line(path, 0)}: the dates from {_shown(texts.iloc[0])} on "
            f"can all be read with the day or the month first; {_REMEDY}."
        )
    nothing = pd.DatetimeIndex([pd.NaT] * len(texts))
    return max(readings, key=lambda reading: int(reading.notna().sum()), default=nothing)


def _nanoseconds(dates: pd.Series) -> pd.DatetimeIndex:
    """One unit whatever the file's precision; NaT for years that it cannot hold (before 1678, after 2261)."""
    index = pd.DatetimeIndex(dates).tz_localize(None)
    lowest, highest = pd.Timestamp(1678, 1, 1), pd.Timestamp(2262, 1, 1)
    return index.where((index >= lowest) & (index < highest)).as_unit("ns")


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    usable = np.isfinite(numbers) & (np.abs(numbers) < LARGEST)
    if usable.all():
        return numbers
    row = int(np.argmin(usable))
    cell, count = column.iloc[row], int((~usable).sum())
    if pd.isna(cell):
        problem = "the value is missing (NaN)"
    elif np.isnan(numbers[row]):
        problem = f"{_shown(cell)} is not a number"
    elif np.isinf(numbers[row]):
        problem = f"{_shown(cell)} is infinite"
    else:
        problem = f"{_shown(cell)} is too large to be standardised"
    raise UserError(
        f"{path}, column {_shown(column.name)}, line {_line(path, row)}: {problem}; "
        f"{count} cell(s) of this column cannot be used. Fill or correct them first."
    )


def _shown(cell: object) -> str:
    """A name or a cell for a message: quoted, no longer than a line."""
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(name if name.isprintable() and len(name) <= 60 else _shown(name) for name in names[:12])
    return shown if len(names) <= 12 else f"{shown}, … ({len(names)} in all)"
