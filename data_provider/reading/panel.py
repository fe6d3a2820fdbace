"""Hold the many series of a long table, one after the other: each with its own beginning and end on one grid of dates.

Shapes: N series, S their rows in all, C columns of values, F columns known in advance, T dates of the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import MOST, Location, listing
from data_provider.reading.frame import Frame
from data_provider.reading.missing import LONGEST, SHARE
from utils.errors import UserError


@dataclass(frozen=True)
class Panel:
    """N series of one step. Series i is ``values[offsets[i]:offsets[i + 1]]``.

    Attributes:
        grid: dates, source, step, clock and notes of the table; it has no columns of its own
        ids: N names, in the order of the table
        columns: C names, the target last
        values: (S, C) float64, finite
        offsets: (N + 1,)
        first: (N,), the place of each series' first row among the dates of the grid
        observed: (S, C), False where a value was filled in; None where none was
        known: (S + A, F), columns known in advance, of each series its rows and those that follow; None for F = 0
        known_offsets: (N + 1,), likewise
        known_columns: F names
        id_column: what tells the series apart
    """

    grid: Frame
    ids: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    offsets: np.ndarray
    first: np.ndarray
    observed: np.ndarray | None
    known: np.ndarray | None
    known_offsets: np.ndarray
    known_columns: tuple[str, ...]
    id_column: str
    notes: tuple[str, ...] = ()

    @property
    def lengths(self) -> np.ndarray:
        """Return the rows of each series, (N,)."""
        return np.diff(self.offsets)

    @property
    def last(self) -> np.ndarray:
        """Return the place of each series' last row among the dates, (N,)."""
        return self.first + self.lengths - 1

    @property
    def lowest(self) -> np.ndarray:
        """Return the lowest value of each series and column, (N, C)."""
        return np.minimum.reduceat(self.values, self.offsets[:-1])

    @property
    def places(self) -> np.ndarray:
        """Return the place of every row among the dates, (S,)."""
        lengths = self.lengths
        return np.arange(len(self.values)) - np.repeat(self.offsets[:-1] - self.first, lengths)

    def select(self, kept: np.ndarray) -> "Panel":
        """Return some of the series; ``kept`` (N,) is True for them."""
        rows, ahead = np.repeat(kept, self.lengths), np.repeat(kept, np.diff(self.known_offsets))
        return replace(
            self,
            ids=tuple(np.array(self.ids, dtype=object)[kept]),
            values=self.values[rows],
            offsets=_offsets(self.lengths[kept]),
            first=self.first[kept],
            observed=None if self.observed is None else self.observed[rows],
            known=None if self.known is None else self.known[ahead],
            known_offsets=_offsets(np.diff(self.known_offsets)[kept]),
        )

    def arrange(self, columns: Sequence[str]) -> "Panel":
        """Return the series with these of their columns, in this order."""
        order = [self.columns.index(name) for name in columns]
        observed = None if self.observed is None else self.observed[:, order]
        return replace(self, columns=tuple(columns), values=self.values[:, order], observed=observed)

    def noting(self, *notes: str) -> "Panel":
        """Return the series with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def assemble(
    grid: Frame,
    ids: pd.Series,
    places: np.ndarray,
    values: np.ndarray,
    columns: Sequence[str],
    known: np.ndarray,
    known_columns: Sequence[str],
    id_column: str,
    duplicates: str | None,
    location: Location,
) -> Panel:
    """Return the series of a long table from its R rows.

    A series begins and ends with the first and the last row that has all its values.

    Args:
        ids: (R,), the series of each row, with the row of the table as index
        places: (R,), the place of each row's date on the grid
        values: (R, C), NaN where a value is missing
        known: (R, F), likewise
        duplicates: which of several rows of one series and date to take

    Raises:
        UserError: two rows of one series and date differ, or a value known in advance is missing.
    """
    codes, labels = pd.factorize(ids, sort=False)
    order = np.lexsort((places, codes))
    cells = np.concatenate([values, known], axis=1)[order]
    codes, places, rows = codes[order], places[order], ids.index.to_numpy()[order]
    codes, places, rows, cells = _one_a_date(codes, places, rows, cells, labels, grid, duplicates, location)
    values, known = cells[:, : len(columns)], cells[:, len(columns) :]
    whole = ~np.isnan(values).any(axis=1)
    count = len(labels)
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(first, codes[whole], places[whole])
    np.maximum.at(last, codes[whole], places[whole])
    has = last >= 0
    first[~has], last[~has] = 0, -1
    offsets = _offsets(last - first + 1)
    inside = (places >= first[codes]) & (places <= last[codes])
    flat = np.full((offsets[-1], len(columns)), np.nan)
    flat[(offsets[codes] + places - first[codes])[inside]] = values[inside]
    ahead, known_offsets = _known_rows(codes, places, rows, known, first, last, known_columns, labels, grid, location)
    names = tuple(str(label) for label in labels)
    panel = Panel(
        grid, names, tuple(columns), flat, offsets, first, None, ahead, known_offsets, tuple(known_columns), id_column
    )
    without = [name for name, there in zip(names, has, strict=True) if not there]
    told = f"it holds {len(names):,} series, told apart by {id_column!r}, of {', '.join(map(repr, columns))}"
    panel = panel.noting(*grid.notes, told)
    if not without:
        return panel
    if not has.any():
        raise UserError(f"{location.name} has no series with values.")
    return panel.select(has).noting(f"left out (no values): {listing(without)}")


def _one_a_date(
    codes: np.ndarray,
    places: np.ndarray,
    rows: np.ndarray,
    cells: np.ndarray,
    labels: pd.Index,
    grid: Frame,
    duplicates: str | None,
    location: Location,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return one row for each series and date of rows that are sorted by both."""
    again = np.append(False, (np.diff(codes) == 0) & (np.diff(places) == 0))
    if not again.any():
        return codes, places, rows, cells
    same = again.copy()
    same[1:] &= ((cells[1:] == cells[:-1]) | (np.isnan(cells[1:]) & np.isnan(cells[:-1]))).all(axis=1)
    codes, places, rows, cells, again = (part[~same] for part in (codes, places, rows, cells, again))
    again = np.append(False, (np.diff(codes) == 0) & (np.diff(places) == 0))
    if not again.any():
        return codes, places, rows, cells
    if duplicates is None:
        row = int(np.argmax(again))
        raise UserError(
            f"{location.name}: {location.row(int(rows[row]))} ({grid.dates[places[row]]}) is a second row of "
            f"{str(labels[codes[row]])!r} with another value, and {int(again.sum())} such row(s) in all; correct them, "
            "say which to take with --duplicates mean|first|last, or name another column with --id_col."
        )
    groups = np.cumsum(~again) - 1
    begins = np.flatnonzero(~again)
    if duplicates == "mean":
        cells = pd.DataFrame(cells).groupby(groups).mean().to_numpy()
        return codes[begins], places[begins], rows[begins], cells
    taken = begins if duplicates == "first" else np.append(begins[1:], len(codes)) - 1
    return codes[taken], places[taken], rows[taken], cells[taken]


