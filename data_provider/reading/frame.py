"""Hold a table as a series: dates a step apart and numbers. Describe its holes and its quality."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import MOST, Location, listing
from data_provider.reading.dates import COUNT
from data_provider.reading.frequency import season_length
from data_provider.reading.timezones import clock_changes, written_dates
from utils.errors import UserError

FARTHEST = 1e15  # training standard deviations; the squares of larger values lose their meaning in float32
FIRST_PLACES = 3  # named in a message
OUTLYING = 10.0  # robust standard deviations from the median
NORMAL_QUARTILES = 1.349  # interquartile range of a normal distribution, in standard deviations


@dataclass(frozen=True)
class Known:
    """Columns whose future is known, over the T rows of a frame and A rows after its end.

    Attributes:
        values: (T + A, F) float64; from :func:`read_table` with NaN where a value is missing
        dates: T + A time stamps without time zone
        rows: (T + A,), the row of the table for each date, -1 where the table has none
        offset: of the clock of ``dates`` from UTC, like that of a frame
        source: the file or table, as messages call it
    """

    columns: tuple[str, ...]
    values: np.ndarray
    dates: pd.DatetimeIndex
    rows: np.ndarray
    offset: str | None = None
    source: str = ""

    def take(self, rows: slice) -> "Known":
        """Return some rows."""
        return replace(self, values=self.values[rows], dates=self.dates[rows], rows=self.rows[rows])

    def on_clock_of(self, frame: "Frame") -> "Known":
        """Return the rows on the clock of a series; raise UserError where one of the two has no offsets from UTC."""
        return replace(self, dates=on_clock_of(self.dates, self.offset, self.source, frame), offset=frame.offset)


@dataclass(frozen=True)
class Frame:
    """A multivariate series, a row for each step from the first date to the last.

    Attributes:
        dates: T time stamps without time zone, rising
        values: (T, C) float64, finite; from :func:`read_table` with NaN where a value is missing
        columns: C names
        source: the file or table, as messages call it
        frequency: pandas' name of the step between rows
        notes: decisions and oddities to tell the user
        filled: (T, C), True where the value was missing and is filled; None if nothing was missing
        offset: offset from UTC of the clock of ``dates`` as it is written, like +02:00; None if unknown
        rows: (T,), the row of the table for each date, -1 where the table has none
        form: how its dates are written, where they are no ISO dates: ``count``, or a pattern of periods
        target: the column to forecast, where the reading decided it
        value_column: what its columns hold, in a long table
        known: columns that are known in advance; None where there are none
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
    location: Location | None = None
    rows: np.ndarray | None = None
    form: str | None = None
    target: str | None = None
    value_column: str | None = None
    known: Known | None = None

    @property
    def is_counted(self) -> bool:
        """Return whether its rows are counted, so that its dates are none."""
        return self.form == COUNT

    @property
    def without_gaps(self) -> "Frame":
        """Return the rows that the table has."""
        known = self.rows >= 0
        return replace(self, dates=self.dates[known], values=self.values[known], rows=self.rows[known])

    def tail(self, count: int) -> "Frame":
        """Return the last rows."""
        rows = None if self.rows is None else self.rows[-count:]
        known = None if self.known is None else self.known.take(slice(max(0, len(self.dates) - count), None))
        return replace(self, dates=self.dates[-count:], values=self.values[-count:], rows=rows, known=known)

    def until(self, end: int) -> "Frame":
        """Return the rows before row ``end``; what is known in advance goes on as before."""
        rows = None if self.rows is None else self.rows[:end]
        filled = None if self.filled is None else self.filled[:end]
        return replace(self, dates=self.dates[:end], values=self.values[:end], rows=rows, filled=filled)

    def select(self, features: str, target: str) -> "Frame":
        """Return all channels with the target last (M, MS), or the target alone (S); raise UserError if it lacks."""
        if target not in self.columns:
            raise UserError(
                f"{self.source} has no column {target!r} (--target); its columns are {listing(self.columns)}."
            )
        others = () if features == "S" else tuple(name for name in self.columns if name != target)
        return self.arrange((*others, target))

    def arrange(self, columns: Sequence[str]) -> "Frame":
        """Return the series with these of its columns, in this order."""
        order = [self.columns.index(name) for name in columns]
        filled = None if self.filled is None else self.filled[:, order]
        return replace(self, values=np.ascontiguousarray(self.values[:, order]), columns=tuple(columns), filled=filled)

    def check_distance(self, standardised: np.ndarray) -> None:
        """Raise UserError if a value is too far from the mean, given the last R rows (R, C) in standard deviations."""
        far = (standardised > FARTHEST) | (standardised < -FARTHEST)  # no copy of the whole series
        if not far.any():
            return
        i, c = (int(part) for part in np.argwhere(far)[0])
        row = len(self.values) - len(standardised) + i
        where = self.dates[row] if self.rows is None or self.rows[row] < 0 else self.location.row(int(self.rows[row]))
        raise UserError(
            f"{self.source}, column {self.columns[c]!r}, {where}: {self.values[row, c]:g} is more "
            f"than {FARTHEST:g} training standard deviations from the mean; correct or remove it."
        )


