"""Find cells that lie so far outside of their column that they would spoil the scale of a whole series."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from data_provider.reading import Frame, listing, written_dates

FEWEST = 20  # values, below which nothing is called extreme
FARTHEST, SHARE = 3, 0.01  # cells of a column that may be extreme: so many, or that share
TIMES, APART = 10.0, 4.0  # how far from the median an extreme value lies, in distances of the others
MOST = 12  # columns that have a note of their own


@dataclass(frozen=True)
class Bounds:
    """Lowest and highest value (C,) of each column that a model sees; infinite where nothing is extreme."""

    lower: np.ndarray
    upper: np.ndarray

    def clip(self, values: np.ndarray) -> np.ndarray:
        """Return values (…, C) within the bounds."""
        return np.clip(values, self.lower, self.upper)

    def beyond(self, values: np.ndarray) -> np.ndarray:
        """Return which values (…, C) lie outside of the bounds."""
        return (values < self.lower) | (values > self.upper)


def find_bounds(frame: Frame) -> Bounds | None:
    """Return bounds for a series; None where nothing is extreme. Values that were filled in do not count.

    Cells are extreme that lie more than ``TIMES`` as far from their column's median as all others but three, or 1 %,
    with nothing near them: ``APART`` times as far as the farthest cell that is not extreme. A series that grows has no
    such cells, since they would be more. Drawn values with heavy tails have none either, but for one column in a
    hundred: see ``tests/data_provider/test_extremes.py``.
    """
    values = frame.values if frame.filled is None else np.where(frame.filled, np.nan, frame.values)
    known = np.sum(~np.isnan(values), axis=0)
    if (known < FEWEST).all():
        return None
    medians = np.nanmedian(values, axis=0)
    distances = np.sort(np.nan_to_num(np.abs(values - medians), nan=-1.0), axis=0)
    spared = np.maximum(FARTHEST, (SHARE * known).astype(int))
    usual = distances[len(values) - 1 - spared, np.arange(values.shape[1])]
    reach = TIMES * usual
    nearer = np.where(distances <= reach, distances, 0).max(axis=0)
    reach = np.maximum(reach, APART * nearer)
    varies = (distances > 0).sum(axis=0) >= 10 * spared  # a few events among many zeros are no errors
    extreme = (known >= FEWEST) & varies & (usual > 0) & (distances[-1] > reach)
    if not extreme.any():
        return None
    return Bounds(np.where(extreme, medians - reach, -np.inf), np.where(extreme, medians + reach, np.inf))


def extreme_notes(frame: Frame, bounds: Bounds | None) -> Iterator[str]:
    """Yield a note for each column with extreme cells: how many, the farthest with its place, and what is done."""
    if bounds is None:
        return
    columns = np.flatnonzero(bounds.beyond(frame.values).any(axis=0))
    for c in columns[:MOST]:
        yield (
            f"{_farthest(frame, bounds, c)}; clipped for the model to {bounds.lower[c]:.4g} … {bounds.upper[c]:.4g}, "
            "scored as it is"
        )
    if len(columns) > MOST:
        yield f"extreme values, clipped for the model, also in {len(columns) - MOST} more column(s)"


def extreme_known_notes(frame: Frame) -> Iterator[str]:
    """Yield a note for each column known in advance with extreme cells, which the model sees as they are."""
    if frame.known is None:
        return
    known = frame.known
    own = replace(
        frame, values=known.values, columns=known.columns, dates=known.dates, rows=known.rows, filled=None, known=None
    )
    if (bounds := find_bounds(own)) is not None:
        for c in np.flatnonzero(bounds.beyond(own.values).any(axis=0)):
            yield (
                f"{_farthest(own, bounds, c)}; it is known in advance and used as it is: correct it, or all other "
                "values of its column look alike to the model"
            )


def _farthest(frame: Frame, bounds: Bounds, c: int) -> str:
    """Return how many cells of a column are extreme, and where the farthest stands."""
    middle = (bounds.lower[c] + bounds.upper[c]) / 2
    t = int(np.argmax(np.abs(frame.values[:, c] - middle)))
    place = written_dates(frame.dates[[t]], frame.offset, frame.form)[0]
    if frame.location is not None and frame.rows is not None and frame.rows[t] >= 0:
        place += f" ({frame.location.row(int(frame.rows[t]))})"
    count = bounds.beyond(frame.values)[:, c].sum()
    return f"extreme: {listing([frame.columns[c]])}: {count:,} value(s), the farthest {frame.values[t, c]:g} at {place}"