def _known_rows(
    codes: np.ndarray,
    places: np.ndarray,
    rows: np.ndarray,
    known: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    names: Sequence[str],
    labels: pd.Index,
    grid: Frame,
    location: Location,
) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the columns known in advance of each series, from its first row as far as all are known, and offsets.

    Where the table lacks a row, they keep the values of the row before; an empty cell is refused.
    """
    if not names:
        return None, _offsets(last - first + 1)
    full = ~np.isnan(known).any(axis=1)
    end = last.copy()
    np.maximum.at(end, codes[full], places[full])
    end[last < 0] = -1
    seen = (places >= first[codes]) & (places <= end[codes])
    if (hole := seen & ~full).any():
        row = int(np.argmax(hole))
        column = names[int(np.argmax(np.isnan(known[row])))]
        raise UserError(
            f"{location.name}, column {column!r}, {location.row(int(rows[row]))} ({str(labels[codes[row]])!r}, "
            f"{grid.dates[places[row]]}): a value is missing, and a column known in advance (--future_cols) has to be "
            f"known everywhere; {int(hole.sum())} such row(s) in all. Complete the column, or leave it out."
        )
    offsets = _offsets(end - first + 1)
    flat = np.full((offsets[-1], len(names)), np.nan)
    flat[(offsets[codes] + places - first[codes])[seen]] = known[seen]
    return pd.DataFrame(flat).ffill().to_numpy(), offsets


def filled(panel: Panel, fill: str) -> Panel:
    """Return the series without holes; those with too many are left out with a note.

    Args:
        fill: ``auto`` fills short gaps linearly; ``linear`` and ``ffill`` fill all; ``none`` refuses them.

    Raises:
        UserError: values are missing and ``fill`` is none, or every series lacks too many.
    """
    gone = np.isnan(panel.values)
    if not gone.any():
        return panel
    series = np.repeat(np.arange(len(panel.ids)), panel.lengths)
    lacking = np.unique(series[gone.any(axis=1)])
    names = np.array(panel.ids, dtype=object)
    steps = int(gone.any(axis=1).sum())
    where = f"{steps:,} step(s) of {len(lacking):,} series have no value: {listing(list(names[lacking]))}"
    if fill == "none":
        raise UserError(
            f"{panel.grid.source}: {where}. Complete the file, or fill with --fill auto (short gaps), --fill linear "
            "(between neighbours) or --fill ffill (the last known value)."
        )
    if fill == "auto":
        runs = np.zeros(len(panel.ids), dtype=np.int64)
        shares = np.zeros(len(panel.ids))
        for column in gone.T:
            np.maximum.at(runs, series, _runs(column))
            shares = np.maximum(shares, np.bincount(series[column], minlength=len(names)) / panel.lengths)
        kept = (runs <= LONGEST) & (shares <= SHARE)
        if not kept.all():
            left = list(names[~kept])
            if not kept.any():
                raise UserError(
                    f"{panel.grid.source}: every series lacks more than {LONGEST} values in a row or {SHARE:.0%} of a "
                    "column. Complete the file, or fill all gaps with --fill linear or --fill ffill."
                )
            note = (
                f"left out (more than {LONGEST} values in a row or {SHARE:.0%} of a column are missing; --fill linear "
                f"keeps them): {len(left):,} series, {listing(left)}"
            )
            return filled(panel.select(kept).noting(note), fill)
    table = pd.DataFrame(panel.values)  # a series begins and ends with values: nothing is filled from another one
    values = (table.ffill() if fill == "ffill" else table.interpolate()).to_numpy()
    how = fill if fill != "auto" else "linearly"
    return replace(panel, values=values, observed=~gone).noting(f"filled ({how}), and not scored: {where}")


def _runs(gone: np.ndarray) -> np.ndarray:
    """Return for each missing value how many are missing in a row up to it, 0 elsewhere."""
    counts = np.cumsum(gone)
    return counts - np.maximum.accumulate(np.where(gone, 0, counts))


def spans(panel: Panel, names: int = MOST) -> list[str]:
    """Return a line on each of the first series: its rows, first and last date."""
    lines = []
    for i in range(min(names, len(panel.ids))):
        begin, end = panel.grid.dates[[panel.first[i], panel.last[i]]]
        lines.append(f"series {listing([panel.ids[i]])}: {panel.lengths[i]:,} rows, {begin} to {end}")
    more = len(panel.ids) - len(lines)
    return [*lines, f"… and {more:,} more series"] if more else lines
