"""Read names and cells of a CSV file, and choose the column of dates and the columns of numbers."""

import re
import warnings
from collections import Counter
from contextlib import suppress

import pandas as pd

from data_provider.reading.csv_file import UNREADABLE, CsvFile, Location, listing, shown, unreadable
from data_provider.reading.dates import DATE, are_numbers, looks_like_dates, stripped
from data_provider.reading.numbers import MISSING
from utils.errors import UserError

TIME = re.compile(r"date|day|year|month|time|period|datum|jahr", re.IGNORECASE)
DATE_LIKE = re.compile(r"\d[-/. ]\d|\d{8}|\d:\d\d")  # a quick look before all formats are tried


def checked_names(names: list[str], location: Location, where: str) -> list[str]:
    """Return ``names``, or raise UserError if one is missing, stands twice, or has a NUL character."""
    if any("\0" in name for name in names):
        raise UserError(f"{location.name}, {where}: a name has a NUL character; save the file as CSV in UTF-8.")
    if "" in names:
        raise UserError(f"{location.name}, {where}: column {names.index('') + 1} has no name; name it or remove it.")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{location.name} has more than one column called {shown(twice)}; rename them.")
    return names


def choose_dates(peek: pd.DataFrame, names: list[str], wanted: str | None, location: Location) -> tuple[str, list[str]]:
    """Return the name of the column of dates, and a note where nobody named it; raise UserError if there is none.

    It is the wanted one, else ``date``, else the first that holds dates in the first rows, ``peek``.
    """
    if wanted or DATE in names:
        name = wanted or DATE
        if name not in names:
            raise UserError(f"{location.name} has no column {name!r} (--date_col); its columns are {listing(names)}.")
        return name, []
    found = [name for name in names if _holds_dates(name, peek[name], location)]
    if not found:
        hint = " Columns are separated by commas, semicolons, tabs or bars." if len(names) == 1 else ""
        raise UserError(
            f"{location.name} has no column {DATE!r}, and none that holds dates; its columns are {listing(names)}. "
            f"Name it with --date_col, or write dates like 2024-01-31 13:00:00.{hint}"
        )
    best = min(found, key=lambda name: are_numbers(stripped(peek[name])))  # texts before numbers
    return best, [f"there is no column {DATE!r}: the dates are taken from {shown(best)}"]


def _holds_dates(name: str, column: pd.Series, location: Location) -> bool:
    """Tell whether a column holds dates; numbers, like years, are dates only where the column's name says so."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    texts = stripped(column)
    return bool(not are_numbers(texts) or TIME.search(name)) and looks_like_dates(texts, location)


def choose_numbers(
    names: list[str], date_column: str, columns: tuple[str, ...] | None, location: Location
) -> tuple[list[str], list[str]]:
    """Return the columns to read, in order, and notes on what differs from the table; raise UserError if one lacks."""
    others = [name for name in names if name != date_column]
    if columns is None:
        if not others:
            raise UserError(f"{location.name} has no column beside {date_column!r}: there is nothing to forecast.")
        return others, []
    missing = [name for name in columns if name not in others]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{location.name} lacks the column {shown(missing[0])}{more} that the network was trained on; its columns "
            f"are {listing(names)}."
        )
    notes = []
    if extra := [name for name in others if name not in columns]:
        notes.append(f"ignored, as not known from training: {listing(extra)}")
    if tuple(name for name in others if name in columns) != columns:
        notes.append("its columns are put in the order of training")
    return list(columns), notes


def read_names(file: CsvFile) -> list[str]:
    """Return the names of the columns from the first line; raise UserError if it names none."""
    names = [name.strip() for name in file.header]
    if not any(names):
        raise UserError(f"{file.name}, line 1: it is blank; it has to name the columns.")
    if file.separator != "," and len(names) > 2 and not names[-1]:  # a separator at the end of each line
        names.pop()
    for name in names:  # a plain year may be a name
        if DATE_LIKE.search(name) and looks_like_dates(pd.Series([name]), file):
            raise UserError(
                f"{file.name}, line 1: {shown(name)} is a date, no name; the first line has to name the columns."
            )
    return checked_names(names, file, "line 1")


def read_cells(file: CsvFile, names: list[str], texts: list[str], rows: int | None = None) -> pd.DataFrame:
    """Return the cells as pandas reads them, without blank rows at the end; raise UserError if the file is no table.

    Args:
        texts: names of the columns to read as they are written
        rows: read that many rows only
    """
    try:
        with file.open() as text, warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            table = pd.read_csv(
                text, sep=file.separator, names=names, header=0, index_col=False, dtype=dict.fromkeys(texts, str),
                decimal=file.decimal, skip_blank_lines=False, low_memory=False, nrows=rows, na_values=list(MISSING),
            )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError, *UNREADABLE) as error:
        _check_widths(file, names)
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        unclosed = re.fullmatch(r"EOF inside string starting at row (\d+)", reason)
        reason = f"a quote in {file.row(int(unclosed[1]) - 1)} is never closed" if unclosed else reason
        raise unreadable(file, error, reason) from error
    for name in texts:
        table[name] = table[name].str.strip().replace("", None)
    written = table.notna().any(axis=1).to_numpy().nonzero()[0]
    if not len(written):
        raise UserError(f"{file.name} has a header but no rows.")
    return table.iloc[: written[-1] + 1]


def _check_widths(file: CsvFile, names: list[str]) -> None:
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
