"""Write a user's file again with its missing values filled: its own cells, columns and order, and what is new.

Shapes: T rows, C channels.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from data_provider.reading import Frame, Reading, read_as_written, written_dates
from utils.files import replacing

FILLED = "filled"  # the column that says which ones were
# How people write dates; the first of these that gives a file's dates as they stand in it is taken for new rows.
FORMS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d", "%Y-%m", "%Y",
    "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%Y%m%d",
)  # fmt: skip
CHECKED = 1000  # dates that a form has to give


def write_filled(path: Path, source: Path, reading: Reading, frame: Frame, values: np.ndarray) -> int:
    """Write a file with values (T, C) in the place of missing ones; return how many.

    Rows that the file lacks are added at their place. A last column names the columns that were filled in each row.
    Numbers get as many decimals as their column has.

    Args:
        source: the file that the frame was read from, as ``reading`` says.
        values: what to put in the place of missing values, NaN where nothing.
    """
    table, mark, separator = read_as_written(source, reading)
    gone = np.zeros(values.shape, dtype=bool) if frame.filled is None else frame.filled & ~np.isnan(values)
    rows = np.arange(len(frame.dates)) if frame.rows is None else frame.rows
    texts = pd.DataFrame(
        {name: _as_written(values[:, c], table[name], mark) for c, name in enumerate(frame.columns)}, dtype="str"
    ).where(gone)  # (T, C), with what is new alone
    named = [", ".join(name for name, new in zip(frame.columns, row, strict=True) if new) for row in gone]
    here = rows >= 0
    column = next(name for name in (FILLED, *(f"{FILLED}_{i}" for i in range(len(table.columns) + 1)))
                  if name not in table)  # fmt: skip
    table[column] = ""
    table.loc[rows[here], column] = np.array(named, dtype=object)[here]
    for name in frame.columns:
        table.loc[rows[here], name] = texts[name][here].set_axis(rows[here]).fillna(table.loc[rows[here], name])
    if not here.all():
        added = texts[~here].assign(**{column: np.array(named, dtype=object)[~here]})
        date_column = frame.date_column.split(",")[0]
        if date_column in table:
            added[date_column] = _dates(frame, rows, table[date_column])[~here]
        table = _inserted(table, added, rows)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, sep=separator, encoding="utf-8", lineterminator="\n")
    return int(gone.sum())


def _inserted(table: pd.DataFrame, added: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Return a table with new rows, in the order of T dates, behind the rows (T,) of the dates before them."""
    here = np.flatnonzero(rows >= 0)
    newest_first = len(here) > 1 and rows[here[0]] > rows[here[-1]]
    before = pd.Series(rows).where(rows >= 0).ffill()[rows < 0].to_numpy()
    added = added.set_axis(before - 0.5 if newest_first else before + 0.5)
    added = added[::-1] if newest_first else added
    return pd.concat([table, added]).sort_index(kind="stable")


def _as_written(values: np.ndarray, column: pd.Series, mark: str) -> list[str]:
    """Return numbers as texts with as many decimals as a column of texts has."""
    decimals = column.dropna().str.extract(rf"\{mark}(\d+)\D*$")[0].str.len()
    count = int(min(12, decimals.max())) if decimals.notna().any() else 0
    return [f"{value:.{count}f}".replace(".", mark) for value in values]


def _dates(frame: Frame, rows: np.ndarray, column: pd.Series) -> np.ndarray:
    """Return all T dates as texts, in the form that the column of dates has; in ISO form where it is another."""
    here = np.flatnonzero(rows >= 0)[:CHECKED]
    known = column.loc[rows[here]].to_numpy()
    for form in FORMS:
        if (frame.dates[here].strftime(form).to_numpy() == known).all():
            return frame.dates.strftime(form).to_numpy()
    return np.array(written_dates(frame.dates, frame.offset, frame.form), dtype=object)
