"""Read the names and the cells of a CSV file, with messages that name the line."""

import re

import numpy as np
import pandas as pd

from data_provider.reading.columns import checked_names
from data_provider.reading.csv_file import UNREADABLE, CsvFile, shown, unreadable
from data_provider.reading.dates import looks_like_dates
from data_provider.reading.numbers import MISSING
from utils.errors import UserError

NOTHING = "\0"  # name of the empty column behind a separator at the end of each line
DATE_LIKE = re.compile(r"\d[-/. ]\d|\d{8}|\d:\d\d")  # a quick look before all formats are tried


def read_names(file: CsvFile) -> list[str]:
    """Return the names of the columns from the first line.

    Raises:
        UserError: the first line names no columns
    """
    names = [name.strip() for name in file.header]
    if not any(names):
        raise UserError(f"{file.name}, line 1: it is blank; it has to name the columns.")
    if file.trailing:
        names.pop()
    for name in names:  # a plain year may be a name
        if DATE_LIKE.search(name) and looks_like_dates(pd.Series([name]), file):
            raise UserError(
                f"{file.name}, line 1: {shown(name)} is a date, no name; the first line has to name the columns."
            )
    return checked_names(names, file, "line 1")


def read_cells(file: CsvFile, names: list[str], texts: list[str], rows: int | None = None) -> pd.DataFrame:
    """Return the cells as pandas reads them, without blank rows at the end.

    Args:
        names: of all columns
        texts: names of the columns to read as they are written
        rows: read that many rows only, all columns as they are written; None for all rows

    Raises:
        UserError: the file is no table
    """
    fields = [*names, NOTHING] if file.trailing else names
    types = str if rows is not None else dict.fromkeys(texts, str)
    try:
        with file.open() as text:
            table = pd.read_csv(
                text, sep=file.separator, names=fields, header=0, dtype=types, decimal=file.decimal,
                skip_blank_lines=False, low_memory=False, nrows=rows, na_values=list(MISSING),
            )  # fmt: skip
    except (pd.errors.ParserError, ValueError, OverflowError, *UNREADABLE) as error:
        _check_widths(file, fields)
        raise unreadable(file, error, _reason(error, file)) from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas makes an index of cells too many
        _check_widths(file, fields)
    if file.trailing:
        last = table.pop(NOTHING).notna().to_numpy()
        if last.any():
            where = f"{file.name}, {file.row(int(np.argmax(last)))}"
            raise UserError(f"{where}: its last field, {len(fields)}, belongs to no column that has a name.")
    for name in texts:
        table[name] = table[name].str.strip().replace("", None)
    written = table.notna().any(axis=1).to_numpy().nonzero()[0]
    if not len(written):
        raise UserError(f"{file.name} has a header but no rows.")
    return table.iloc[: written[-1] + 1]


def _reason(error: Exception, file: CsvFile) -> str:
    reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
    unclosed = re.fullmatch(r"EOF inside string starting at row (\d+)", reason)
    return f"a quote in {file.row(int(unclosed[1]) - 1)} is never closed" if unclosed else reason


def _check_widths(file: CsvFile, names: list[str]) -> None:
    """Refuse the first row that has more cells than the header. Slow: called only after pandas has failed."""
    try:
        for line, cells in file.rows():
            if len(cells) > len(names):
                raise UserError(
                    f"{file.name}, line {line}: it has {len(cells)} fields, but the header names {len(names)} columns."
                )
    except UNREADABLE:
        return
