"""Which column of a table holds the dates, and which hold the numbers."""

import re

import pandas as pd

from data_provider.reading.csv_rows import Place, listing, shown
from data_provider.reading.dates import DATE, are_numbers, looks_like_dates
from utils.errors import UserError

TIME = re.compile(r"date|day|year|month|time|period|datum|jahr", re.IGNORECASE)


def checked_names(names: list[str], place: Place, where: str) -> list[str]:
    """The names, each there and each once.

    Raises:
        UserError: one is not.
    """
    if "" in names:
        raise UserError(f"{place.name}, {where}: column {names.index('') + 1} has no name; name it or remove it.")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise UserError(f"{place.name} has more than one column called {shown(twice)}; rename them.")
    return names


def choose_dates(peek: pd.DataFrame, names: list[str], wanted: str | None, place: Place) -> tuple[str, tuple[str, ...]]:
    """The column of dates, and a note where it was not named.

    Args:
        peek: the first rows. wanted: the column that was asked for; None for ``date``, else the first of dates.

    Raises:
        UserError: there is none.
    """
    if wanted is not None or DATE in names:
        name = DATE if wanted is None else wanted
        if name not in names:
            raise UserError(f"{place.name} has no column {name!r} (--date_col); its columns are {listing(names)}.")
        return name, ()
    found = [name for name in names if _holds_dates(name, peek[name], place)]
    if not found:
        hint = " Columns are separated by commas, semicolons, tabs or bars." if len(names) == 1 else ""
        raise UserError(
            f"{place.name} has no column {DATE!r}, and none that holds dates; its columns are {listing(names)}. "
            f"Name it with --date_col, or write dates like 2024-01-31 13:00:00.{hint}"
        )
    best = next((name for name in found if not are_numbers(_texts(peek[name]))), found[0])
    return best, (f"there is no column {DATE!r}: the dates are taken from {shown(best)}",)


def _holds_dates(name: str, column: pd.Series, place: Place) -> bool:
    """Whether a column holds dates; numbers, like years, are dates only where the name says so."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    texts = _texts(column)
    return looks_like_dates(texts, place) and bool(not are_numbers(texts) or TIME.search(name))


def _texts(column: pd.Series) -> pd.Series:
    return column.astype("str").where(column.notna()).str.strip()


def choose_numbers(names: list[str], date_column: str, columns: tuple[str, ...] | None, place: Place) -> list[str]:
    """The columns to read, in the order to read them: those asked for, or all beside the dates.

    Raises:
        UserError: one is not there.
    """
    others = [name for name in names if name != date_column]
    if columns is None:
        if not others:
            raise UserError(f"{place.name} has no column beside {date_column!r}: there is nothing to forecast.")
        return others
    missing = [name for name in columns if name not in others]
    if missing:
        raise UserError(
            f"{place.name} lacks the column {shown(missing[0])}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + f" that the network was trained on; its columns are {listing(names)}."
        )
    return list(columns)


def differences(names: list[str], date_column: str, wanted: list[str]) -> tuple[str, ...]:
    """What to say of a table that has other columns than those asked for, or in another order."""
    extra = [name for name in names if name != date_column and name not in wanted]
    order = [name for name in names if name in wanted]
    ignored = (f"ignored, as not known from training: {listing(extra)}",) if extra else ()
    return (*ignored, *(("its columns are put in the order of training",) if order != wanted else ()))
