"""Read a CSV file or a pandas table as a series."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.config import DataConfig, check
from data_provider.datasets import DatasetSpec
from data_provider.reading.columns import checked_names, choose_dates, choose_numbers, read_cells, read_names
from data_provider.reading.csv_file import PEEK, Location, find_csv
from data_provider.reading.dates import DATE, Stamps, parse_dates
from data_provider.reading.frame import Frame, complete
from data_provider.reading.frequency import find_grid, infer_frequency
from data_provider.reading.numbers import decimal_mark, read_numbers
from data_provider.reading.timezones import clock_changes, on_one_clock
from utils.errors import UserError


@dataclass(frozen=True)
class Reading:
    """How to read a table: as the flags of :class:`DataConfig` say, and more.

    Attributes:
        columns: the columns to read, in this order; None for all
        irregular_dates: take the rows as they are, with gaps and dates that are not sorted
    """

    date_col: str | None = None
    freq: str | None = None
    fill: str | None = None
    tz: str | None = None
    columns: tuple[str, ...] | None = None
    irregular_dates: bool = False

    def __post_init__(self) -> None:
        check("fill", self.fill)
        check("tz", self.tz)

    @classmethod
    def of(cls, config: DataConfig, spec: DatasetSpec) -> "Reading":
        """Return how to read the file of a configuration."""
        irregular_dates = spec.irregular_dates and config.fill is None
        return cls(config.date_col, config.freq, config.fill, config.tz, irregular_dates=irregular_dates)


def read_frame(path: Path, reading: Reading | None = None) -> Frame:
    """Read a CSV file with dates and a column of numbers per channel; raise UserError that names column and line."""
    reading = reading or Reading()
    return complete(read_table(path, reading), reading.fill)


def frame_from(table: pd.DataFrame, reading: Reading | None = None, source: str = "the table") -> Frame:
    """Build a series from a pandas table, which is not changed; its dates are a column or the index.

    A UserError names column and row, counted from 0.
    """
    reading, location = reading or Reading(), Location(source)
    if not len(table):
        raise UserError(f"{source} has no rows.")
    if table.columns.nlevels > 1 or table.index.nlevels > 1:
        raise UserError(f"{source} has columns or an index of several levels: bring it to one.")
    table, reading = _dates_as_column(table.rename(columns=str), reading)
    names = checked_names([name.strip() for name in table.columns], location, "its columns")
    table = table.set_axis(names, axis=1).reset_index(drop=True)
    date_column, notes = choose_dates(table.head(PEEK), names, reading.date_col, location)
    wanted, differences = choose_numbers(names, date_column, reading.columns, location)
    texts = table[[name for name in wanted if not pd.api.types.is_numeric_dtype(table[name])]].astype("str")
    location = replace(location, decimal=decimal_mark(texts, location, european=False))
    return complete(_series(table, date_column, wanted, reading, location, [*notes, *differences]), reading.fill)


def _dates_as_column(table: pd.DataFrame, reading: Reading) -> tuple[pd.DataFrame, Reading]:
    """Return the table with dates of its index as a column, unless another column holds the dates."""
    name = str(table.index.name or DATE)
    name = DATE if name in table.columns else name
    is_wanted = DATE not in table.columns if reading.date_col is None else reading.date_col == name
    if not isinstance(table.index, pd.DatetimeIndex | pd.PeriodIndex) or name in table.columns or not is_wanted:
        return table, reading
    index = table.index.to_timestamp() if isinstance(table.index, pd.PeriodIndex) else table.index
    return table.set_axis(index).reset_index(names=name), replace(reading, date_col=name)


def read_table(path: Path, reading: Reading) -> Frame:
    """Read a CSV file with its gaps and missing values, as NaN; raise UserError if it cannot be used."""
    file = find_csv(path)
    names = read_names(file)
    date_column, notes = choose_dates(read_cells(file, names, names, PEEK), names, reading.date_col, file)
    wanted, differences = choose_numbers(names, date_column, reading.columns, file)
    cells = read_cells(file, names, [date_column])
    european = file.separator in ";\t"
    if european or any(cells[name].str.contains(",").any() for name in wanted if cells[name].dtype == "str"):
        # Only the cells as they are written tell a decimal comma from a separator of thousands.
        file = replace(file, decimal=decimal_mark(read_cells(file, names, names)[wanted], file, european))
        if file.decimal != ".":
            del cells  # as large as the file, and so is what replaces it
            cells = read_cells(file, names, [date_column])
    return _series(cells, date_column, wanted, reading, file, [*notes, *differences])


def _series(
    cells: pd.DataFrame, date_column: str, columns: list[str], reading: Reading, location: Location, notes: list[str]
) -> Frame:
    """Read cells as a series on one clock, with NaN where a row or a value is missing."""
    clock, notes_on_clock = on_one_clock(parse_dates(cells[date_column], location), reading.tz, location)
    unsorted = _check_order(clock, cells[date_column], reading.irregular_dates, location)
    dates, notes_on_step = clock.wall, ()
    if reading.irregular_dates:
        grid, frequency = dates, infer_frequency(dates)
    else:
        grid, frequency, notes_on_step = find_grid(dates, reading.freq, date_column, location)
    values, rows = np.column_stack([read_numbers(cells[name], location) for name in columns]), np.arange(len(dates))
    if len(grid) > len(dates):
        rows = dates.get_indexer(grid)
        values = np.where(rows[:, None] >= 0, values[rows], np.nan)
    return Frame(
        dates=grid,
        values=values,
        columns=tuple(columns),
        source=location.name,
        frequency=frequency,
        notes=(*notes, *notes_on_clock, *unsorted, *notes_on_step),
        date_column=date_column,
        offset=clock.written,
        zone=clock.zone,
        location=location,
        rows=rows,
    )


def _check_order(clock: Stamps, texts: pd.Series, allowed: bool, location: Location) -> tuple[str, ...]:
    """Return a note on dates that are not sorted; refuse them unless they are allowed."""
    steps = clock.wall.diff()
    wrong = np.flatnonzero(steps <= pd.Timedelta(0))
    if not len(wrong):
        return ()
    row = int(wrong[0])
    place = f"{location.row(row)} ({texts.iloc[row]})"
    problem = "a duplicate" if steps[row] == pd.Timedelta(0) else "earlier than the one before"
    if allowed:
        return (f"its dates are irregular: {place} is {problem}; the rows are taken in the order of the file",)
    where = f"{location.name}, column {texts.name!r}"
    if clock.offsets is None and np.isin(wrong, clock_changes(clock.wall)).all():
        more = f" and {len(wrong) - 1} more times" if len(wrong) > 1 else ""
        raise UserError(
            f"{where}: its clock seems to be put back at {texts.iloc[row]} ({location.row(row)}){more}, as for "
            "daylight saving time. Name its time zone, like --tz Europe/Berlin, or write the dates in UTC or with "
            "offsets."
        )
    raise UserError(
        f"{where}: {place} is {problem}, and {len(wrong)} such row(s) in all; sort the file by date, one row a date, "
        "date and time in one column."
    )
