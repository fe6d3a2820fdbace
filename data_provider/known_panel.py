"""Find the columns that are known in advance for many series, beyond the end of each.

Shapes: N series, T steps, F columns known in advance.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from data_provider.reading import Panel, Reading, future_dates
from utils.errors import UserError


def of_future(reading: Reading) -> Reading:
    """Return how to read a table of the future of many series: its values are the columns known in advance."""
    return replace(reading, columns=reading.known, known=(), features="M", target=reading.known[-1])


def known_values_of(
    panel: Panel, dates: pd.DatetimeIndex, steps: np.ndarray, needed: int, ahead: Panel | None
) -> np.ndarray:
    """Return the columns of the file that are known in advance, (N, T, F), 0 before a series begins.

    Args:
        dates: of the grid, and of the steps after it.
        steps: (N, T), places among the dates: rows of each series and those that follow its end.
        needed: how many follow.
        ahead: columns known in advance, as the values of a table of the future; None where there is none.

    Raises:
        UserError: one is not known; the message names series, column and date.
    """
    count = np.diff(panel.known_offsets)[:, None]
    rows = steps - panel.first[:, None]  # counted from the first row of each series
    there = (rows >= 0) & (rows < count)
    flat = np.minimum(panel.known_offsets[:-1, None] + np.maximum(rows, 0), len(panel.known) - 1)
    values = np.where(there[..., None], panel.known[flat], np.nan)
    if ahead is not None:
        values = _with_future(values, panel, dates, steps, ahead)
    values[rows < 0] = 0.0
    if np.isnan(values).any():
        series, step, column = (int(part) for part in np.argwhere(np.isnan(values))[0])
        first, last = dates[panel.last[series] + 1], dates[panel.last[series] + needed]
        raise UserError(
            f"{panel.grid.source}: a forecast needs {', '.join(panel.known_columns)}, known in advance "
            f"(--future_cols), for the {needed} rows after the end of each series, {first} to {last} of "
            f"{panel.ids[series]!r}; {panel.known_columns[column]!r} is missing at {dates[steps[series, step]]}. Give "
            "them in rows below the last value of each series, or in another file with --future_path."
        )
    return values


def _with_future(
    values: np.ndarray, panel: Panel, dates: pd.DatetimeIndex, steps: np.ndarray, ahead: Panel
) -> np.ndarray:
    """Return known values (N, T, F) with those of a table of the future in place of what follows a series' end."""
    order = [ahead.columns.index(name) for name in panel.known_columns]
    place = {name: i for i, name in enumerate(ahead.ids)}
    found = dates.get_indexer(ahead.grid.dates[ahead.places])  # (rows of ahead,)
    for i, name in enumerate(panel.ids):
        if name in place:
            rows = slice(*ahead.offsets[place[name] : place[name] + 2])
            step = found[rows] - steps[i, 0]
            fits = (found[rows] > panel.last[i]) & (step < steps.shape[1])
            values[i, step[fits]] = ahead.values[rows][fits][:, order]
    return values


def check_future_of(panel: Panel, needed: int, ahead: Panel | None) -> None:
    """Raise UserError where the columns known in advance do not reach ``needed`` steps beyond each series' end."""
    dates = panel.grid.dates.append(future_dates(panel.grid.dates[-1], panel.grid.frequency, needed))
    known_values_of(panel, dates, panel.last[:, None] + np.arange(1, needed + 1), needed, ahead)
