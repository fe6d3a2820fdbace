"""Collect the errors of sums over many series, which err together or against each other.

Shapes: B batch, H pred_len, C scored channels.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from exp.bands import SUM, Bounded, Wanted, sums_of
from utils.conformal import Intervals

MOST_NUMBERS = 4_000_000  # of all sums


class TotalErrors:
    """Errors of the sum over all series for each date at which forecasts begin."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[np.ndarray, np.ndarray, int]] = {}

    def add(self, places: np.ndarray, errors: np.ndarray, units: np.ndarray) -> None:
        """Add windows that begin at ``places`` (B,) among the dates.

        Args:
            errors: (B, H, C), truth minus forecast, in the units of the series; NaN where the truth is not known.
            units: (B, C), the scale of each window, likewise.
        """
        for place in np.unique(places):
            mine = places == place
            before, unit, count = self._sums.get(int(place), (0.0, 0.0, 0))
            self._sums[int(place)] = before + errors[mine].sum(0), unit + units[mine].sum(0), count + int(mine.sum())

    def intervals(self) -> Intervals | None:
        """Return the intervals of the sum, relative to the sum of the scales; None where no date has all series."""
        most = max((count for *_, count in self._sums.values()), default=0)
        whole = [self._sums[place] for place in sorted(self._sums) if self._sums[place][2] == most]
        if most < 2 or not whole:
            return None
        every = max(1, -(-len(whole) * whole[0][0].size // MOST_NUMBERS))
        paths = np.stack([error / unit for error, unit, _ in whole[::every]]).astype(np.float32)
        return Intervals(paths, np.ones(paths.shape[2]), len(whole))


def sums_of_series(
    found: Bounded,
    units: np.ndarray,
    own: Intervals | None,
    total: Intervals | None,
    wanted: Wanted,
    ids: tuple[str, ...],
    columns: tuple[str, ...],
    dates: pd.DatetimeIndex,
    counted: bool,
) -> pd.DataFrame:
    """Return sums over the series of a table, over time, or both; see ``sums_of``.

    Args:
        found: the forecast (N, H, C) in the units of the series.
        units: (N, C), the scale of the last window of each series, likewise.
        own: intervals of single series.
        total: intervals of the sum over all of them.
        dates: N · H dates, those of one series after those of another.
    """
    steps = found.values.shape[1]
    of_series = dates.to_numpy().reshape(len(ids), steps)
    if SUM not in wanted.aggregate:
        parts = (
            sums_of(Bounded(found.values[i], {}, {}), units[i], own, wanted, columns, pd.DatetimeIndex(of_series[i]),
                    of_series[i], counted).assign(id=name)
            for i, name in enumerate(ids)
        )  # fmt: skip
        table = pd.concat(parts, ignore_index=True)
        return table[["id", *(column for column in table if column != "id")]]
    together = (of_series == of_series[0]).all()
    over_time = Wanted(wanted.levels, wanted.quantiles, aggregate=tuple(n for n in wanted.aggregate if n != SUM))
    blocks = [range(len(ids))] if together else _by_dates(of_series)
    tables = [
        sums_of(Bounded(found.values[rows].sum(0), {}, {}), units[rows].sum(0), total if together else None, over_time,
                columns, pd.DatetimeIndex(of_series[rows[0]]), of_series[rows[0]], counted)
        for rows in map(list, blocks)
    ]  # fmt: skip
    table = pd.concat(tables, ignore_index=True)
    if together:
        return table
    key = table.columns[0]
    return table.groupby([key, "column"], sort=True, as_index=False).agg({"steps": "max", "forecast": "sum"})


def _by_dates(of_series: np.ndarray) -> Iterator[list[int]]:
    """Yield the series that are forecast for the same dates."""
    for first in np.unique(of_series[:, 0]):
        yield np.flatnonzero(of_series[:, 0] == first).tolist()
