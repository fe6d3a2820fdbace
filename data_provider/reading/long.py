"""Turn a long table, a row for each series and date, into a column for each series."""

from collections.abc import Sequence

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
) -> str | None:
    """Return the column that tells the series of a long table apart; None where each date has one row.

    Raises:
        UserError: several columns may be it, or the wanted one is not there or does not tell them apart.
    """
    wall = stamps.wall
    others = [name for name in cells.columns if name not in dates]
    if wanted is not None:
        if wanted not in others:
            raise UserError(f"{location.name} has no column {wanted!r} (--id_col); its columns are {listing(others)}.")
        if cells[wanted].isna().any():
            row = int(cells.index[np.argmax(cells[wanted].isna())])
            raise UserError(f"{location.name}, column {wanted!r} (--id_col), {location.row(row)}: the cell is empty.")
        return wanted
    if len(wall) < SERIES * wall.nunique():
        return None
    found: dict[str, np.ndarray] = {}
    for name in others:
        column = cells[name]
        if column.isna().any() or pd.api.types.is_float_dtype(column):
            continue
        codes, labels = pd.factorize(column)
        if 1 < len(labels) <= len(column) / ROWS and not pd.DataFrame({"id": codes, "date": wall}).duplicated().any():
            found[name] = codes
    words = [name for name in found if not holds_numbers(cells[name], location.decimal)]
    chosen = words or list(found)
    if not chosen:
        return None
    if any(not np.array_equal(found[name], found[chosen[0]]) for name in chosen):
        raise UserError(
            f"{location.name} has several rows of one date, and {listing(chosen)} may each tell its series apart: name "
            "one with --id_col."
        )
    return chosen[0]


def choose_value(names: Sequence[str], target: str | None, id_column: str, location: Location) -> str:
    """Return the column of values of a long table; raise UserError if there are several and none is the target."""
    if target in names:
        return target
    if len(names) > 1:
        raise UserError(
            f"{location.name} holds several series (column {id_column!r}) of {len(names)} columns of values: name the "
            f"one to forecast with --columns or --target: {listing(names)}."
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
    is_number = pd.api.types.is_numeric_dtype(ids)
    codes, labels = pd.factorize(stripped(ids), sort=False)
    names = [f"{ids.name} {label}" if is_number else str(label) for label in labels]
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
