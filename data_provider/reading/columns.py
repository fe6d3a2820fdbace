"""Choose the column of dates and the columns of numbers."""

import re
from collections import Counter

import pandas as pd

from data_provider.reading.csv_file import Location, listing, shown
from data_provider.reading.dates import DATE, are_numbers, looks_like_dates, stripped
from utils.errors import UserError

TIME = re.compile(r"date|day|year|month|time|period|datum|jahr", re.IGNORECASE)


def checked_names(names: list[str], location: Location, where: str) -> list[str]:
    """Return ``names`` if each column has one and no two are equal.

    Args:
        where: the part of the table that names the columns, for messages

    Raises:
        UserError: a name is missing, stands twice, or has a NUL character
    """
    if any("\0" in name for name in names):
        raise UserError(f"{location.name}, {where}: a name has a NUL character; save the file as CSV in UTF-8.")
    if "" in names:
        raise UserError(f"{location.name}, {where}: column {names.index('') + 1} has no name; name it or remove it.")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{location.name} has more than one column called {shown(twice)}; rename them.")
    return names


def choose_dates(
    peek: pd.DataFrame, names: list[str], wanted: str | None, location: Location
) -> tuple[str, tuple[str, ...]]:
    """Return the name of the column of dates, and a note where nobody named it.

    Args:
        peek: the first rows
        wanted: the column that the user asks for; None for ``date``, else for the first column that holds dates

    Raises:
        UserError: there is no such column
    """
    if wanted is not None or DATE in names:
        name = DATE if wanted is None else wanted
        if name not in names:
            raise UserError(f"{location.name} has no column {name!r} (--date_col); its columns are {listing(names)}.")
        return name, ()
    found = [name for name in names if _holds_dates(name, peek[name], location)]
    if not found:
        hint = " Columns are separated by commas, semicolons, tabs or bars." if len(names) == 1 else ""
        raise UserError(
            f"{location.name} has no column {DATE!r}, and none that holds dates; its columns are {listing(names)}. "
            f"Name it with --date_col, or write dates like 2024-01-31 13:00:00.{hint}"
        )
    best = next((name for name in found if not are_numbers(stripped(peek[name]))), found[0])
    return best, (f"there is no column {DATE!r}: the dates are taken from {shown(best)}",)


def _holds_dates(name: str, column: pd.Series, location: Location) -> bool:
    """Tell whether a column holds dates; numbers, like years, are dates only where the column's name says so."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    texts = stripped(column)
    return looks_like_dates(texts, location) and bool(not are_numbers(texts) or TIME.search(name))


def choose_numbers(
    names: list[str], date_column: str, columns: tuple[str, ...] | None, location: Location
) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns to read in the order to read them, and notes on what differs from the table.

    Args:
        columns: the columns that the user asks for; None for all but the dates

    Raises:
        UserError: a column is missing
    """
    others = [name for name in names if name != date_column]
    if columns is None:
        if not others:
            raise UserError(f"{location.name} has no column beside {date_column!r}: there is nothing to forecast.")
        return others, ()
    missing = [name for name in columns if name not in others]
    if missing:
        raise UserError(
            f"{location.name} lacks the column {shown(missing[0])}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + f" that the network was trained on; its columns are {listing(names)}."
        )
    extra = [name for name in others if name not in columns]
    ignored = (f"ignored, as not known from training: {listing(extra)}",) if extra else ()
    reordered = tuple(name for name in others if name in columns) != columns
    return list(columns), (*ignored, *(("its columns are put in the order of training",) if reordered else ()))
