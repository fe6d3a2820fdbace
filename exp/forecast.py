"""A forecast of the future in the data's units: as a table, and as files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.reading import written_dates
from utils.files import replacing

CSV, ARRAY = "forecast.csv", "forecast.npy"
DIGITS = 8  # below a column's standard deviation: more than a float32 network knows


@dataclass(frozen=True)
class Forecast:
    """What comes next.

    Attributes:
        dates: H time stamps as they are written, on a clock of ``offset`` (+02:00; None if the file does not tell).
        stamps: the same for pandas, with offset or time zone. columns: C names. values: (H, C).
        bands: lower and upper bound (H, C) by nominal coverage, NaN where there is none.
        scale: (C,), standard deviation of each column in training. notes: what to know about it.
    """

    dates: pd.DatetimeIndex
    offset: str | None
    stamps: pd.DatetimeIndex
    columns: tuple[str, ...]
    values: np.ndarray
    bands: Mapping[float, tuple[np.ndarray, np.ndarray]]
    scale: np.ndarray
    notes: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """Tidy: date, column, forecast, lower, upper; with several bands a row for each, and its level."""
        return self._tidy(self.stamps)

    def save(self, folder: Path) -> None:
        """Write ``forecast.csv`` and ``forecast.npy``, (H, C), each whole or not at all."""
        with replacing(folder / ARRAY) as temporary, temporary.open("wb") as file:
            np.save(file, self.values)
        with replacing(folder / CSV) as temporary:
            self._tidy(written_dates(self.stamps, self.offset), rounded=True).to_csv(temporary, index=False)

    def _tidy(self, dates: pd.Index, rounded: bool = False) -> pd.DataFrame:
        none = np.full_like(self.values, np.nan)
        parts = []
        for level, (lower, upper) in (self.bands or {None: (none, none)}).items():
            for c, column in enumerate(self.columns):
                numbers = {"forecast": self.values[:, c], "lower": lower[:, c], "upper": upper[:, c]}
                if rounded:
                    digits = DIGITS - int(np.floor(np.log10(self.scale[c])))
                    numbers = {name: np.round(values, digits) for name, values in numbers.items()}
                part = pd.DataFrame({"date": dates, "column": column, **numbers})
                parts.append(part if len(self.bands) < 2 else part.assign(level=level))
        return pd.concat(parts, ignore_index=True)
