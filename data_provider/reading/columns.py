"""Choose the columns of a table: those of dates, and those of numbers to forecast."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import Location, listing, shown
from data_provider.reading.dates import DATE, TIME_OF_DAY, are_numbers, looks_like_dates, stripped
from data_provider.reading.numbers import holds_numbers
from utils.errors import UserError

NO_DATES = "none"  # what --date_col takes where the rows have no dates
TIME = re.compile(
    r"date|day|year|month|time|period|datum|jahr|quarter|week|zeit|fecha|stamp|epoch|^[tds]{1,2}$|日期|时间",
    re.IGNORECASE,
)
COUNTS = re.compile(r"|t|time|step|index|idx|no|nr|num|number|#|n|id|row|obs|seq|unnamed: ?\d+", re.IGNORECASE)
# Columns that together are a date, by their names.
PARTS = {
    "year": {"year", "yr", "yyyy", "jahr"}, "quarter": {"quarter", "qtr"}, "week": {"week", "wk"},
    "month": {"month", "mon", "mm", "mnth", "monat"}, "day": {"day", "dd", "dom", "tag"},
    "hour": {"hour", "hr", "hh", "stunde"}, "minute": {"minute", "min", "mi"},
}  # fmt: skip
# How parts are written as one text, the first that all of them are there for.
_JOINED = {
    ("year", "month", "day", "hour", "minute"): "{}-{:0>2}-{:0>2} {:0>2}:{:0>2}",
    ("year", "month", "day", "hour"): "{}-{:0>2}-{:0>2} {:0>2}:00",
    ("year", "month", "day"): "{}-{:0>2}-{:0>2}",
    ("year", "month"): "{}-{:0>2}",
    ("year", "quarter"): "{}Q{}",
    ("year", "week"): "{}-W{:0>2}",
}
_PART = r"\d{1,4}|Q[1-4]|[A-Za-z]{3,9}"
FEW = 0.5  # share of different cells up to which a column of words is a category, and no unread dates


def checked_names(names: Sequence[str], location: Location, where: str) -> list[str]:
    """Return the names, "column 3" for one that is missing; raise UserError if one stands twice or has a NUL."""
    names = [name or f"column {i}" for i, name in enumerate(names, 1)]
    if any("\0" in name for name in names):
        raise UserError(f"{location.name}, {where}: a name has a NUL character; save the file as CSV in UTF-8.")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{location.name} has more than one column called {shown(twice)}; rename them.")
    return names


def choose_dates(
    peek: pd.DataFrame, wanted: str | None, location: Location, unnamed: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the columns that make up the dates, none for rows without dates, and notes.

    It is what ``wanted`` names, else ``date``, else the first column that holds dates in the first rows, ``peek``,
    else columns of year, month …, else a column that counts the rows.

    Raises:
        UserError: there is none, and a column may be dates that cannot be read.
    """
    names = list(peek.columns)
    if wanted is not None:
        return _wanted(names, wanted, location), ()
    if DATE in names:
        return _with_time(peek, DATE)
    found = [name for name in names if _holds_dates(name, peek[name], location)]
    texts = [name for name in found if not are_numbers(stripped(peek[name]))]
    parts = () if texts else _parts(peek)
    if parts:
        return parts, (f"the dates are made of the columns {listing(parts)}",)
    if found:
        best = (texts or found)[0]
        chosen, notes = _with_time(peek, best)
        return chosen, notes or (f"there is no column {DATE!r}: the dates are taken from {shown(best)}",)
    for name in names:
        if (COUNTS.fullmatch(name) or name in unnamed or TIME.search(name)) and is_counter(peek[name], whole=False):
            return (name,), (f"there are no dates: {shown(name)} counts the rows, and the forecast goes on counting",)
    _check_unread(peek, location)
    return (), ("there are no dates: the rows are counted from 1, as with --date_col none",)


def _wanted(names: Sequence[str], wanted: str, location: Location) -> tuple[str, ...]:
    if wanted in names:
        return (wanted,)
    if wanted == NO_DATES:
        return ()
    chosen = tuple(name.strip() for name in wanted.split(","))
    if missing := [name for name in chosen if name not in names]:
        raise UserError(f"{location.name} has no column {missing[0]!r} (--date_col); its columns are {listing(names)}.")
    return chosen


