"""Keep forecasts of a test as they would have been made at some origins over the end of a file (``--backtest``).

Shapes: B batch, H pred_len, C scored channels.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.factory import ForecastData
from data_provider.reading import counted, written_dates
from data_provider.windows import Batch, Split
from utils.files import replacing
from utils.plots import plot_backtest

CSV, SCORES, PICTURE = "backtest.csv", "backtest_scores.csv", "backtest.png"


def remove_backtest(folder: Path) -> None:
    """Remove what an earlier test kept, so that nobody takes it for that of the newest one."""
    for name in (CSV, SCORES, PICTURE):
        (folder / name).unlink(missing_ok=True)


class Backtest:
    """Collects the forecasts of some test windows: the last ones, a horizon apart where there is room for that."""

    def __init__(self, data: ForecastData, origins: int, least: np.ndarray, most: float) -> None:
        """Choose the windows; no value is kept below ``least`` (C,) or above ``most``, in the data's units."""
        windows = data.windows[Split.TEST]
        apart = max(1, min(windows.pred_len // windows.every, (len(windows) - 1) // max(1, origins - 1)))
        last = len(windows) - 1
        self.data, self._limits = data, (least, most)
        self.chosen = sorted({last - apart * i for i in range(origins) if last - apart * i >= 0})
        self._parts: list[pd.DataFrame] = []
        self._seen = 0

    def add(self, batch: Batch, forecast: np.ndarray, truth: np.ndarray, bands: Mapping[float, np.ndarray]) -> None:
        """Keep those of the next windows that are chosen.

        Args:
            forecast: (B, H, C), standardized, like all here.
            truth: (B, H, C), NaN where it is not known.
            bands: lower and upper bound (2, B, H, C) by level; empty for none.
        """
        for index in self.chosen:
            place = index - self._seen
            if 0 <= place < batch.size:
                self._keep(int(batch.origins[place]), forecast[place], truth[place],
                           {level: band[:, place] for level, band in bands.items()})  # fmt: skip
        self._seen += batch.size

    def _keep(self, origin: int, forecast: np.ndarray, truth: np.ndarray, bands: Mapping[float, np.ndarray]) -> None:
        data = self.data
        mean, scale = data.scaler.mean_[data.scored], data.scaler.scale_[data.scored]
        values, actual = np.clip(forecast * scale + mean, *self._limits), truth * scale + mean
        dates = data.dates[origin - 1 : origin + len(values)]
        none = np.full((2, *values.shape), np.nan)
        for level, band in (bands or {None: none}).items():
            lower, upper = np.clip(band * scale + mean, *self._limits)
            for c, column in enumerate(data.scored_columns):
                part = pd.DataFrame({
                    "origin": dates[0], "date": dates[1:], "column": column, "forecast": values[:, c],
                    "lower": lower[:, c], "upper": upper[:, c], "actual": actual[:, c],
                })  # fmt: skip
                self._parts.append(part if len(bands) < 2 else part.assign(level=level))

    @property
    def table(self) -> pd.DataFrame:
        """Return a row for each origin, date, column and level; the origin is the last date that was known."""
        return pd.concat(self._parts, ignore_index=True)

    @property
    def scores(self) -> pd.DataFrame:
        """Return the mean absolute error and the share of truth inside the interval, for each origin and column."""
        table = self.table
        if "level" in table:
            table = table[table["level"] == table["level"].max()]
        known = table[table["actual"].notna()]
        rows = known.assign(
            mae=(known["actual"] - known["forecast"]).abs(),
            inside=known["actual"].between(known["lower"], known["upper"]).where(known["lower"].notna()).astype(float),
        )
        return rows.groupby(["origin", "column"], sort=False)[["mae", "inside"]].mean().reset_index()

    def save(self, folder: Path) -> None:
        """Write the table and the scores, each whole or not at all."""
        for name, table in ((CSV, self.table), (SCORES, self.scores)):
            written = table.assign(**{
                column: written_dates(pd.DatetimeIndex(table[column]), None, self.data.form)
                for column in ("origin", "date") if column in table
            })  # fmt: skip
            with replacing(folder / name) as temporary:
                written.to_csv(temporary, index=False, float_format="%.10g")

    def draw(self, folder: Path, title: str) -> None:
        """Draw truth and forecasts of the target over the origins."""
        target = self.data.scored_columns[-1]
        table = self.table.query("column == @target")
        level = table["level"].max() if "level" in table else None
        first = self.data.dates.get_loc(table["origin"].min())
        rows = slice(max(0, first - 2 * self.data.windows[Split.TEST].pred_len), None)
        column = self.data.columns.index(target)
        series = self.data.series.values[rows, column] * self.data.scaler.scale_[column]
        parts = []
        for _, part in (table if level is None else table[table["level"] == level]).groupby("origin"):
            times = counted(pd.DatetimeIndex(part["date"]), self.data.form)
            parts.append((times, *(part[name].to_numpy() for name in ("forecast", "lower", "upper"))))
        dates = counted(self.data.dates[rows], self.data.form)
        plot_backtest(folder / PICTURE, dates, series + self.data.scaler.mean_[column], parts, target, title)

    def lines(self) -> Iterator[str]:
        """Yield a line for each origin: error of the target, and the share of truth in its interval."""
        target = self.data.scored_columns[-1]
        yield f"Backtest of {target}, {len(self.chosen)} origin(s): mean absolute error, share of truth in the interval"
        for row in self.scores.query("column == @target").itertuples():
            origin = written_dates(pd.DatetimeIndex([row.origin]), None, self.data.form)[0]
            held = "" if np.isnan(row.inside) else f"   {row.inside:.0%}"
            yield f"  after {origin}: {row.mae:.5g}{held}"
