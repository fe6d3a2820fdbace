"""A CSV file as a checked table: sorted dates and finite numbers, or a message that names the place."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from utils.errors import UserError

DATE = "date"
FIRST_LINE = 2  # the line of the first row, after the header
LARGEST = 1e100  # beyond it the squares of a column no longer fit in a float


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


def read_frame(path: Path, irregular_dates: bool = False) -> Frame:
    """Read a CSV file with a ``date`` column and one numeric column per channel.

    Args:
        path: the file. irregular_dates: accept unsorted and duplicate dates, with a note.

    Raises:
        UserError: anything in the file that cannot be used, with column and line.
    """
    table = _parse(path)
    if DATE not in table.columns:
        raise UserError(f"{path} has no column {DATE!r}; its columns are {_listing(table.columns)}.")
    if len(table) == 0:
        raise UserError(f"{path} has a header but no rows.")
    columns = tuple(name for name in table.columns if name != DATE)
    if not columns:
        raise UserError(f"{path} has no column beside {DATE!r}: there is nothing to forecast.")
    dates, notes = _dates(table[DATE], path, irregular_dates)
    values = np.column_stack([_numbers(table[name], path) for name in columns])
    return Frame(dates, values, columns, str(path), notes)


def _parse(path: Path) -> pd.DataFrame:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"Data file {path} {what}; check --root_path and --data_path.")
    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        table = pd.read_csv(path, dtype={DATE: str}, skip_blank_lines=False, low_memory=False)
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{path} is empty.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a UTF-8 text file; save it as CSV in UTF-8.") from error
    except (pd.errors.ParserError, ValueError, OSError) as error:
        raise UserError(f"{path} is not a readable CSV file: {str(error).strip()}.") from error
    names = [str(name) for name in header.iloc[0]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path} has more than one column called {twice[0]!r}; rename them.")
    if len(names) != table.shape[1] or not isinstance(table.index, pd.RangeIndex):
        raise UserError(f"{path}: its rows have more fields than its header, which names {len(names)} columns.")
    table.columns = names
    written = table.notna().any(axis=1).to_numpy().nonzero()[0]
    return table.iloc[: written[-1] + 1 if len(written) else 0]  # blank lines at the end are no rows


def _dates(texts: pd.Series, path: Path, irregular_dates: bool) -> tuple[pd.DatetimeIndex, tuple[str, ...]]:
    dates = _parse_dates(texts)
    if dates is None or dates.isna().any():
        row = 0 if dates is None else int(np.argmax(dates.isna()))
        raise UserError(
            f"{path}, column {DATE!r}, line {row + FIRST_LINE}: {texts.iloc[row]!r} is no date that fits the others; "
            "write dates like 2024-01-31 13:00:00."
        )
    if dates.tz is not None:
        dates = dates.tz_localize(None)
    steps = np.diff(dates.to_numpy())
    for name, wrong in (("a duplicate", steps == np.timedelta64(0)), ("earlier than the line before", steps < 0)):
        if not wrong.any():
            continue
        row = int(np.argmax(wrong)) + 1
        place = f"line {row + FIRST_LINE} ({texts.iloc[row]}) is {name}"
        if not irregular_dates:
            raise UserError(
                f"{path}, column {DATE!r}: {place}, and {int(wrong.sum())} such line(s) in all; "
                "sort the file by date, one row a date."
            )
        return dates, (f"its dates are irregular: {place}; the rows are taken in the order of the file",)
    return dates, ()


def _parse_dates(texts: pd.Series) -> pd.DatetimeIndex | None:
    """ISO 8601 in any of its lengths, else one common format; None where no date can be read at all."""
    for options in ({"format": "ISO8601"}, {}):
        try:
            return pd.DatetimeIndex(pd.to_datetime(texts, errors="raise", **options))
        except (ValueError, TypeError, OverflowError):
            continue
    try:
        iso = pd.DatetimeIndex(pd.to_datetime(texts, errors="coerce", format="ISO8601"))
    except (ValueError, TypeError, OverflowError):
        return None
    return None if iso.isna().all() else iso


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
        problem = f"{cell!r} is not a number"
    elif np.isinf(numbers[row]):
        problem = f"{cell!r} is infinite"
    else:
        problem = f"{cell!r} is too large to be standardised"
    raise UserError(
        f"{path}, column {column.name!r}, line {row + FIRST_LINE}: {problem}; "
        f"{count} cell(s) of this column cannot be used. Fill or correct them first."
    )


def _listing(names: object) -> str:
    names = [str(name) for name in names]  # type: ignore[attr-defined]
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown}, … ({len(names)} in all)"
