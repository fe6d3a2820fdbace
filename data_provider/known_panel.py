"""Find the columns that are known in advance for many series, beyond the end of each.

Shapes: N series, T steps, F columns known in advance.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.reading import (
    Known,
    Panel,
    Reading,
    columns_of,
    future_dates,
    known_from,
    on_clock_of,
    panel_from,
    read_known,
    read_panel,
)
from utils.errors import UserError


def future_in(path: Path, reading: Reading) -> Panel | Known:
    """Read the columns known in advance from a file: of each series, or of all where it does not tell them apart.

    Args:
        reading: how the series are read that they belong to.
    """
    if _tells_series(reading, columns_of(path, reading)):
        return read_panel(path, _of_future(reading))
    return read_known(path, reading)


def future_from(table: pd.DataFrame, reading: Reading) -> Panel | Known:
    """Build the columns known in advance from a pandas table; as :func:`future_in`."""
    if isinstance(table, pd.DataFrame) and _tells_series(reading, [str(name).strip() for name in table.columns]):
        return panel_from(table, _of_future(reading), "the table of the future")
    return known_from(table, reading)


def _tells_series(reading: Reading, columns: Sequence[str]) -> bool:
    return reading.id_col in columns or {name.strip() for name in reading.id_col.split(",")} <= set(columns)


def _of_future(reading: Reading) -> Reading:
    """Return how to read a table of the future: its values are the columns known in advance."""
    return replace(reading, columns=reading.known, known=(), features="M", target=reading.known[-1])


def known_values_of(
    panel: Panel, dates: pd.DatetimeIndex, steps: np.ndarray, needed: int, ahead: Panel | Known | None
) -> np.ndarray:
    """Return the columns of the file that are known in advance, (N, T, F), 0 before a series begins.

    Of series that ended more than ``needed`` steps before the others, what is not known is NaN.

    Args:
        dates: of the grid, and of the steps after it.
        steps: (N, T), places among the dates: rows of each series and those that follow its end.
        needed: how many follow.
        ahead: columns known in advance of a table of the future; None where there is none.

    Raises:
        UserError: one is not known; the message names series, column and date.
    """
    count = np.diff(panel.known_offsets)[:, None]
    rows = steps - panel.first[:, None]  # counted from the first row of each series
    there = (rows >= 0) & (rows < count)
    flat = np.minimum(panel.known_offsets[:-1, None] + np.maximum(rows, 0), len(panel.known) - 1)
    values = np.where(there[..., None], panel.known[flat], np.nan)
    if ahead is not None:
        of_all = _for_all if isinstance(ahead, Known) else _for_each
        values = of_all(values, panel, dates, steps, ahead)
    values[rows < 0] = 0.0
    gone = np.isnan(values) & (panel.last.max() - panel.last <= needed)[:, None, None]
    if gone.any():
        series, step, column = (int(part) for part in np.argwhere(gone)[0])
        first, last = dates[panel.last[series] + 1], dates[panel.last[series] + needed]
        raise UserError(
            f"{panel.grid.source}: a forecast needs {', '.join(panel.known_columns)}, known in advance "
            f"(--future_cols), for the {needed} rows after the end of each series, {first} to {last} of "
            f"{panel.ids[series]!r}; {panel.known_columns[column]!r} is missing at {dates[steps[series, step]]}. Give "
            "them in rows below the last value of each series, or in another file with --future_path."
        )
    return values


def _for_all(values: np.ndarray, panel: Panel, dates: pd.DatetimeIndex, steps: np.ndarray, ahead: Known) -> np.ndarray:
    """Return known values (N, T, F) with those of one table for all series in place of what follows their ends."""
    ahead = ahead.on_clock_of(panel.grid)
    known = pd.DataFrame(ahead.values, ahead.dates, list(ahead.columns)).reindex(dates)[list(panel.known_columns)]
    follows = (steps > panel.last[:, None])[..., None] & known.notna().to_numpy()[steps]
    return np.where(follows, known.to_numpy()[steps], values)


def _for_each(values: np.ndarray, panel: Panel, dates: pd.DatetimeIndex, steps: np.ndarray, ahead: Panel) -> np.ndarray:
    """Return known values (N, T, F) with those of each series' own table in place of what follows its end."""
    order = [ahead.columns.index(name) for name in panel.known_columns]
    place = {name: i for i, name in enumerate(ahead.ids)}
    grid = ahead.grid
    moments = on_clock_of(grid.dates[ahead.places], grid.offset, grid.source, panel.grid)
    found = dates.get_indexer(moments)  # (rows of ahead,)
    for i, name in enumerate(panel.ids):
        if name in place:
            rows = slice(*ahead.offsets[place[name] : place[name] + 2])
            step = found[rows] - steps[i, 0]
            fits = (found[rows] > panel.last[i]) & (step < steps.shape[1])
            values[i, step[fits]] = ahead.values[rows][fits][:, order]
    return values


def check_future_of(panel: Panel, needed: int, ahead: Panel | Known | None) -> None:
    """Raise UserError where the columns known in advance do not reach ``needed`` steps beyond each series' end."""
    dates = panel.grid.dates.append(future_dates(panel.grid.dates[-1], panel.grid.frequency, needed))
    known_values_of(panel, dates, panel.last[:, None] + np.arange(1, needed + 1), needed, ahead)
