"""A CSV file as a checked table: sorted dates and finite numbers, or a message that names the place."""

import csv
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.dates import DATE, read_dates
from data_provider.lines import line_of, listing, records, shown
from utils.errors import UserError

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
                f"{self.source} has no column {target!r} (--target); its columns are {listing(self.columns)}."
            )
        others = () if features == "S" else tuple(name for name in self.columns if name != target)
        columns = (*others, target)
        order = [self.columns.index(name) for name in columns]
        return replace(self, values=np.ascontiguousarray(self.values[:, order]), columns=columns)

    def line(self, row: int) -> int:
        """The line of the file where ``row`` begins, for messages."""
        return line_of(Path(self.source), row)


def read_frame(path: Path, irregular_dates: bool = False) -> Frame:
    """Read a CSV file with a ``date`` column and one numeric column per channel.

    Args:
        path: the file. irregular_dates: accept unsorted and duplicate dates, with a note.

    Raises:
        UserError: anything in the file that cannot be used, with column and line.
    """
    names = _header(path)
    table = _parse(path, names)
    dates, notes = read_dates(table[DATE], path, irregular_dates)
    columns = tuple(name for name in names if name != DATE)
    values = np.column_stack([_numbers(table[name], path) for name in columns])
    return Frame(dates, values, columns, str(path), notes)


def _header(path: Path) -> list[str]:
    """The names of the columns, checked."""
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "is no file" if os.path.exists(path) else "does not exist"
        raise UserError(f"Data file {path} {what}; check --root_path and --data_path.")
    try:
        _, header = next(records(path), (1, None))
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
        raise UserError(f"{path} has no column {DATE!r}; its columns are {listing(names)}.{hint}")
    if "" in names:
        raise UserError(f"{path}, line 1: column {names.index('') + 1} has no name; name it or remove it.")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise UserError(f"{path} has more than one column called {shown(twice)}; rename them.")
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
            reason = f"a quote in line {line_of(path, int(unclosed[1]) - 1)} is never closed"
        raise UserError(f"{path} is not a readable CSV file: {reason}.") from error
    if not isinstance(table.index, pd.RangeIndex):
        _check_fields(path, names)
    table[DATE] = table[DATE].str.strip().replace("", None)
    written = table.notna().any(axis=1).to_numpy().nonzero()[0]
    if not len(written):
        raise UserError(f"{path} has a header but no rows.")
    return table.iloc[: written[-1] + 1]


def _check_fields(path: Path, names: list[str]) -> None:
    """Point out the first line with more fields than the header; called once pandas has stumbled."""
    try:
        for line, record in records(path):
            if len(record) > len(names):
                raise UserError(
                    f"{path}, line {line}: it has {len(record)} fields, but the header names {len(names)} columns."
                )
    except (csv.Error, OSError, UnicodeDecodeError):
        return


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    if pd.api.types.is_bool_dtype(column):
        raise UserError(f"{path}, column {shown(column.name)} holds True and False, not numbers; write 1 and 0.")
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    usable = np.isfinite(numbers) & (np.abs(numbers) < LARGEST)
    if usable.all():
        return numbers
    row = int(np.argmin(usable))
    cell, count = column.iloc[row], int((~usable).sum())
    if pd.isna(cell):
        problem = "the value is missing (NaN)"
    elif np.isnan(numbers[row]):
        problem = f"{shown(cell)} is not a number"
    elif np.isinf(numbers[row]):
        problem = f"{shown(cell)} is infinite"
    else:
        problem = f"{shown(cell)} is too large to be standardised"
    raise UserError(
        f"{path}, column {shown(column.name)}, line {line_of(path, row)}: {problem}; "
        f"{count} cell(s) of this column cannot be used. Fill or correct them first."
    )
