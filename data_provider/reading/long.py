"""Turn a long table, a row for each series and date, into a column for each series."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import MOST, Location, listing
from data_provider.reading.dates import Stamps, stripped
from data_provider.reading.numbers import holds_numbers
from data_provider.reading.rows import Rows
from utils.errors import UserError

SERIES = 1.5  # rows of a date, on average, from which on a table may be long
ROWS = 3  # rows of a series, at least on average


def find_id(
    cells: pd.DataFrame, stamps: Stamps, dates: Sequence[str], wanted: str | None, location: Location
) -> tuple[str, ...]:
    """Return the columns that tell the series of a long table apart; none where each date has one row.

    Raises:
        UserError: several columns may be it, or a wanted one is not there or has an empty cell.
    """
    wall = stamps.wall
    others = [name for name in cells.columns if name not in dates]
    if wanted is not None:
        return _wanted(cells, others, wanted, location)
    if len(wall) < SERIES * wall.nunique():
        return ()
    labels: dict[str, np.ndarray] = {}
    for name in others:
        if not cells[name].isna().any() and not pd.api.types.is_float_dtype(cells[name]):
            codes, found = pd.factorize(cells[name])
            if 1 < len(found) <= len(codes) / ROWS:
                labels[name] = codes
    words = [name for name in labels if not holds_numbers(cells[name], location.decimal)]
    for count in (1, 2):
        for names in (words, list(labels)):
            fitting = [each for each in combinations(names, count) if _tell_apart(labels, each, wall)]
            if not fitting:
                continue
            first = _codes(labels, fitting[0])
            if any(not np.array_equal(first, _codes(labels, each)) for each in fitting):
                raise UserError(
                    f"{location.name} has several rows of one date, and {' or '.join(map(','.join, fitting))} may "
                    "tell its series apart: name one with --id_col."
                )
            return fitting[0]
    return ()


def _wanted(cells: pd.DataFrame, others: Sequence[str], wanted: str, location: Location) -> tuple[str, ...]:
    names = (wanted,) if wanted in others else tuple(name.strip() for name in wanted.split(","))
    for name in names:
        if name not in others:
            raise UserError(f"{location.name} has no column {name!r} (--id_col); its columns are {listing(others)}.")
        if cells[name].isna().any():
            row = location.row(int(cells.index[np.argmax(cells[name].isna())]))
            raise UserError(f"{location.name}, column {name!r} (--id_col), {row}: the cell is empty.")
    return names


def _codes(labels: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Return a number for each different combination of labels."""
    return pd.DataFrame({name: labels[name] for name in names}).groupby(list(names), sort=False).ngroup().to_numpy()


def _tell_apart(labels: dict[str, np.ndarray], names: Sequence[str], wall: pd.DatetimeIndex) -> bool:
    """Tell whether no two rows have the same labels and date."""
    return not pd.DataFrame({name: labels[name] for name in names}).assign(date=wall).duplicated().any()


def ids_of(cells: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Return the name of the series of each row: the text of one column, or of several with spaces between.

    A number has the column's name before it.
    """
    parts = [
        f"{name} " + stripped(cells[name]) if pd.api.types.is_numeric_dtype(cells[name]) else stripped(cells[name])
        for name in names
    ]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + " " + part
    return joined


def choose_value(names: Sequence[str], target: str | None, ids: Sequence[str], location: Location) -> str:
    """Return the column of values of a long table; raise UserError if there are several and none is the target."""
    if target in names:
        return target
    if len(names) > 1:
        raise UserError(
            f"{location.name} holds several series (column {','.join(ids)!r}) of {len(names)} columns of values: name "
            f"the one to forecast with --columns or --target: {listing(names)}."
        )
    return names[0]


def spread(rows: Rows, ids: pd.Series, location: Location) -> tuple[Rows, list[str], list[str]]:
    """Return a column for each series, their names, and lines on each series.

    Args:
        rows: of one column of values.
        ids: (T,), the series that each row belongs to.

    Raises:
        UserError: a series has two rows of one date that differ.
    """
    codes, labels = pd.factorize(ids, sort=False)
    names = [str(label) for label in labels]
    wall, moments = rows.stamps.wall, np.unique(rows.stamps.wall)
    places = np.searchsorted(moments, wall)
    cells = pd.DataFrame({"place": places, "id": codes, "value": rows.values[:, 0]})
    again = cells.duplicated(["place", "id"]) & ~cells.duplicated()
    if again.any():
        row = int(np.argmax(again))
        raise UserError(
            f"{location.name}: {rows.place(row, location)} is a second row of {names[codes[row]]!r} with another "
            f"value, and {int(again.sum())} such row(s) in all; correct them, or name another column with --id_col."
        )
    values = np.full((len(moments), len(names)), np.nan)
    values[places, codes] = rows.values[:, 0]
    first = pd.Series(np.arange(len(wall))).groupby(places).first().to_numpy()
    wide = Rows(rows.stamps.take(first), values, rows.index[first])
    return wide, names, list(_lines(wide, names))


def _lines(wide: Rows, names: Sequence[str]) -> list[str]:
    """Return a line on each of the first series: its rows, first and last date."""
    known = ~np.isnan(wide.values)
    lines = []
    for name, column in zip(names[:MOST], known.T, strict=False):
        rows = np.flatnonzero(column)
        span = f"{wide.stamps.wall[rows[0]]} to {wide.stamps.wall[rows[-1]]}" if len(rows) else "no values"
        lines.append(f"series {listing([name])}: {len(rows):,} rows, {span}")
    return lines if len(names) <= MOST else [*lines, f"… and {len(names) - MOST} more series"]
