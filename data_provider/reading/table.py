"""Read a file or a pandas table as a series."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.config import DataConfig, check
from data_provider.datasets import DatasetSpec
from data_provider.reading.cells import read_cells, read_names
from data_provider.reading.columns import (
    NO_DATES,
    check_known,
    checked_names,
    choose_dates,
    choose_numbers,
    choose_trained,
    joined_dates,
)
from data_provider.reading.csv_file import CsvFile, Location, listing
from data_provider.reading.dates import COUNT, DATE, Stamps, count_of, parse_dates
from data_provider.reading.frame import Frame, Known
from data_provider.reading.frequency import Grid, find_grid, infer_frequency
from data_provider.reading.long import choose_value, find_id, ids_of, spread
from data_provider.reading.missing import codes_of_missing, complete, settle
from data_provider.reading.numbers import decimal_mark, read_numbers
from data_provider.reading.panel import Panel, assemble
from data_provider.reading.rows import Rows, check_irregular, in_order, newest_last, without_footer
from data_provider.reading.sources import PEEK, find_file
from data_provider.reading.timezones import on_one_clock
from utils.errors import UserError, naming_arguments, shown_path


@dataclass(frozen=True)
class Reading:
    """How to read a table: as the flags of :class:`DataConfig` say, and more.

    Attributes:
        columns: the columns to read, in this order; None for all that can be used
        known: the columns that are known in advance
        trained: whether ``columns`` are those of a trained network: all are needed, others are ignored
        last: how many rows at the end must have no gaps; None for all
        irregular_dates: take the rows as they are, with gaps and dates that are not sorted
        usual_mark: the decimal mark of a table that this one goes on with, where its own numbers do not tell
        whole: take all rows of the columns, with holes wherever they are, also at the beginning and at the end
    """

    date_col: str | None = None
    freq: str | None = None
    fill: str = "auto"
    tz: str | None = None
    columns: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    duplicates: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    id_col: str | None = None
    features: str = "M"
    target: str | None = None
    known: tuple[str, ...] = ()
    trained: bool = False
    last: int | None = None
    irregular_dates: bool = False
    usual_mark: str | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        for name in ("fill", "tz", "duplicates", "decimal", "encoding"):
            check(name, getattr(self, name))

    @classmethod
    def of(cls, config: DataConfig, spec: DatasetSpec) -> "Reading":
        """Return how to read the file of a configuration."""
        names = ("date_col", "freq", "fill", "tz", "duplicates", "decimal", "encoding", "id_col", "features", "target")
        return cls(
            **{name: getattr(config, name) for name in names},
            columns=_split(config.columns) or None,
            ignore=_split(config.ignore),
            missing=_split(config.missing),
            known=_split(config.future_cols),
            irregular_dates=spec.irregular_dates and config.fill == DataConfig.fill,
        )


def _split(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip()) if names else ()


def read_frame(path: Path, reading: Reading | None = None) -> Frame:
    """Read a file with dates and a column of numbers per channel; raise UserError that names column and line."""
    reading = reading or Reading()
    return complete(read_table(path, reading), reading.fill, reading.last)


def frame_from(table: pd.DataFrame, reading: Reading | None = None, source: str = "the table") -> Frame:
    """Build a series from a pandas table, which is not changed; its dates are a column or the index.

    A UserError names column and row, counted from 0.
    """
    reading = reading or Reading()
    with naming_arguments():
        return complete(table_from(table, reading, source), reading.fill, reading.last)


def table_from(table: pd.DataFrame, reading: Reading, source: str = "the table") -> Frame:
    """Build a series as :func:`frame_from` does, but with its gaps and missing values, as NaN."""
    with naming_arguments():
        return _read(*_cells_of(table, reading, source))


def _cells_of(
    table: pd.DataFrame, reading: Reading, source: str
) -> tuple[pd.DataFrame, list[str], Reading, Location, tuple[str, ...]]:
    """Return the arguments of :func:`_read` for a pandas table."""
    location = Location(source)
    if not len(table):
        raise UserError(f"{source} has no rows.")
    if table.columns.nlevels > 1 or table.index.nlevels > 1:
        raise UserError(f"{source} has columns or an index of several levels: bring it to one.")
    table, reading = _dates_as_column(table.rename(columns=str), reading)
    names = [name.strip() for name in table.columns]
    named = checked_names(names, location, "its columns")
    unnamed = [new for new, old in zip(named, names, strict=True) if not old]
    return table.set_axis(named, axis=1).reset_index(drop=True), unnamed, reading, location, ()


def known_from(table: pd.DataFrame, reading: Reading, source: str = "the table of the future") -> Known:
    """Build the columns known in advance of a series from a pandas table of its future.

    Args:
        reading: how the series is read that they belong to.
    """
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"A pandas DataFrame of the future is needed, not a {type(table).__name__}.")
    return _known(*_cells_of(table, _of_future(reading, list(map(str, table.columns))), source))


def read_known(path: Path, reading: Reading) -> Known:
    """Read the columns known in advance of a series from a file of its future; arguments as in :func:`known_from`."""
    return _known(*_cells_in(path, _of_future(reading, columns_of(path, reading))))


def columns_of(path: Path, reading: Reading) -> list[str]:
    """Return the names of the columns of a file of the future; raise UserError if it is not there."""
    if not path.is_file():
        raise UserError(f"--future_path {shown_path(path)}: there is no such file.")
    return read_names(find_file(path, reading.encoding))


def _of_future(reading: Reading, names: Sequence[str]) -> Reading:
    dates = (reading.date_col or "").split(",")
    date_col = reading.date_col if reading.date_col == NO_DATES or set(dates) <= set(names) else None
    return replace(
        reading,
        columns=reading.known,
        known=(),
        trained=True,
        date_col=date_col,
        features="M",
        target=None,
        id_col=None,
    )


def _known(
    cells: pd.DataFrame, unnamed: Sequence[str], reading: Reading, location: Location, notes: tuple[str, ...]
) -> Known:
    dated = _dated(cells, unnamed, reading, location, notes)
    frame = _on_grid(dated, _wide(dated, reading), reading)
    return Known(frame.columns, frame.values, frame.dates, frame.rows, frame.offset, frame.source)


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
    """Read a file with its gaps and missing values, as NaN; raise UserError if it cannot be used."""
    return _read(*_cells_in(path, reading))


def read_as_written(path: Path, reading: Reading) -> tuple[pd.DataFrame, str, str]:
    """Return the cells of a file as texts, by row of the file; its decimal mark and the separator of its cells."""
    _, _, _, file, _ = _cells_in(path, reading)
    names = read_names(file)
    return read_cells(file, names, names, reading.missing), file.decimal, file.separator


def _cells_in(path: Path, reading: Reading) -> tuple[pd.DataFrame, list[str], Reading, Location, tuple[str, ...]]:
    """Return the arguments of :func:`_read` for a file."""
    file = find_file(path, reading.encoding)
    names = read_names(file)
    unnamed = [new for new, old in zip(names, file.names, strict=True) if not old]
    peek = read_cells(file, names, names, reading.missing, PEEK)
    dates, _ = choose_dates(peek, reading.date_col, file, unnamed)
    cells = read_cells(file, names, dates, reading.missing)
    european = file.separator in ";\t"
    mark = reading.decimal or _mark(file, names, cells, dates, reading, european)
    if mark != file.decimal:
        file = replace(file, decimal=mark)
        del cells  # as large as the file, and so is what replaces it
        cells = read_cells(file, names, dates, reading.missing)
    return cells, unnamed, reading, file, file.notes


def _mark(
    file: CsvFile, names: Sequence[str], cells: pd.DataFrame, dates: Sequence[str], reading: Reading, european: bool
) -> str:
    """Return the decimal mark; only the cells as they are written tell a comma from a separator of thousands."""
    alone = (reading.target,) if reading.features == "S" and reading.target in names else None
    chosen = dict.fromkeys((*(reading.columns or alone or names), *reading.known))
    wanted = [n for n in chosen if n not in (*dates, *reading.ignore) and n in names]
    if not european:
        wanted = [name for name in wanted if cells[name].dtype == "str"]
        return decimal_mark([cells[name] for name in wanted], file, european, reading.usual_mark)
    texts = read_cells(file, names, names, reading.missing)
    return decimal_mark([texts[name] for name in wanted], file, european, reading.usual_mark)


@dataclass(frozen=True)
class _Dated:
    """Cells whose dates are known.

    Attributes:
        dates: names of the columns that make up the dates
        unnamed: columns without a name in the file
    """

    cells: pd.DataFrame
    dates: tuple[str, ...]
    stamps: Stamps
    unnamed: Sequence[str]
    location: Location
    notes: tuple[str, ...]

    @property
    def date_name(self) -> str:
        """Return what messages call the column of dates."""
        return ",".join(self.dates) or "row"


@dataclass(frozen=True)
class _Columns:
    """Numbers by column, a row for each date that the table has.

    Attributes:
        names: C names
        value: what the columns hold, in a long table
        known: names of the columns known in advance, the last ones of the rows
    """

    rows: Rows
    names: Sequence[str]
    notes: Sequence[str]
    value: str | None = None
    known: tuple[str, ...] = ()


def _read(
    cells: pd.DataFrame, unnamed: Sequence[str], reading: Reading, location: Location, notes: tuple[str, ...]
) -> Frame:
    """Read cells as a series on one clock, with NaN where a row or a value is missing."""
    dated = _dated(cells, unnamed, reading, location, notes)
    ids = () if reading.irregular_dates else find_id(dated.cells, dated.stamps, dated.dates, reading.id_col, location)
    columns = _long(dated, ids, reading) if ids else _wide(dated, reading)
    frame = _on_grid(dated, columns, reading)
    if reading.irregular_dates or reading.whole:
        return frame
    if reading.trained:
        return settle(frame, frame.columns[-1], frame.columns)
    frame = settle(frame, reading.target, reading.columns or ())
    if not ids:
        return frame
    return replace(frame, target=reading.target if reading.target in frame.columns else frame.columns[-1])


def _dated(
    cells: pd.DataFrame, unnamed: Sequence[str], reading: Reading, location: Location, notes: tuple[str, ...]
) -> _Dated:
    """Find and read the dates."""
    names, said = choose_dates(cells.head(PEEK), reading.date_col, location, unnamed)
    if not isinstance(location, CsvFile):
        texts = [cells[name] for name in cells if name not in names and cells[name].dtype == "str"]
        location = replace(location, decimal=reading.decimal or decimal_mark(texts, location, european=False))
    if not names:
        stamps = Stamps(count_of(np.arange(1, len(cells) + 1)), form=COUNT)
        return _Dated(cells, names, stamps, unnamed, location, (*notes, *said))
    dates, footer = without_footer(joined_dates(cells, names), cells.drop(columns=list(names)), location)
    stamps = parse_dates(dates, location)
    return _Dated(cells.loc[dates.index], names, stamps, unnamed, location, (*notes, *said, *footer, *stamps.notes))


def _other_uses(reading: Reading) -> dict[str, tuple[str, ...]]:
    """Return what flags say of columns that cannot also be known in advance, by flag."""
    targets = (reading.target,) if reading.target else ()
    return {"--target": targets, "--columns": reading.columns or (), "--ignore": reading.ignore}


def _wide(dated: _Dated, reading: Reading) -> _Columns:
    """Choose and read the columns of a table with a row for each date."""
    cells, location, target = dated.cells, dated.location, reading.target
    check_known(cells, dated.dates, reading.known, _other_uses(reading), location)
    others = [name for name in cells.columns if name not in (*dated.dates, *reading.known)]
    if reading.trained:
        names, notes = choose_trained(others, reading.columns, location)
    elif reading.features == "S" and target in others and not reading.columns:
        names, notes = [target], []
    else:
        names, notes = choose_numbers(
            cells, (*dated.dates, *reading.known), reading.columns, reading.ignore, target, dated.unnamed, location
        )
    return _Columns(_rows(dated, [*names, *reading.known], reading), names, notes, known=reading.known)


def _long(dated: _Dated, ids: Sequence[str], reading: Reading) -> _Columns:
    """Read a long table with a column for each series."""
    if reading.known:
        raise UserError(
            f"{dated.location.name} holds several series (column {','.join(ids)!r}), and columns known in advance "
            "(--future_cols) belong to one: leave them out, or use a file of one series."
        )
    cells, location, target = dated.cells, dated.location, reading.target
    columns = None if reading.trained else reading.columns
    values, notes = choose_numbers(
        cells, [*dated.dates, *ids], columns, reading.ignore, target, dated.unnamed, location
    )
    value = choose_value(values, target, ids, location)
    wide, series, lines = spread(_rows(dated, [value], reading), ids_of(cells, ids), location)
    told = f"it holds {len(series)} series, told apart by {','.join(ids)!r}; {value!r} of each is a column"
    notes = [*notes, told, *lines]
    if rest := [name for name in values if name != value]:
        notes.append(f"left out (other values): {listing(rest)}")
    chosen = series
    if reading.trained:
        chosen, differences = choose_trained(series, reading.columns, location)
        notes += differences
    elif reading.features == "S" and target in series:
        chosen = [target]
    wide = replace(wide, values=wide.values[:, [series.index(name) for name in chosen]])
    return _Columns(wide, chosen, notes, value)


def read_panel(path: Path, reading: Reading) -> Panel:
    """Read the many series of a long file; raise UserError that names column and line."""
    return _panel(*_cells_in(path, reading))


def panel_from(table: pd.DataFrame, reading: Reading, source: str = "the table") -> Panel:
    """Build many series from a long pandas table, which is not changed."""
    with naming_arguments():
        return _panel(*_cells_of(table, reading, source))


def find_ids(path: Path, reading: Reading) -> tuple[str, ...]:
    """Return the columns that tell the series of a file apart; none where it holds one."""
    cells, unnamed, reading, location, notes = _cells_in(path, reading)
    dated = _dated(cells, unnamed, reading, location, notes)
    return find_id(dated.cells, dated.stamps, dated.dates, reading.id_col, dated.location)


def _panel(
    cells: pd.DataFrame, unnamed: Sequence[str], reading: Reading, location: Location, notes: tuple[str, ...]
) -> Panel:
    """Read cells as many series on one clock and one grid of dates."""
    dated = _dated(cells, unnamed, reading, location, notes)
    cells, location, target = dated.cells, dated.location, reading.target
    ids = find_id(cells, dated.stamps, dated.dates, reading.id_col, location)
    if not ids:
        raise UserError(f"{location.name} has no column that tells series apart; name it with --id_col.")
    beside = (*dated.dates, *ids)
    check_known(cells, beside, reading.known, _other_uses(reading), location)
    others = [name for name in cells.columns if name not in (*beside, *reading.known)]
    if reading.trained:
        names, said = choose_trained(others, reading.columns, location)
    else:
        names, said = choose_numbers(
            cells, (*beside, *reading.known), reading.columns, reading.ignore, target, dated.unnamed, location
        )
    rows = _rows(dated, [*names, *reading.known], reading)
    moments, first, inverse = np.unique(rows.stamps.wall, return_index=True, return_inverse=True)
    days = Rows(rows.stamps.take(first), np.empty((len(moments), 0)), rows.index[first])
    grid = _on_grid(dated, _Columns(days, (), said), reading)
    place_of_row = np.full(int(days.index.max()) + 1, -1)
    there = grid.rows >= 0
    place_of_row[grid.rows[there]] = np.flatnonzero(there)
    codes = tuple(codes_of_missing(rows.values, [*names, *reading.known]))
    return assemble(
        replace(grid, notes=(*grid.notes, *codes)),
        ids_of(cells, ids),
        place_of_row[days.index][inverse],
        rows.values[:, : len(names)],
        names,
        rows.values[:, len(names) :],
        reading.known,
        ",".join(ids),
        reading.duplicates,
        location,
    )


def _on_grid(dated: _Dated, columns: _Columns, reading: Reading) -> Frame:
    """Bring rows in order, on one clock and on the grid of their step."""
    location, rows = dated.location, columns.rows
    rows, turned = (rows, ()) if reading.irregular_dates else newest_last(rows)
    clock, on_clock = on_one_clock(rows.stamps, reading.tz, location)
    rows = replace(rows, stamps=clock)
    if reading.irregular_dates:
        order, wall = check_irregular(rows, location), rows.stamps.wall
        grid = Grid(wall, np.arange(len(wall)), infer_frequency(wall))
    else:
        rows, order = in_order(rows, reading.duplicates, dated.date_name, location)
        grid = find_grid(rows.stamps.wall, reading.freq, dated.date_name, location, clock.form == COUNT)
    known = grid.rows >= 0
    is_whole = known.all() and len(known) == len(rows.index)
    values = rows.values if is_whole else np.where(known[:, None], rows.values[grid.rows], np.nan)
    notes = (*dated.notes, *columns.notes, *turned, *on_clock, *order, *grid.notes)
    numbers = np.where(known, rows.index[grid.rows], -1)
    ahead = Known(columns.known, values[:, len(columns.names) :], grid.dates, numbers) if columns.known else None
    codes = codes_of_missing(values, [*columns.names, *columns.known])
    values = values[:, : len(columns.names)]
    return Frame(
        dates=grid.dates,
        values=values,
        columns=tuple(columns.names),
        source=location.name,
        frequency=grid.frequency,
        notes=(*notes, *codes),
        date_column=dated.date_name,
        offset=None if grid.are_days else clock.written,
        zone=None if grid.are_days else clock.zone,
        location=location,
        rows=numbers,
        form=clock.form,
        value_column=columns.value,
        known=ahead,
    )


def _rows(dated: _Dated, names: Sequence[str], reading: Reading) -> Rows:
    """Return columns (T, C) as float64 with their dates, NaN where a value is missing or a code for it."""
    values = np.column_stack([read_numbers(dated.cells[name], dated.location) for name in names])
    for code in pd.to_numeric(pd.Series(reading.missing, dtype="str"), errors="coerce").dropna():
        values[values == code] = np.nan
    return Rows(dated.stamps, values, dated.cells.index.to_numpy())
