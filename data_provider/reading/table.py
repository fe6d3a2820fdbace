"""A table as it was written: dates on one clock and numbers, with its gaps and missing values."""

import re
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.config import DataConfig, check_fill
from data_provider.datasets import DatasetSpec
from data_provider.reading.columns import checked_names, choose_dates, choose_numbers, differences
from data_provider.reading.csv_rows import Place, records, shown
from data_provider.reading.dates import DATE, looks_like_dates, parse_dates
from data_provider.reading.dialect import UNREADABLE, Dialect, find_dialect, not_text
from data_provider.reading.frequency import infer_frequency
from data_provider.reading.grid import Grid, find_grid
from data_provider.reading.numbers import MISSING, decimal_mark, read_numbers
from data_provider.reading.timezones import on_one_clock
from utils.errors import UserError

NOTHING = "\0"  # name of what comes after a separator at the end of a line
DATE_LIKE = re.compile(r"\d[-/. ]\d|\d{8}|\d:\d\d")  # looked for first: trying every format takes its time
PEEK = 50  # rows that the column of dates is chosen by


@dataclass(frozen=True)
class Reading:
    """How a table is to be read.

    Attributes:
        date_col: the column of dates; None for ``date``, else the first that holds dates.
        freq: the step between rows; None to infer it. fill: ``linear`` or ``ffill`` for gaps and missing values.
        columns: read these alone, in this order; None for all in the table's order.
        published: a published data set, used as it is: its gaps are no error. irregular_dates: nor are unsorted dates.
    """

    date_col: str | None = None
    freq: str | None = None
    fill: str | None = None
    columns: tuple[str, ...] | None = None
    published: bool = False
    irregular_dates: bool = False

    def __post_init__(self) -> None:
        check_fill(self.fill)


def reading(config: DataConfig, spec: DatasetSpec) -> Reading:
    """How the file of a configuration is to be read."""
    return Reading(
        date_col=config.date_col,
        freq=config.freq,
        fill=config.fill,
        published=spec.folder is not None and config.fill is None,
        irregular_dates=spec.irregular_dates and config.fill is None,
    )


@dataclass(frozen=True)
class Table:
    """A table before gaps and missing values are dealt with.

    Attributes:
        grid: the dates from first to last, and which of them there are. values: (T, C), NaN where missing.
        columns: C names. date_column: name of the dates' own. offset, zone: of their clock, if known.
        place: where it comes from. notes: what is odd but allowed. decimal: its decimal mark.
    """

    grid: Grid
    values: np.ndarray
    columns: tuple[str, ...]
    date_column: str
    offset: str | None
    zone: tzinfo | None
    place: Place
    notes: tuple[str, ...]
    decimal: str = "."


def read_table(path: Path, reading: Reading) -> Table:
    """Read a CSV file.

    Raises:
        UserError: anything in the file that cannot be used, with column and line.
    """
    dialect = find_dialect(path)
    place = Place(str(path), dialect)
    names = _header(path, dialect)
    date_column, notes = choose_dates(_parse(path, names, dialect, {}, PEEK), names, reading.date_col, place)
    wanted = choose_numbers(names, date_column, reading.columns, place)
    cells = _parse(path, names, dialect, {date_column: str})
    texts = [name for name in wanted if cells[name].dtype == "str"]
    decimal = "."
    if _commas(cells, texts) or dialect.separator in ";\t":
        # Only the cells as they are written tell a decimal comma from a separator of thousands.
        written = _parse(path, names, dialect, dict.fromkeys([date_column, *wanted], str))
        decimal = decimal_mark(written[wanted], place, dialect.separator in ";\t")
        del written  # as large as the file, and so is what comes next
        if decimal != ".":
            del cells
            cells = _parse(path, names, dialect, {date_column: str}, decimal=decimal)
    return _checked(cells, date_column, wanted, reading, place, notes, decimal)


def table_of(frame: pd.DataFrame, reading: Reading, source: str) -> Table:
    """The same of a pandas table, whose dates are a column or the index.

    Raises:
        UserError: anything in the table that cannot be used, with column and row.
    """
    place = Place(source)
    if not len(frame):
        raise UserError(f"{source} has no rows.")
    if frame.columns.nlevels > 1 or frame.index.nlevels > 1:
        raise UserError(f"{source} has columns or an index of several levels: bring it to one.")
    frame = frame.rename(columns=str)
    name = str(frame.index.name or DATE)
    name = DATE if name in frame.columns else name
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex) and name not in frame.columns:
        index = frame.index.to_timestamp() if isinstance(frame.index, pd.PeriodIndex) else frame.index
        if reading.date_col in (None, name) and (reading.date_col or DATE not in frame.columns):
            frame = frame.set_axis(index).reset_index(names=name)
            reading = replace(reading, date_col=name)
    names = checked_names([name.strip() for name in frame.columns], place, "its columns")
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    peek = frame.head(PEEK)
    date_column, notes = choose_dates(peek, names, reading.date_col, place)
    wanted = choose_numbers(names, date_column, reading.columns, place)
    texts = [name for name in wanted if not pd.api.types.is_numeric_dtype(frame[name])]
    decimal = decimal_mark(frame[texts].astype("str"), place, False) if _commas(frame, texts) else "."
    return _checked(frame, date_column, wanted, reading, place, notes, decimal)


