"""Read the cells of a file as pandas does."""

import re
import warnings
from collections.abc import Sequence
from contextlib import suppress

import pandas as pd

from data_provider.reading.columns import checked_names
from data_provider.reading.csv_file import UNREADABLE, CsvFile, shown
from data_provider.reading.dates import looks_like_dates
from data_provider.reading.numbers import MISSING
from data_provider.reading.sources import unreadable
from utils.errors import UserError

DATE_LIKE = re.compile(r"\d[-/. ]\d|\d{8}|\d:\d\d")  # a quick look before all formats are tried


def read_names(file: CsvFile) -> list[str]:
    """Return the names of the columns; raise UserError if the first line holds data."""
    for name in file.names:  # a plain year may be a name
        if DATE_LIKE.search(name) and looks_like_dates(pd.Series([name]), file):
            raise UserError(
                f"{file.name}, line {file.above}: {shown(name)} is a date, no name; the first line has to name the "
                "columns."
            )
    return checked_names(file.names, file, f"line {file.above}")


def read_cells(
    file: CsvFile, names: Sequence[str], texts: Sequence[str], missing: Sequence[str] = (), rows: int | None = None
) -> pd.DataFrame:
    """Return the cells as pandas reads them, without blank rows at the end; raise UserError if the file is no table.

    Args:
        texts: names of the columns to read as they are written
        missing: more texts that stand for a missing value
        rows: read that many rows only
    """
    try:
        with file.open_rows() as text, warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            table = pd.read_csv(
                text, sep=file.separator, names=list(names), header=None, index_col=False, decimal=file.decimal,
                dtype=dict.fromkeys(texts, str), skip_blank_lines=False, low_memory=False, nrows=rows,
                na_values=[*MISSING, *missing], float_precision="round_trip",
            )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError, *UNREADABLE) as error:
        _check_widths(file, names)
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        unclosed = re.fullmatch(r"EOF inside string starting at row (\d+)", reason)
        reason = f"a quote in {file.row(int(unclosed[1]))} is never closed" if unclosed else reason
        raise unreadable(file, error, reason) from error
    for name in texts:
        table[name] = table[name].str.strip().replace("", None)
    written = table.notna().any(axis=1).to_numpy().nonzero()[0]
    if not len(written):
        raise UserError(f"{file.name} has a header but no rows.")
    return table.iloc[: written[-1] + 1]


def _check_widths(file: CsvFile, names: Sequence[str]) -> None:
    """Refuse rows that have more cells than the header. Slow: called only after pandas has failed.

    The first one with a value behind the last column is named, if any: pandas may forgive separators at line ends.
    """
    wide = None
    with suppress(*UNREADABLE):
        rows = ((line, cells) for line, cells in file.rows() if len(cells) > len(names))
        wide = max(rows, key=lambda row: any(cell.strip() for cell in row[1][len(names) :]), default=None)
    if wide:
        line, cells = wide
        raise UserError(
            f"{file.name}, line {line}: it has {len(cells)} fields, but the header names {len(names)} columns."
        )
