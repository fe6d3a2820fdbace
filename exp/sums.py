"""Sum a forecast over columns, over many series, or over time, with intervals from the errors of whole sums.

Shapes: N series, B batch, H steps, C columns, G sums over time.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from exp.bands import Bounded, Wanted, around
from exp.forecast import Shown
from utils.conformal import Intervals
from utils.errors import UserError

PERIODS = {"day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
SUM = "sum"
MOST_NUMBERS = 4_000_000  # of the errors of all sums over series


class TotalErrors:
    """Errors of the sum over all series for each date at which forecasts begin.

    Args:
        series: how many there are.
    """

    def __init__(self, series: int) -> None:
        self.series = series
        self._sums: dict[int, tuple[np.ndarray, np.ndarray, int]] = {}

    def add(self, places: np.ndarray, errors: np.ndarray, scales: np.ndarray, deviations: np.ndarray) -> None:
        """Add windows that begin at ``places`` (B,) among the dates.

        Args:
            errors: (B, H, C), truth minus forecast, standardized; NaN where the truth is not known.
            scales: (B, C), the scale of each window, likewise.
            deviations: (B, C), the standard deviation of its series.
        """
        errors, units = errors * deviations[:, None], scales * deviations
        for place in np.unique(places):
            mine = places == place
            before, unit, count = self._sums.get(int(place), (0.0, 0.0, 0))
            self._sums[int(place)] = before + errors[mine].sum(0), unit + units[mine].sum(0), count + int(mine.sum())

    def intervals(self) -> Intervals | None:
        """Return the intervals of the sum, relative to the sum of the scales; None where no date has all series."""
        whole = [self._sums[place] for place in sorted(self._sums) if self._sums[place][2] == self.series]
        if not whole:
            return None
        every = max(1, -(-len(whole) * whole[0][0].size // MOST_NUMBERS))
        paths = np.stack([error / unit for error, unit, _ in whole[::every]]).astype(np.float32)
        return Intervals(paths, np.ones(paths.shape[2]), len(whole))


def sums_of(
    found: Bounded,
    unit: np.ndarray,
    intervals: Intervals | None,
    wanted: Wanted,
    columns: Sequence[str],
    dates: pd.DatetimeIndex,
    shown_dates: Sequence[Any],
    counted: bool,
) -> pd.DataFrame:
    """Return sums over columns or time with intervals from the sums of whole error paths.

    Args:
        found: the forecast of one series, (H, C).
        unit: (C,), the scale of the last window in the units of the data.
        dates: H dates.
        shown_dates: as they are written, for sums that are not over time.
        counted: whether the rows are counted, so that they have no dates.

    Returns:
        A row for each sum: ``date`` or the name of the period, ``column``, ``steps``, ``forecast``, ``lower``,
        ``upper``, a column for each quantile, and with several intervals ``level``.

    Raises:
        UserError: there are no dates to sum over.
    """
    period = next((name for name in wanted.aggregate if name != SUM), None)
    if period and counted:
        raise UserError(
            f"--aggregate {period}: the rows are counted and have no dates: name their column (--date_col)."
        )
    labels = pd.Index(shown_dates) if period is None else dates.to_period(PERIODS[period]).astype(str)
    names = pd.unique(labels)
    groups = np.array([labels == name for name in names], dtype=float)  # (G, H)
    steps, over_columns = groups.sum(axis=1, keepdims=True), SUM in wanted.aggregate
    limits = [steps * np.broadcast_to(limit, len(columns)) for limit in (found.least, found.most)]
    values, least, most = (
        part.sum(axis=1, keepdims=True) if over_columns else part for part in (groups @ found.values, *limits)
    )  # (G, C), or (G, 1) over columns
    summed = None
    if intervals is not None:
        reach = intervals.paths.shape[1]
        within = np.pad(groups[:, :reach], ((0, 0), (0, max(0, reach - groups.shape[1]))))
        within[groups[:, reach:].any(axis=1)] = np.nan  # beyond the errors that are known
        summed = intervals.summed(within, unit, over_columns)
    bands, quantiles = around(values, 1.0, summed, wanted, least, most)
    shown = Shown(
        columns=(SUM,) if over_columns else tuple(columns),
        values=values,
        bands=bands,
        scale=np.ones(values.shape[1]),
        quantiles=quantiles,
    )
    table = shown.rows(pd.Index(names)).rename(columns={"date": period or "date"})
    table.insert(2, "steps", np.resize(steps[:, 0].astype(int), len(table)))
    return table


def sums_of_series(
    found: Bounded,
    units: np.ndarray,
    own: Intervals | None,
    total: Intervals | None,
    wanted: Wanted,
    ids: Sequence[str],
    columns: Sequence[str],
    dates: pd.DatetimeIndex,
    shown_dates: Sequence[Any],
    counted: bool,
) -> pd.DataFrame:
    """Return sums over the series of a table, over time, or both; see :func:`sums_of`.

    A sum over series is of those whose forecasts begin last; it has intervals where these are all series.

    Args:
        found: the forecast (N, H, C) in the units of the series.
        units: (N, C), the scale of the last window of each series, likewise.
        own: intervals of single series.
        total: intervals of the sum over all of them.
        dates: N · H dates, those of one series after those of another; ``shown_dates`` likewise.
    """
    of_series = dates.to_numpy().reshape(len(ids), -1)
    shown = np.asarray(shown_dates, dtype=object).reshape(of_series.shape)

    def add_up(rows: np.ndarray, intervals: Intervals | None, sums: Wanted) -> pd.DataFrame:
        values, least, unit = (part[rows].sum(axis=0) for part in (found.values, found.least, units))
        whole = Bounded(values, {}, {}, least, found.most * len(rows))
        first = rows[0]
        return sums_of(whole, unit, intervals, sums, columns, pd.DatetimeIndex(of_series[first]), shown[first], counted)

    if SUM in wanted.aggregate:
        over_time = replace(wanted, aggregate=tuple(name for name in wanted.aggregate if name != SUM))
        last = np.flatnonzero(of_series[:, 0] == of_series[:, 0].max())
        return add_up(last, total if len(last) == len(ids) else None, over_time)
    tables = [add_up(np.array([i]), own, wanted) for i in range(len(ids))]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "id", np.repeat(np.array(ids, dtype=object), [len(one) for one in tables]))
    return table
