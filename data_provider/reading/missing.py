"""Decide what becomes of missing values: which columns and rows are used, and what is filled."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import listing
from data_provider.reading.frame import Frame, Known, holes
from data_provider.reading.timezones import written_dates
from utils.errors import UserError

MOSTLY = 1 / 3  # of its values missing, and a column is left out
LITTLE = 0.1  # of the rows, which may go where columns begin late
LONGEST, SHARE = 5, 0.1  # --fill auto: steps in a row, and share of a column, that are filled
# Numbers that stand for a missing value in many files.
CODES = (-1.0, -9.0, -99.0, -99.9, -200.0, -999.0, -999.9, -9999.0, -99999.0, 99.0, 999.0, 9999.0, 99999.0)
REPEATED = 2  # times, from which on such a number is noted


def codes_of_missing(values: np.ndarray, columns: Sequence[str]) -> Iterator[str]:
    """Yield a note for each number that repeats far outside of all others, as codes of missing values do."""
    found: dict[float, list[str]] = {}
    for name, column in zip(columns, values.T, strict=True):
        known = column[~np.isnan(column)]
        for end in (known.min(), known.max()) if len(known) else ():
            count = int((known == end).sum())
            if end in CODES and REPEATED <= count < len(known) and _is_far(end, known[known != end]):
                found.setdefault(float(end), []).append(f"{name} ({count:,} times)")
    for code, where in found.items():
        yield (
            f"{code:g} stands far outside of all other values in {listing(where)}: where it means missing, say "
            f"--missing {code:g}"
        )


def _is_far(code: float, others: np.ndarray) -> bool:
    """Tell whether a number lies further from the others than most of them from each other, or is the one below 0."""
    low, high = np.quantile(others, (0.25, 0.75))
    distance = np.abs(others - code).min()
    return (distance > high - low and (distance > 1 or high == low)) or (code < -1 and others.min() >= 0)


def settle(table: Frame, target: str | None, keep: Sequence[str]) -> Frame:
    """Return the columns and rows to use: from where all columns begin to the last value of the target.

    Columns known in advance keep the value before where the table lacks a row in between.

    Args:
        target: the column whose last value ends the series, if there is one of that name; else the last one.
        keep: columns that the user chose, which are never left out.
    """
    values, notes = table.values, []
    first, last = _spans(values)
    if (first < 0).all():
        raise UserError(f"{table.source} has no values at all.")
    names = np.array(table.columns, dtype=object)
    wanted = target if target in table.columns else None
    aim = int(np.argmax(names == wanted)) if wanted else _last_column(first, last, ~np.isnan(values))
    end, begin = int(last[aim]) + 1, int(first[aim])
    if tail := len(values) - end:
        after = written_dates(table.dates[[end - 1]], table.offset, table.form)[0]
        notes.append(f"{tail} row(s) at the end have no {names[aim]!r}: the forecast begins after {after}")
    chosen = np.isin(names, [*keep, names[aim]])
    late = first - begin > LITTLE * (end - begin)
    early = (last >= 0) & (last + 1 < end)
    share = np.isnan(values[begin:end]).mean(axis=0)
    left = {"begins late": late & (first >= 0), "ends early": early, "mostly empty": share > MOSTLY}
    used = np.ones(len(names), dtype=bool)
    for why, which in left.items():
        gone = which & used & ~chosen
        used &= ~gone
        if gone.any():
            notes.append(f"left out ({why}): {listing(list(names[gone]))}")
    start = int(first[used].max())
    if start > begin or begin:
        at = written_dates(table.dates[[start]], table.offset, table.form)[0]
        who = names[used][int(np.argmax(first[used]))]
        notes.append(f"the series begins at {at}, {start} row(s) later than the file, as column {who!r} does")
    kept = slice(start, end)
    return replace(
        table,
        dates=table.dates[kept],
        values=np.ascontiguousarray(values[kept][:, used]),
        rows=table.rows[kept],
        columns=tuple(names[used]),
        notes=(*table.notes, *notes),
        known=None if table.known is None else _bridged(table.known.take(slice(start, None)), end - start),
    )


def _bridged(known: Known, end: int) -> Known:
    """Return columns known in advance with the value before where the table lacks a row before ``end``."""
    values = known.values.copy()
    for row in np.flatnonzero(known.rows[:end] < 0):
        values[row] = values[row - 1]
    return replace(known, values=values)


def _spans(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last row with a value of each column, -1 where there is none."""
    known = ~np.isnan(values)
    has = known.any(axis=0)
    return np.where(has, known.argmax(axis=0), -1), np.where(has, len(values) - 1 - known[::-1].argmax(axis=0), -1)


