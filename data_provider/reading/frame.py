"""A table as a series without holes: dates a step apart and finite numbers, or a message that names the place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.reading.csv_rows import Place, listing
from data_provider.reading.table import Reading, Table, read_table, table_of
from utils.errors import UserError

FARTHEST = 1e15  # training standard deviations; beyond it float32 squares lose their meaning
FIRST_PLACES = 3  # named in a message


@dataclass(frozen=True)
class Frame:
    """A multivariate series.

    Attributes:
        dates: T time stamps, rising. values: (T, C) float64, finite. columns: C names.
        source: what to call it in messages. frequency: pandas' name for the step between rows.
        notes: what is odd but allowed. filled: (T, C), True where there was no value; None where all were there.
        date_column: name of the dates' own. offset: of their clock from UTC as written, zone: its time zone, if known.
        place, rows: for messages: where it comes from, and the row there of each row here, -1 for none.
    """

    dates: pd.DatetimeIndex
    values: np.ndarray
    columns: tuple[str, ...]
    source: str
    frequency: str
    notes: tuple[str, ...] = ()
    filled: np.ndarray | None = None
    date_column: str = "date"
    offset: str | None = None
    zone: tzinfo | None = None
    place: Place | None = None
    rows: np.ndarray | None = None

    def select(self, features: str, target: str) -> "Frame":
        """The channels of a run: all of them with the target last (M, MS), or the target alone (S).

        Raises:
            UserError: there is no such target.
        """
        if target not in self.columns:
            raise UserError(
                f"{self.source} has no column {target!r} (--target); its columns are {listing(self.columns)}."
            )
        others = () if features == "S" else tuple(name for name in self.columns if name != target)
        return self.arrange((*others, target))

    def arrange(self, columns: Sequence[str]) -> "Frame":
        """These of its columns, in this order."""
        order = [self.columns.index(name) for name in columns]
        filled = None if self.filled is None else self.filled[:, order]
        return replace(self, values=np.ascontiguousarray(self.values[:, order]), columns=tuple(columns), filled=filled)

    def check_distance(self, standardised: np.ndarray) -> None:
        """Refuse values that are too far out to compute with.

        Args:
            standardised: (R, C), the last R rows in training standard deviations from the training mean.

        Raises:
            UserError: there is one; the message names it.
        """
        far = (standardised > FARTHEST) | (standardised < -FARTHEST)  # no copy of the whole series
        if not far.any():
            return
        i, c = (int(part) for part in np.argwhere(far)[0])
        row = len(self.values) - len(standardised) + i
        origin = row if self.rows is None else int(self.rows[row])
        where = f"{self.place.row(origin)}" if self.place and origin >= 0 else f"{self.dates[row]}"
        raise UserError(
            f"{self.source}, column {self.columns[c]!r}, {where}: {self.values[row, c]:g} is more "
            f"than {FARTHEST:g} training standard deviations from the mean; correct or remove it."
        )


def read_frame(path: Path, reading: Reading | None = None) -> Frame:
    """Read a CSV file: a column of dates and one of numbers per channel.

    Raises:
        UserError: anything in the file that cannot be used, with column and line.
    """
    reading = reading or Reading()
    return _complete(read_table(path, reading), reading)


def frame_from(table: pd.DataFrame, reading: Reading | None = None, source: str = "the table") -> Frame:
    """The same of a pandas table, which is left as it is: messages name rows, counted from 0.

    Raises:
        UserError: anything in the table that cannot be used, with column and row.
    """
    reading = reading or Reading()
    return _complete(table_of(table, reading, source), reading)


def holes(table: Table) -> list[str]:
    """What is missing in a table, in words: gaps in time, and values; nothing where all is there."""
    found = []
    grid, place = table.grid, table.place
    if grid.missing:
        gaps = np.flatnonzero(np.diff(np.flatnonzero(grid.present)) > 1)  # the row before each gap
        places = ", ".join(f"{grid.dates[grid.present][row]} ({place.row(int(row))})" for row in gaps[:FIRST_PLACES])
        found.append(
            f"{grid.missing} step(s) of {grid.frequency} are missing in {len(gaps)} gap(s), the first after {places}"
        )
    missing = np.argwhere(np.isnan(table.values))
    if len(missing):
        dates = grid.dates[grid.present]
        places = ", ".join(
            f"column {table.columns[c]!r}, {place.row(int(row))} ({dates[row]})" for row, c in missing[:FIRST_PLACES]
        )
        columns = len(np.unique(missing[:, 1]))
        found.append(f"{len(missing)} value(s) are missing in {columns} column(s), the first in {places}")
    return found


def _complete(table: Table, reading: Reading) -> Frame:
    """The table without holes: refused if it has some, or filled."""
    grid, notes = table.grid, table.notes
    problems = holes(table)
    values, filled = table.values, None
    if problems:
        if reading.fill is None:
            raise UserError(
                f"{table.place.name}: {'; '.join(problems)}. Complete the file, or fill with --fill linear "
                "(between neighbours) or --fill ffill (the last known value)."
            )
        values, filled = _fill(table, reading.fill)
        notes = (*notes, f"filled ({reading.fill}), and not scored: {'; '.join(problems)}")
    rows = np.full(len(grid.dates), -1)
    rows[grid.present] = np.arange(int(grid.present.sum()))
    return Frame(
        dates=grid.dates,
        values=values,
        columns=table.columns,
        source=table.place.name,
        frequency=grid.frequency,
        notes=notes,
        filled=filled,
        date_column=table.date_column,
        offset=table.offset,
        zone=table.zone,
        place=table.place,
        rows=rows,
    )


def _fill(table: Table, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Values for the whole grid, and which of them were not there."""
    values = np.full((len(table.grid.dates), table.values.shape[1]), np.nan)
    values[table.grid.present] = table.values
    filled = np.isnan(values)
    unknown = filled[0]  # nothing comes before: neither way knows a value
    if unknown.any():
        c = int(np.argmax(unknown))
        known = np.flatnonzero(~filled[:, c])
        if not len(known):
            raise UserError(f"{table.place.name}, column {table.columns[c]!r} has no values at all; remove it.")
        raise UserError(
            f"{table.place.name}, column {table.columns[c]!r} begins with {known[0]} missing value(s), which cannot be "
            f"filled: begin at {table.grid.dates[known[0]]}, or leave the column out."
        )
    steps = np.arange(len(values))
    for c in np.flatnonzero(filled.any(axis=0)):
        known = np.flatnonzero(~filled[:, c])
        if how == "linear":
            values[:, c] = np.interp(steps, known, values[known, c])  # after the last one it is held
        else:
            values[:, c] = values[known, c][np.searchsorted(known, steps, side="right") - 1]
    return values, filled
