"""Hold what comes next, as tables in pandas and as files: ``forecast.csv``, ``forecast.npy``, ``forecast_sums.csv``.

Shapes: N series, H steps, C columns; … is nothing for one series and N for many.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.reading import Panel, aware_dates, counted, written_dates
from exp.bands import quantile_name
from exp.forecast_files import keep_earlier
from utils.files import replacing

CSV, ARRAY, SUMS_CSV = "forecast.csv", "forecast.npy", "forecast_sums.csv"
DIGITS = 8  # below a column's standard deviation: more than a float32 model knows
MOST_DIGITS = 200  # more would overflow while rounding


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Values and what lies around them, in the units of the data.

    Attributes:
        columns: C names.
        values: (…, H, C).
        bands: lower and upper bound (…, H, C) by nominal coverage, NaN where there is none.
        scale: (…, C), standard deviation of each column in training.
        quantiles: value (…, H, C) by share, NaN where there is none.
        coverage: share of the truth that the intervals of a level held in the test by column, where it is far from it.
        sums: sums over columns, series or time, where they are asked for.
        reference: simple forecast (…, H, C) of columns on which one was at least as good in the test, NaN elsewhere.
        models: what forecasts each column, where more than one model does.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    bands: Mapping[float, tuple[np.ndarray, np.ndarray]]
    scale: np.ndarray
    quantiles: Mapping[float, np.ndarray] = field(default_factory=dict)
    coverage: Mapping[float, Mapping[str, float]] = field(default_factory=dict)
    sums: pd.DataFrame | None = None
    reference: np.ndarray | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def rows(self, dates: pd.Index, rounded: bool = False) -> pd.DataFrame:
        """Return a row for each band, series, column and step, in this order.

        Its columns are date, column, forecast, lower, upper; one for each quantile; of several intervals level;
        coverage where that of the test was far from nominal; reference where a simple forecast was better; model where
        more than one forecasts.

        Args:
            dates: N · H, those of one series after those of another.
            rounded: leave out digits that a float32 model does not know.
        """
        steps, channels = self.values.shape[-2:]
        count = self.values.size // (steps * channels)
        places = np.arange(count)[:, None, None] * steps + np.arange(steps)  # (N, 1, H)
        index = {
            "date": dates.take(np.repeat(places, channels, axis=1).ravel()),
            "column": np.tile(np.repeat(np.array(self.columns, dtype=object), steps), count),
        }
        none = np.full_like(self.values, np.nan)
        parts = []
        for level, (lower, upper) in (self.bands or {None: (none, none)}).items():
            numbers = {"forecast": self.values, "lower": lower, "upper": upper}
            numbers |= {quantile_name(share): values for share, values in self.quantiles.items()}
            if rounded:
                numbers = {name: _rounded(values, self.scale) for name, values in numbers.items()}
            part = pd.DataFrame(index | {name: _flat(values) for name, values in numbers.items()})
            if len(self.bands) > 1:
                part["level"] = level
            if any(self.coverage.values()):
                part["coverage"] = part["column"].map(self.coverage.get(level, {}))
            if self.reference is not None:
                part["reference"] = _flat(self.reference)
            if self.models:
                part["model"] = part["column"].map(self.models)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def _save(self, folder: Path, table: pd.DataFrame) -> None:
        """Write ``forecast.csv``, and ``forecast_sums.csv`` where there are sums, each whole or not at all."""
        sums = folder / SUMS_CSV
        with replacing(folder / CSV) as temporary:
            table.to_csv(temporary, index=False)
            keep_earlier(folder / CSV, temporary, sums)
        if self.sums is None:
            sums.unlink(missing_ok=True)  # of an earlier forecast
            return
        with replacing(sums) as temporary:
            self.sums.to_csv(temporary, index=False, float_format="%.10g")


def _flat(values: np.ndarray) -> np.ndarray:
    """Return values (…, H, C) in the order of the rows."""
    return np.swapaxes(values, -1, -2).ravel()


def _rounded(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return values (…, H, C) without digits far below the scale (…, C) of their column."""
    digits = np.clip(DIGITS - np.floor(np.log10(scale)), -MOST_DIGITS, MOST_DIGITS)[..., None, :]
    unit = 10.0 ** np.abs(digits)  # a whole number, so that nothing but rounding changes the values
    return np.where(digits >= 0, np.round(values * unit) / unit, np.round(values / unit) * unit)


@dataclass(frozen=True, kw_only=True)
class Forecast(Shown):
    """What comes next in one series.

    Attributes:
        dates: H dates as the clock of ``offset`` shows them.
        offset: from UTC, like +02:00; None if the file does not tell.
        form: how the file writes its dates, where they are no ISO dates.
        stamps: H dates in the time zone of the table.
    """

    dates: pd.DatetimeIndex
    offset: str | None
    form: str | None
    stamps: pd.DatetimeIndex

    def table(self) -> pd.DataFrame:
        """Return a row for each column, date and band; see :meth:`rows`."""
        return self.rows(pd.Index(counted(self.stamps, self.form)))

    def save(self, folder: Path) -> None:
        """Write the forecast's files into a folder."""
        with replacing(folder / ARRAY) as temporary, temporary.open("wb") as file:
            np.save(file, self.values)
        self._save(folder, self.rows(pd.Index(written_dates(self.stamps, self.offset, self.form)), rounded=True))


@dataclass(frozen=True, kw_only=True)
class ManyForecast(Shown):
    """What comes next in each of N series.

    Attributes:
        panel: the series.
        dates: N · H dates, those of one series after those of another.
    """

    panel: Panel
    dates: pd.DatetimeIndex

    @property
    def stamps(self) -> pd.DatetimeIndex:
        """Return the dates in the time zone of the table."""
        grid = self.panel.grid
        return aware_dates(self.dates, grid.offset, grid.zone, grid.frequency)

    def table(self) -> pd.DataFrame:
        """Return a row for each series, column, date and band: id before what :meth:`rows` has."""
        return self._with_ids(self.rows(pd.Index(counted(self.stamps, self.panel.grid.form))))

    def save(self, folder: Path) -> None:
        """Write the forecast's files into a folder."""
        grid = self.panel.grid
        dates = pd.Index(written_dates(self.stamps, grid.offset, grid.form))
        self._save(folder, self._with_ids(self.rows(dates, rounded=True)))

    def _with_ids(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows with the series that each belongs to, before all else."""
        ids = np.repeat(np.array(self.panel.ids, dtype=object), self.values[0].size)
        rows.insert(0, "id", np.tile(ids, max(1, len(self.bands))))
        return rows