def on_clock_of(dates: pd.DatetimeIndex, offset: str | None, source: str, frame: Frame) -> pd.DatetimeIndex:
    """Return dates of another table on the clock of a series; raise UserError where one has no offsets from UTC."""
    if offset == frame.offset:
        return dates
    if offset is None or frame.offset is None:
        which = source if offset is not None else frame.source
        raise UserError(
            f"{source} goes on with {frame.source}, but only the dates of {which} have offsets from UTC: write both in "
            "one way, or name their time zone with --tz."
        )
    own, other = (pd.Timedelta(0) if one == "Z" else pd.Timedelta(f"{one}:00") for one in (frame.offset, offset))
    return dates + (own - other)


def holes(table: Frame) -> list[str]:
    """Describe the gaps in time and the missing values of a table; an empty list if it is complete."""
    found, known = [], table.without_gaps
    missing_steps = len(table.dates) - len(known.dates)
    if missing_steps:
        gaps = np.flatnonzero(np.diff(np.flatnonzero(table.rows >= 0)) > 1)  # the row before each gap
        places = ", ".join(f"{known.dates[row]} ({table.location.row(int(row))})" for row in gaps[:FIRST_PLACES])
        gap = (
            f"{missing_steps} step(s) of {table.frequency} are missing in {len(gaps)} gap(s), the first after {places}"
        )
        if table.offset is None and np.isin(gaps + 1, clock_changes(known.dates)).all():
            gap += ". If its clock was put forward there, name its time zone, like --tz Europe/Berlin"
        found.append(gap)
    missing = np.argwhere(np.isnan(known.values))
    if len(missing):
        places = ", ".join(
            f"column {table.columns[c]!r}, {table.location.row(int(row))} ({known.dates[row]})"
            for row, c in missing[:FIRST_PLACES]
        )
        columns = len(np.unique(missing[:, 1]))
        found.append(f"{len(missing)} value(s) are missing in {columns} column(s), the first in {places}")
    return found


def describe(table: Frame) -> Iterator[str]:
    """Yield lines on rows, span, step, missing values, odd columns and outliers of a table."""
    table = table.without_gaps
    zone = f", at {table.offset} from UTC" if table.offset else ""
    first, last = written_dates(table.dates[[0, -1]], None, table.form)
    yield f"{len(table.dates):,} rows, {first} to {last} (column {table.date_column!r}{zone})"
    yield f"step {table.frequency}, {season_length(table.frequency)} steps to a season"
    yield f"{len(table.columns)} column(s): {listing(table.columns)}"
    if table.known is not None:
        yield f"known in advance: {listing(table.known.columns)}"
    data = pd.DataFrame(table.values, columns=table.columns)
    lacking = [f"{name} ({count:,})" for name, count in data.isna().sum().items() if count]
    if lacking:
        yield f"missing values in: {listing(lacking)}"
    spread = np.square(data.max() - data.min())  # differences may vanish in squares
    constant = list(data.columns[spread.fillna(0) == 0])
    yield f"constant: {listing(constant)}" if constant else "no column is constant"
    twins = list(_twins(table))
    yield f"duplicates: {listing(twins)}" if twins else "no column duplicates another"
    found = list(_outliers(table, data))
    yield from found or [f"no value lies more than {OUTLYING:g} robust standard deviations from its column's median"]


def _twins(table: Frame) -> Iterator[str]:
    """Yield the columns that have the values of an earlier column."""
    first: dict[bytes, str] = {}
    for name, column in zip(table.columns, table.values.T, strict=True):
        original = first.setdefault((column + 0.0).tobytes(), name)  # -0 as 0
        if original != name:
            yield f"{name} (of {original})"


def _outliers(table: Frame, data: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each column with values far from its median, for at most 12 columns, the farthest first."""
    quartiles = data.quantile([0.25, 0.5, 0.75])
    medians, spread = quartiles.loc[0.5], quartiles.loc[0.75] - quartiles.loc[0.25]
    # Where half of the values are equal, all others are far by the quartiles: take the whole spread.
    scale = (spread / NORMAL_QUARTILES).where(spread > 0, data.std(ddof=0))
    distance = (data - medians).abs() / scale.where(scale > 0)
    counts = (distance > OUTLYING).sum()
    farthest = distance.max()[counts > 0].sort_values(ascending=False)
    for name, most in farthest[:MOST].items():
        row = distance[name].idxmax()
        place = f"{table.dates[row]} ({table.location.row(int(table.rows[row]))})"
        found = f"the farthest {data[name][row]:g} at {place}, {most:.0f} from {medians[name]:g}"
        yield f"extreme: {listing([name])}: {counts[name]:,} value(s), {found}"
    if len(farthest) > MOST:
        yield f"extreme values also in {len(farthest) - MOST} more column(s)"