def _holds_dates(name: str, column: pd.Series, location: Location) -> bool:
    """Tell whether a column holds dates; numbers, like years, are dates only where the column's name says so."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_bool_dtype(column):
        return False
    texts = stripped(column).dropna()
    if not len(texts):
        return False
    if are_numbers(texts):
        rising = texts.str.replace(",", ".").astype(float).is_monotonic_increasing
        is_long = texts.str.len().min() > 4
        return bool(TIME.search(name)) and (rising or is_long) and looks_like_dates(texts, location)
    return looks_like_dates(texts, location)


def _with_time(peek: pd.DataFrame, date: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the column of dates, with the column of times of the day where its days stand more than once."""
    dates = stripped(peek[date]).dropna()
    if dates.is_unique or dates.str.contains(":", regex=False).any():
        return (date,), ()
    for name in peek.columns:
        texts = stripped(peek[name]).dropna()
        is_hour = name.lower() in PARTS["hour"] and texts.str.fullmatch(r"\d|1\d|2[0-4]").all()
        if name != date and len(texts) and (is_hour or texts.str.fullmatch(TIME_OF_DAY).all()):
            return (date, name), (f"the dates are made of the columns {date} and {name}",)
    return (date,), ()


def _parts(peek: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns of year, month … that make up a date, by their names; none if they do not."""
    named = {part: next((n for n in peek if n.lower() in names), None) for part, names in PARTS.items()}
    for parts in _JOINED:
        columns = [named[part] for part in parts]
        if None not in columns and all(stripped(peek[name]).str.fullmatch(_PART).all() for name in columns):
            return tuple(columns)
    return ()


def _check_unread(peek: pd.DataFrame, location: Location) -> None:
    """Raise UserError if there may be dates in a form that is not read."""
    reasons = []
    for name, column in peek.items():
        texts = stripped(column).dropna()
        is_words = len(texts) and not are_numbers(texts) and texts.nunique() > FEW * len(texts)
        if len(texts) and (
            (is_words and not holds_numbers(column, ".")) or (TIME.search(name) and not are_numbers(texts))
        ):
            reasons.append(f"{shown(texts.iloc[0])} in {listing([name])}")
    if reasons:
        hint = " Columns are separated by commas, semicolons, tabs or bars." if len(peek.columns) == 1 else ""
        raise UserError(
            f"{location.name} has no column {DATE!r}, and none that holds dates: {', '.join(reasons[:5])} cannot be "
            "read as a date. Name the column with --date_col (none: the rows have no dates), or write dates like "
            f"2024-01-31 13:00:00.{hint}"
        )


def joined_dates(cells: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Return the dates as one column of texts, or of pandas' dates where the one column holds such."""
    if len(names) == 1:
        return cells[names[0]]
    texts = [stripped(cells[name]) for name in names]
    known = [next((part for part, own in PARTS.items() if name.lower() in own), None) for name in names]
    form = _JOINED.get(tuple(known))
    if form is None or texts[1].str.match("[A-Za-z]{3}").any():  # a day and its time, or months as words
        words = texts if form is None else [*texts[2:3], texts[1], texts[0]]
        if known[1] == "hour":
            words[1] += ":00"
        joined = words[0].str.cat([_with_colons(part) for part in words[1:]], sep=" ")
    else:
        rows = zip(*(part.fillna("") for part in texts), strict=True)
        joined = pd.Series([form.format(*row).replace("QQ", "Q") for row in rows], index=cells.index, dtype="str")
    return joined.rename(",".join(names))


def _with_colons(times: pd.Series) -> pd.Series:
    """Return times of the day like 18.00.00 with colons; other texts as they are."""
    is_time = times.str.fullmatch(TIME_OF_DAY, na=False)
    return times.where(~is_time, times.str.replace(r"(?<=\d)\.(?=\d)", ":", regex=True))


def is_counter(column: pd.Series, whole: bool = True) -> bool:
    """Tell whether a column counts the rows: 0, 1, 2 … or 1, 2, 3 …, also downwards.

    Of the first rows alone, not the ``whole`` column, any even steps upwards are a count.
    """
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if len(numbers) < 3 or np.isnan(numbers).any():
        return False
    steps = np.diff(numbers)
    if not whole:
        return bool((steps == steps[0]).all() and steps[0] > 0 and (numbers % 1 == 0).all())
    return bool((np.abs(steps) == 1).all() and (steps == steps[0]).all() and numbers.min() in (0, 1))


def check_known(
    cells: pd.DataFrame,
    dates: Sequence[str],
    known: Sequence[str],
    others: Mapping[str, Sequence[str]],
    location: Location,
) -> None:
    """Raise UserError for a column known in advance that is not there, or that cannot be one.

    Args:
        dates: the columns of dates, and those that tell series apart.
        others: what other flags say that columns are, by flag.
    """
    for name in known:
        if name not in cells.columns:
            raise UserError(
                f"{location.name} has no column {name!r}, which is known in advance (--future_cols); its columns are "
                f"{listing([each for each in cells.columns if each not in dates])}."
            )
        if name in dates:
            what = "tells dates or series apart"
            raise UserError(f"{location.name}: column {name!r} {what}, so that it cannot be one of --future_cols.")
        if flag := next((flag for flag, names in others.items() if name in names), None):
            raise UserError(f"{location.name}: column {name!r} is named by {flag} and by --future_cols; choose one.")


def choose_trained(others: Sequence[str], columns: Sequence[str], location: Location) -> tuple[list[str], list[str]]:
    """Return the columns of training and notes on what differs from the table; raise UserError if one lacks."""
    missing = [name for name in columns if name not in others]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{location.name} lacks the column {shown(missing[0])}{more} that the network was trained on; its columns "
            f"are {listing(others)}."
        )
    notes = []
    if extra := [name for name in others if name not in columns]:
        notes.append(f"ignored, as not known from training: {listing(extra)}")
    if [name for name in others if name in columns] != list(columns):
        notes.append("its columns are put in the order of training")
    return list(columns), notes