def _last_column(first: np.ndarray, last: np.ndarray, known: np.ndarray) -> int:
    """Return the last column that begins early and has most of its values, as target where none is named."""
    has = first >= 0
    fits = has & (first - first[has].min() <= LITTLE * len(known)) & (known.mean(axis=0) >= 1 - MOSTLY)
    return int(np.flatnonzero(fits)[-1]) if fits.any() else int(np.argmax(last - first + has))


def complete(table: Frame, fill: str, last: int | None = None) -> Frame:
    """Return a table without holes; raise UserError if they cannot be filled.

    Args:
        fill: ``auto`` fills short gaps linearly; ``linear`` and ``ffill`` fill all; ``none`` fills nothing.
        last: how many rows at the end have to be without holes; None for all.
    """
    filled = _fill(table, fill, last)
    if table.known is None:
        return filled
    begin = 0 if last is None else max(0, len(table.dates) - last)
    return replace(filled, known=_without_holes(table, table.known, begin))


def _without_holes(table: Frame, known: Known, begin: int) -> Known:
    """Return columns known in advance, from rows before the end to the last one where all are known.

    Args:
        begin: the first row that has to be without holes.

    Raises:
        UserError: a cell is empty.
    """
    rows, end = known.rows, len(table.dates)
    gone = np.isnan(known.values)
    complete_rows = np.flatnonzero(~gone.any(axis=1) & (rows >= 0))
    stop = max(end, int(complete_rows[-1]) + 1 if len(complete_rows) else 0)
    gone[:begin] = False
    if gone[begin:stop].any():
        row, column = (int(part) for part in np.argwhere(gone[:stop])[0])
        place = f"{table.location.row(int(rows[row]))} ({known.dates[row]})" if rows[row] >= 0 else known.dates[row]
        count = int(gone[:stop, column].sum())
        raise UserError(
            f"{table.source}, column {known.columns[column]!r}, {place}: a value is missing, and a column known in "
            f"advance (--future_cols) has to be known everywhere; {count} value(s) of it are missing. Complete the "
            "column, or leave it out."
        )
    return known.take(slice(0, stop))


def _fill(table: Frame, fill: str, last: int | None) -> Frame:
    seen = table if last is None or last >= len(table.dates) else table.tail(last)
    problems = "; ".join(holes(seen))
    if not problems:
        return table
    gone = np.isnan(table.values)
    _check_ends(table, seen, gone)
    limit = ""
    if fill == "auto":
        unseen = len(table.dates) - len(seen.dates)
        length, share = int(_gaps(gone)[unseen:].max()), float(gone[unseen:].mean(axis=0).max())
        limit = f", at most {LONGEST} in a row and {SHARE:.0%} of a column"
        if length > LONGEST or share > SHARE:
            column = table.columns[int(np.argmax(gone[unseen:].mean(axis=0)))]
            raise UserError(
                f"{table.source}: {problems}. Up to {length} in a row and {share:.1%} of a column ({column}) are "
                f"missing, and gaps are filled up to {LONGEST} in a row and {SHARE:.0%}. Complete the file, fill all "
                "with --fill linear (between neighbours) or --fill ffill (the last known value), or leave columns out "
                "with --ignore."
            )
    if fill == "none":
        raise UserError(
            f"{table.source}: {problems}. Complete the file, or fill with --fill auto (short gaps), --fill linear "
            "(between neighbours) or --fill ffill (the last known value)."
        )
    values = pd.DataFrame(table.values)
    values = values.ffill() if fill == "ffill" else values.interpolate()
    how = fill if fill != "auto" else f"linearly{limit}"
    note = f"filled ({how}), and not scored: {problems}"
    return replace(table, values=values.to_numpy(), filled=gone, notes=(*table.notes, note))


def _gaps(gone: np.ndarray) -> np.ndarray:
    """Return for each missing value how many are missing in a row up to it, 0 elsewhere."""
    counts = np.zeros(gone.shape, dtype=np.int64)
    running = np.zeros(gone.shape[1], dtype=np.int64)
    for t, row in enumerate(gone):
        running = (running + 1) * row
        counts[t] = running
    return counts


def _check_ends(table: Frame, seen: Frame, gone: np.ndarray) -> None:
    """Refuse columns that begin or end with missing values: nothing is known there."""
    for c in np.flatnonzero(gone[0] | gone[-1]):
        where = f"{table.source}, column {table.columns[c]!r}"
        known = np.flatnonzero(~gone[:, c])
        if not len(known):
            raise UserError(f"{where} has no values at all; leave it out with --ignore.")
        if gone[-1, c]:
            raise UserError(
                f"{where} has no value after {table.dates[known[-1]]}, {len(gone) - 1 - known[-1]} row(s) before the "
                "end, and nothing is filled past the last value: complete the file, or leave it out with --ignore."
            )
        if known[0] > len(table.dates) - len(seen.dates):
            raise UserError(
                f"{where} begins with {known[0]} missing value(s), which cannot be filled: begin at "
                f"{table.dates[known[0]]}, or leave the column out with --ignore."
            )