def _header(path: Path, dialect: Dialect) -> list[str]:
    """The names of the columns, checked."""
    try:
        _, header = next(records(path, dialect), (1, None))
    except UnicodeError as error:
        raise not_text(path) from error
    except UNREADABLE as error:
        raise UserError(f"{path} is not a readable CSV file: {error}.") from error
    if header is None:
        raise UserError(f"{path} is empty.")
    names = [name.strip() for name in header]
    if not any(names):
        raise UserError(f"{path}, line 1: it is blank; it has to name the columns.")
    if dialect.trailing:
        names.pop()
    dated = next((name for name in names if _is_date(name, Place(str(path), dialect))), None)
    if dated is not None:
        raise UserError(f"{path}, line 1: {shown(dated)} is a date, no name; the first line has to name the columns.")
    return checked_names(names, Place(str(path), dialect), "line 1")


def _is_date(name: str, place: Place) -> bool:
    """Whether a name is a date; a plain year may be a name."""
    return bool(DATE_LIKE.search(name)) and looks_like_dates(pd.Series([name]), place)


def _parse(
    path: Path, names: list[str], dialect: Dialect, types: dict[str, type], rows: int | None = None, decimal: str = "."
) -> pd.DataFrame:
    """The rows as pandas reads them, but for blank ones at the end; with ``rows`` only the first, as texts."""
    fields = [*names, NOTHING] if dialect.trailing else names
    try:
        with dialect.open(path) as file:
            table = pd.read_csv(
                file, sep=dialect.separator, names=fields, header=0, dtype=types if rows is None else str,
                skip_blank_lines=False, low_memory=False, nrows=rows, na_values=list(MISSING), decimal=decimal,
            )  # fmt: skip
    except UnicodeError as error:
        raise not_text(path) from error
    except (pd.errors.ParserError, ValueError, OverflowError, *UNREADABLE) as error:
        _check_fields(path, fields, dialect)
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        unclosed = re.fullmatch(r"EOF inside string starting at row (\d+)", reason)
        if unclosed:
            reason = f"a quote in {Place(str(path), dialect).row(int(unclosed[1]) - 1)} is never closed"
        raise UserError(f"{path} is not a readable CSV file: {reason}.") from error
    if not isinstance(table.index, pd.RangeIndex):
        _check_fields(path, fields, dialect)
    if dialect.trailing:
        last = table.pop(NOTHING).notna().to_numpy()
        if last.any():
            line = Place(str(path), dialect).row(int(np.argmax(last)))
            raise UserError(f"{path}, {line}: its last field, {len(fields)}, belongs to no column that has a name.")
    for name in types:
        table[name] = table[name].str.strip().replace("", None)
    written = table.notna().any(axis=1).to_numpy().nonzero()[0]
    if not len(written):
        raise UserError(f"{path} has a header but no rows.")
    return table.iloc[: written[-1] + 1]


def _check_fields(path: Path, names: list[str], dialect: Dialect) -> None:
    """Point out the first line with more fields than the header; called once pandas has stumbled."""
    try:
        for line, record in records(path, dialect):
            if len(record) > len(names):
                raise UserError(
                    f"{path}, line {line}: it has {len(record)} fields, but the header names {len(names)} columns."
                )
    except (UnicodeError, *UNREADABLE):
        return


def _commas(cells: pd.DataFrame, texts: list[str]) -> bool:
    return any(cells[name].astype("str").str.contains(",", na=False).any() for name in texts)


def _checked(
    cells: pd.DataFrame, date_column: str, wanted: list[str], reading: Reading, place: Place,
    notes: tuple[str, ...], decimal: str,
) -> Table:  # fmt: skip
    """Dates on one clock and rising, numbers, and the step between rows."""
    stamps = parse_dates(cells[date_column], date_column, place)
    clock = on_one_clock(stamps, place)
    notes = (*notes, *clock.notes, *_unsorted(clock.dates, cells[date_column], reading.irregular_dates, place))
    if reading.published:
        grid = Grid(clock.dates, infer_frequency(clock.dates), np.ones(len(clock.dates), bool))
    else:
        grid = find_grid(clock.dates, reading.freq, date_column, place)
    if reading.columns is not None:
        notes = (*notes, *differences(list(cells), date_column, wanted))
    values = np.column_stack([read_numbers(cells[name], place, decimal) for name in wanted])
    return Table(
        grid, values, tuple(wanted), date_column, clock.offset, stamps.zone, place, (*notes, *grid.notes), decimal
    )


def _unsorted(dates: pd.DatetimeIndex, texts: pd.Series, allowed: bool, place: Place) -> tuple[str, ...]:
    steps = np.diff(dates.to_numpy())
    still = np.timedelta64(0, "ns")
    for name, wrong in (("a duplicate", steps == still), ("earlier than the one before", steps < still)):
        if not wrong.any():
            continue
        row = int(np.argmax(wrong)) + 1
        where = f"{place.row(row)} ({texts.iloc[row]}) is {name}"
        if not allowed:
            raise UserError(
                f"{place.name}, column {texts.name!r}: {where}, and {int(wrong.sum())} such row(s) in all; "
                "sort the file by date, one row a date, date and time in one column."
            )
        return (f"its dates are irregular: {where}; the rows are taken in the order of the file",)
    return ()
