"""Bring the rows of a table in order: one row a date, from the oldest to the newest."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import Location
from data_provider.reading.dates import Stamps, is_date_or_number, is_no_date, stripped
from data_provider.reading.timezones import clock_changes
from utils.errors import UserError

TOTAL = re.compile(r"(?:grand |sub)?(?:total|sum|summe|gesamt|average|mean|mittel(?:wert)?)s?:?", re.IGNORECASE)
LAST = 5  # rows at the end that may be a footer
SAME = "daylight saving time. Name its time zone, like --tz Europe/Berlin, or write the dates in UTC or with offsets."


@dataclass(frozen=True)
class Rows:
    """Rows of a table.

    Attributes:
        stamps: T dates
        values: (T, C) float64, NaN where a value is missing
        index: (T,), the row of the table, counted from 0
    """

    stamps: Stamps
    values: np.ndarray
    index: np.ndarray

    def take(self, rows: np.ndarray) -> "Rows":
        """Return some rows, in their order."""
        return Rows(self.stamps.take(rows), self.values[rows], self.index[rows])

    def place(self, row: int, location: Location) -> str:
        """Return where a row stands, with its date."""
        return f"{location.row(int(self.index[row]))} ({self.stamps.wall[row]})"


def without_footer(dates: pd.Series, others: pd.DataFrame, location: Location) -> tuple[pd.Series, tuple[str, ...]]:
    """Return the dates without rows at the end that are a total or words below the table, and a note."""
    kept = len(dates)
    if not is_no_date(dates.iloc[-1:], location):
        return dates, ()
    texts = stripped(dates)
    while kept > max(1, len(dates) - LAST):
        cell, rest = texts.iloc[kept - 1], others.iloc[kept - 1]
        words = [str(each).strip() for each in (cell, *rest) if isinstance(each, str)]
        is_total = any(map(TOTAL.fullmatch, words)) and not (pd.notna(cell) and is_date_or_number(cell))
        is_alone = rest.isna().all() and (pd.isna(cell) or re.search("[A-Za-z]{3}", cell))
        if not (is_total or (is_alone and is_no_date(dates.iloc[kept - 1 : kept], location))):
            break
        kept -= 1
    if kept == len(dates):
        return dates, ()
    first = location.row(int(dates.index[kept]))
    found = texts.iloc[kept:].dropna()
    what = f", but {found.iloc[0]!r}" if len(found) else ""
    return dates.iloc[:kept], (f"left out (no date{what}): {len(dates) - kept} row(s) at the end, from {first} on",)


def newest_last(rows: Rows) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows turned round, with a note, where the newest stand first."""
    steps = np.diff(rows.stamps.wall.to_numpy())
    still = np.timedelta64(0)
    if len(steps) and (steps <= still).all() and (steps < still).any():
        return rows.take(np.arange(len(rows.index))[::-1]), ("its newest rows stand first; they are turned round",)
    return rows, ()


def check_irregular(rows: Rows, location: Location) -> tuple[str, ...]:
    """Return a note on dates that do not rise, where they are taken as they are."""
    steps = np.diff(rows.stamps.wall.to_numpy())
    wrong = np.flatnonzero(steps <= np.timedelta64(0)) + 1
    if not len(wrong):
        return ()
    problem = "a duplicate" if steps[wrong[0] - 1] == np.timedelta64(0) else "earlier than the one before"
    where = rows.place(int(wrong[0]), location)
    return (f"its dates are irregular: {where} is {problem}; the rows are taken in the order of the file",)


def in_order(rows: Rows, duplicates: str | None, column: str, location: Location) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows sorted by date, one for each date, and notes.

    Args:
        duplicates: which of several rows of one date to take: ``mean``, ``first``, ``last``; None to refuse them.

    Raises:
        UserError: rows of one date differ, or the clock is put back.
    """
    wall, notes = rows.stamps.wall, []
    wrong = np.flatnonzero(np.diff(wall.to_numpy()) <= np.timedelta64(0)) + 1
    if not len(wrong):
        return rows, ()
    where = f"{location.name}, column {column!r}"
    if rows.stamps.offsets is None and duplicates is None and np.isin(wrong, clock_changes(wall)).all():
        more = f" and {len(wrong) - 1} more times" if len(wrong) > 1 else ""
        raise UserError(
            f"{where}: its clock seems to be put back at {wall[wrong[0]]} ({location.row(int(rows.index[wrong[0]]))})"
            f"{more}, as for {SAME}"
        )
    if not wall.is_monotonic_increasing:
        place = rows.place(int(wrong[0]), location)
        rows = rows.take(np.argsort(wall.to_numpy(), kind="stable"))
        notes.append(f"its rows are not in order; they are sorted by date (the first is {place})")
    rows, dropped = _without_copies(rows)
    if dropped:
        notes.append(f"left out (the same row again): {dropped} row(s)")
    wall = rows.stamps.wall
    if wall.is_unique:
        return rows, tuple(notes)
    repeated = int(wall.duplicated().sum())
    first = int(np.argmax(wall.duplicated()))
    if duplicates is None:
        raise UserError(
            f"{where}: {rows.place(first, location)} is a duplicate with other values, and {repeated} such row(s) in "
            "all: say which to take with --duplicates mean|first|last; if there are several series, name the "
            "column that tells them apart with --id_col."
        )
    notes.append(f"of rows with one date the {duplicates} is taken ({repeated} more row(s))")
    return _merged(rows, duplicates), tuple(notes)


def _without_copies(rows: Rows) -> tuple[Rows, int]:
    """Return the rows without those that repeat date and values of the one before, and their number."""
    same = np.diff(rows.stamps.wall.to_numpy()) == np.timedelta64(0)
    same &= ((rows.values[1:] == rows.values[:-1]) | (np.isnan(rows.values[1:]) & np.isnan(rows.values[:-1]))).all(1)
    kept = np.flatnonzero(np.append(True, ~same))
    return rows.take(kept), int(same.sum())


def _merged(rows: Rows, how: str) -> Rows:
    """Return one row a date of rows that are sorted by date."""
    codes = np.unique(rows.stamps.wall, return_inverse=True)[1]
    first = np.append(0, np.flatnonzero(np.diff(codes)) + 1)
    last = np.append(first[1:], len(codes)) - 1
    if how == "mean":
        values = pd.DataFrame(rows.values).groupby(codes).mean().to_numpy()
        return replace(rows.take(first), values=values)
    return rows.take(first if how == "first" else last)
