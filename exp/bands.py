"""Bound a forecast: intervals and quantiles around it, limits that no value passes, sums with intervals of their own.

Shapes: N series, H steps, C columns; … is nothing for one series and N for many.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from data_provider.reading import listing
from exp.evaluation import baselines
from exp.options import AUTO, NONE, RuntimeOptions, check_limits
from utils.conformal import Intervals


@dataclass(frozen=True)
class Wanted:
    """What a forecast is to show beside its values.

    Attributes:
        levels: nominal coverages of intervals.
        quantiles: shares of the future that are to lie below a value.
        minimum: least value: a number, ``none``, or ``auto`` for 0 where a column was never negative.
        maximum: largest value, or ``none``.
        aggregate: sums to form: over columns (``sum``), over time (a period), or both.
    """

    levels: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()
    minimum: str = AUTO
    maximum: str = NONE
    aggregate: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_limits(self.minimum, self.maximum)

    @classmethod
    def of(cls, runtime: RuntimeOptions) -> "Wanted":
        """Return what the flags of a run ask for."""
        sums = tuple(runtime.aggregate.split(",")) if runtime.aggregate else ()
        return cls(runtime.levels, runtime.shares, runtime.minimum, runtime.maximum, sums)

    def limits(self, lowest: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the least value (…, C) of columns whose lowest value so far is known, and the largest."""
        if self.minimum == AUTO:
            least = np.where(lowest >= 0, 0.0, -np.inf)
        else:
            least = np.full(lowest.shape, -np.inf if self.minimum == NONE else float(self.minimum))
        return least, np.inf if self.maximum == NONE else float(self.maximum)


class Bounded(NamedTuple):
    """A forecast with what lies around it, all (…, H, C) in the units of the data, NaN where there is none.

    Attributes:
        bands: lower and upper bound by level.
        quantiles: value by share.
        least: (…, C), the least value that is possible.
        most: the largest one.
    """

    values: np.ndarray
    bands: dict[float, tuple[np.ndarray, np.ndarray]]
    quantiles: dict[float, np.ndarray]
    least: np.ndarray
    most: np.ndarray | float
    notes: tuple[str, ...] = ()

    def within(self, values: np.ndarray | None) -> np.ndarray | None:
        """Return other values (…, H, C) within the limits of these; None for none."""
        return None if values is None else np.clip(values, self.least[..., None, :], self.most)


def bounded(
    values: np.ndarray,
    unit: np.ndarray,
    intervals: Intervals | None,
    wanted: Wanted,
    lowest: np.ndarray,
    columns: Sequence[str],
) -> Bounded:
    """Return a forecast (…, H, C) with its intervals and quantiles, all within its limits.

    Args:
        unit: (…, C), the scale of the last window in the units of the data.
        lowest: (…, C), the lowest value of each column so far.
        columns: C names.
    """
    least, most = wanted.limits(lowest)
    floor = least[..., None, :]
    bands, quantiles = around(values, unit[..., None, :], intervals, wanted, floor, most)
    kept = np.clip(values, floor, most)
    notes = _notes_on_limits(values, bands, kept, floor, wanted, columns)
    return Bounded(kept, bands, quantiles, least, most, tuple(notes))


def around(
    values: np.ndarray,
    unit: np.ndarray | float,
    intervals: Intervals | None,
    wanted: Wanted,
    least: np.ndarray,
    most: np.ndarray | float,
) -> tuple[dict[float, tuple[np.ndarray, np.ndarray]], dict[float, np.ndarray]]:
    """Return the bands and quantiles around values (…, H, C), NaN beyond the steps that the intervals have.

    Args:
        unit: what the errors of the intervals are multiplied by; like ``least`` and ``most`` it fits (…, H, C).
    """

    def place(offset: np.ndarray | None) -> np.ndarray:
        reach = np.full(values.shape[-2:], np.nan)
        if offset is not None:
            steps = min(len(offset), len(reach))
            reach[:steps] = offset[:steps]
        return np.clip(values + reach * unit, least, most)

    bands = {}
    for level in wanted.levels:
        lower, upper = (None, None) if intervals is None else intervals.bounds(level)
        bands[level] = place(lower), place(upper)
    quantiles = {}
    for share in wanted.quantiles:
        quantiles[share] = place(None if intervals is None else intervals.adapted_quantile(share))
    return bands, quantiles


def reference_of(
    rows: np.ndarray, steps: int, season: int, better: Mapping[str, str], columns: Sequence[str]
) -> np.ndarray | None:
    """Return simple forecasts (B, H, C) for the columns on which one was at least as good as the model in its test.

    Args:
        rows: (B, T, C), what is known.
        better: the name of the better simple forecast by column.

    Returns:
        None where there is no such column; NaN for other columns.
    """
    models = baselines(steps, rows.shape[2], season, model="")
    found = np.full((len(rows), steps, rows.shape[2]), np.nan)
    for c, column in enumerate(columns):
        model = models.get(better.get(column, ""))
        if model is not None and model.lookback <= rows.shape[1]:
            found[..., c] = model(torch.tensor(rows)).forecast[..., c].numpy()
    return None if np.isnan(found).all() else found


def _notes_on_limits(
    values: np.ndarray,
    bands: Mapping[float, tuple[np.ndarray, np.ndarray]],
    kept: np.ndarray,
    least: np.ndarray,
    wanted: Wanted,
    columns: Sequence[str],
) -> Iterator[str]:
    """Yield a note on columns that are kept from negative values because they never had one."""
    if wanted.minimum != AUTO:
        return
    touched = (kept != values) | np.any([lower == least for lower, _ in bands.values()] or [np.zeros(1, bool)], axis=0)
    touched &= least == 0
    names = [name for name, one in zip(columns, touched.reshape(-1, len(columns)).any(axis=0), strict=True) if one]
    if names:
        yield f"never negative so far, and kept at 0 or above: {listing(names)} (--minimum none leaves them so)"


def quantile_name(share: float) -> str:
    """Return the name of a quantile's column."""
    return f"q{share:g}"
