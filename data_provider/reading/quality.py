"""Describe what a file holds, before anything is trained on it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from data_provider.reading.csv_file import listing
from data_provider.reading.frame import Frame
from data_provider.reading.frequency import season_length
from data_provider.reading.timezones import written_dates

OUTLYING = 10.0  # robust standard deviations from the median
NORMAL_QUARTILES = 1.349  # interquartile range of a normal distribution, in standard deviations
MOST = 12  # columns with a line of their own


def describe(table: Frame) -> Iterator[str]:
    """Yield lines on rows, span, step, missing values, odd columns and outliers of a table."""
    present = table.rows >= 0  # without gaps
    table = replace(table, dates=table.dates[present], values=table.values[present], rows=table.rows[present])
    names, values = table.columns, table.values
    zone = f", at {table.offset} from UTC" if table.offset else ""
    first, last = written_dates(table.dates[[0, -1]], None)
    yield f"{len(values):,} rows, {first} to {last} (column {table.date_column!r}{zone})"
    yield f"step {table.frequency}, {season_length(table.frequency)} steps to a season"
    yield f"{len(names)} column(s): {listing(names)}"
    counts = np.isnan(values).sum(axis=0)
    lacking = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True) if count]
    if lacking:
        yield f"missing values in: {listing(lacking)}"
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)  # NumPy warns of columns without any value
    flat = np.square(np.nanmax(known, axis=0) - np.nanmin(known, axis=0)) == 0  # or differences that vanish in squares
    constant = [name for name, is_flat in zip(names, flat, strict=True) if is_flat]
    yield f"constant: {listing(constant)}" if constant else "no column is constant"
    twins = list(_twins(table))
    yield f"duplicates: {listing(twins)}" if twins else "no column duplicates another"
    found = list(_outliers(table))
    yield from found or [f"no value lies more than {OUTLYING:g} robust standard deviations from its column's median"]


def _twins(table: Frame) -> Iterator[str]:
    """Yield the columns that have the values of an earlier column."""
    first: dict[bytes, str] = {}
    for name, column in zip(table.columns, table.values.T, strict=True):
        original = first.setdefault((column + 0.0).tobytes(), name)  # -0 as 0
        if original != name:
            yield f"{name} (of {original})"


def _outliers(table: Frame) -> Iterator[str]:
    """Yield a line for each column with values far from its median, for at most 12 columns, the farthest first."""
    found = []
    for name, column in zip(table.columns, table.values.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known) < 2:
            continue
        lower, middle, upper = np.percentile(known, [25, 50, 75])
        # Where half of the values are equal, all others are far by the quartiles: take the whole spread.
        scale = (upper - lower) / NORMAL_QUARTILES or known.std()
        distance = np.abs(column - middle) / scale if scale else np.zeros(len(column))
        far = int(np.nansum(distance > OUTLYING))
        if far:
            row = int(np.nanargmax(distance))
            place = f"{table.dates[row]} ({table.location.row(int(table.rows[row]))})"
            farthest = f"the farthest {column[row]:g} at {place}, {distance[row]:.0f} from {middle:g}"
            found.append((distance[row], f"extreme: {listing([name])}: {far:,} value(s), {farthest}"))
    yield from (line for _, line in sorted(found, reverse=True)[:MOST])
    if len(found) > MOST:
        yield f"extreme values also in {len(found) - MOST} more column(s)"