def choose_numbers(
    cells: pd.DataFrame,
    dates: Sequence[str],
    columns: Sequence[str] | None,
    ignore: Sequence[str],
    target: str | None,
    unnamed: Sequence[str],
    location: Location,
) -> tuple[list[str], list[str]]:
    """Return the columns to read as numbers and notes on those that are left out; raise UserError if none is left."""
    others = [name for name in cells.columns if name not in dates]
    for flag, wanted in (("--columns", columns or ()), ("--ignore", ignore)):
        if missing := [name for name in wanted if name not in cells.columns]:
            raise UserError(
                f"{location.name} has no column {missing[0]!r} ({flag}); its columns are {listing(others)}."
            )
    if columns:
        return [name for name in columns if name not in dates], []
    left = [name for name in others if name not in ignore]
    empty = [name for name in left if cells[name].isna().all()]
    counters = [
        name for name in left
        if name != target and (COUNTS.fullmatch(name) or name in unnamed) and is_counter(cells[name])
    ]  # fmt: skip
    words = [
        name for name in left
        if name not in empty and name != target and not holds_numbers(cells[name], location.decimal)
    ]  # fmt: skip
    chosen = [name for name in left if name not in {*empty, *counters, *words}]
    if not chosen:  # reading the words says which cell is no number
        chosen, words, counters = (words, [], counters) if words else (counters, [], [])
    if not chosen:
        beside = f" beside {listing(dates)!r}" if dates else ""
        raise UserError(f"{location.name} has no column{beside}: there is nothing to forecast.")
    said = {
        "empty": [n for n in empty if n not in _at_the_end(cells, unnamed)],
        "words": words,
        "counts the rows": counters,
    }
    return chosen, [f"left out ({what}): {listing(which)}" for what, which in said.items() if which]


def _at_the_end(cells: pd.DataFrame, unnamed: Sequence[str]) -> list[str]:
    """Return the unnamed columns at the end: separators at the ends of lines make them."""
    last = len(cells.columns)
    while last and cells.columns[last - 1] in unnamed:
        last -= 1
    return list(cells.columns[last:])
