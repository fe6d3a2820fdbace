"""Read cells as numbers: with certainty, or refuse them."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import Location, shown
from utils.errors import UserError

LARGEST = 1e100  # the squares of larger numbers, summed over a column, may exceed a float
# Texts that stand for a missing value, beside those that pandas knows.
MISSING = ("-", "--", "?", ".")
NOTHING = {"", "na", "nan", "n/a", "null", "none", "<na>", "#n/a", "#na", *MISSING}
TRUTH = {"true": 1.0, "false": 0.0}
SCALES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9}  # letters behind a number

_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_PLAIN = rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}"
_CURRENCY = "[$€£¥]"
# A number as people write it: a sign or brackets, a currency, groups of digits, a letter for thousands or more.
_WRITTEN = re.compile(
    rf"(?P<open>\()?(?P<sign>[+−-]?)\s*{_CURRENCY}?\s*(?P<late>[+−-]?)(?P<digits>[0-9.,\s'’_]*[0-9][.,]?{_EXPONENT})"
    rf"\s*(?P<scale>[kKMB]?)\s*(?:{_CURRENCY}|%)?(?P<close>\))?"
)
_GROUPS = r"[0-9]{1,3}(?:MARK[0-9]{3})+"
# One mark and three digits behind it: thousands, or three decimals.
_ONE_GROUP = r"[1-9][0-9]{0,2}[.,][0-9]{3}"
_ONE_MARK = r"[0-9]*[.,][0-9]*"
_MANY_MARKS = r"[0-9]{1,3}(?:(?:,[0-9]{3})+\.[0-9]*|(?:\.[0-9]{3})+,[0-9]*|(?:,[0-9]{3}){2,}|(?:\.[0-9]{3}){2,})"
# What is wrong with a cell, by the first pattern that fits it.
_PROBLEMS = {
    r"[+-]?inf(?:inity)?": "is infinite",
    "true|false": "is not a number, as others of its column are",
    _PLAIN: "is too large to be standardised",
    r"\D{0,4}[\d.,]+\s*(?:%|\D{1,4})": "is not a number: leave out units, signs and words, like 12.5",
    r"(?s:.*)": "is not a number",
}


def digits_of(texts: pd.Series) -> pd.Series:
    """Return the digits and marks of the cells that are written like a number, without sign, currency and letters."""
    written = texts[texts.str.contains("[.,]", na=False) & texts.str.fullmatch(_WRITTEN, na=False)]
    digits = written.str.extract(f"^{_WRITTEN.pattern}$")["digits"].astype("str")
    return digits.str.replace(r"[\s'’_]", "", regex=True)


def decimal_mark(columns: Sequence[pd.Series], location: Location, european: bool, usual: str | None = None) -> str:
    """Return the decimal mark of a table; raise UserError if its cells contradict each other or allow two readings.

    Args:
        columns: cells as they are written.
        european: whether the separator is one of countries that write 1.234,5.
        usual: the mark of a table that this one goes on with, for cells that allow two readings.
    """
    places: dict[str, str] = {}  # of the first cell that proves a mark
    unsure: dict[str, str] = {}  # of the first cell with a mark that may be either
    is_fixed = True  # whether every number with a mark has three digits behind it, and every number a mark
    for column in columns:
        digits = digits_of(column)
        single = digits[digits.str.fullmatch(_ONE_MARK)]
        groups = single[single.str.fullmatch(_ONE_GROUP)]
        sure = single.drop(groups.index)
        many = digits[digits.str.fullmatch(_MANY_MARKS)]
        proofs = pd.concat([sure.str.extract("([.,])", expand=False), _mark_of_many(many)])
        for mark in (",", "."):
            found = proofs.index[proofs == mark]
            if len(found):
                places.setdefault(mark, _place(column, found.min(), location))
            found = groups.index[groups.str.contains(mark, regex=False)]
            if len(found):
                unsure.setdefault(mark, _place(column, found.min(), location))
                is_fixed &= len(groups) == column.notna().sum()
    if len(places) == 2:
        raise UserError(
            f"{location.name} has decimal commas or thousands separators beside points: {', '.join(places.values())}; "
            "name the decimal mark with --decimal, or write all numbers like 1234.5."
        )
    if places:
        return next(iter(places))
    if unsure and usual is not None:
        return usual
    mark = next(iter(unsure), ".")
    if not european or not unsure:  # between commas a comma within a number separates thousands
        return "."
    if mark == "." and len(unsure) == 1 and is_fixed:  # as a program writes three decimals
        return "."
    whole, rest = re.split("[,.]", re.search(_ONE_GROUP, unsure[mark])[0])
    raise UserError(
        f"{location.name}: {unsure[mark]}, can be {whole}{rest} or {whole}.{rest}, and no other number of the file "
        "tells which: name the decimal mark with --decimal (. or ,)."
    )


def _mark_of_many(digits: pd.Series) -> pd.Series:
    """Return the decimal mark that numbers with several marks prove: the last one, or the other of one repeated."""
    marks = digits.str.replace(r"[^.,]", "", regex=True)
    last = marks.str[-1]
    return last.where(marks.str.count(",").mul(marks.str.count(r"\.")) > 0, last.map({",": ".", ".": ","}))


def _place(column: pd.Series, row: int, location: Location) -> str:
    return f"{shown(column[row])} in column {shown(column.name)}, {location.row(int(row))}"


def read_texts(texts: pd.Series, decimal: str) -> tuple[pd.Series, pd.Series]:
    """Return the numbers of texts as float64, NaN where there is none, and where a text is neither number nor missing.

    Signs of currency and per cent are left out, brackets are a minus, k, K, M and B multiply.
    """
    plain = texts.str.fullmatch(_PLAIN, na=False) if decimal == "." else pd.Series(data=False, index=texts.index)
    numbers = _exact(texts, plain)
    rest = texts[~plain & texts.notna() & ~texts.str.lower().isin(NOTHING)]
    written = rest[rest.str.fullmatch(_WRITTEN)]
    if len(written):
        numbers[written.index] = _written(written, decimal)
    return numbers, numbers.isna() & texts.index.isin(rest.index)


def _exact(texts: pd.Series, plain: pd.Series) -> pd.Series:
    """Return plain numbers as float64 to the last digit, which ``pd.to_numeric`` is not sure to; NaN elsewhere."""
    return pd.Series(texts.where(plain, "nan").to_numpy(dtype=object).astype(np.float64), index=texts.index)


def _written(texts: pd.Series, decimal: str) -> pd.Series:
    """Return numbers as people write them as float64, NaN where the groups of digits are none of thousands."""
    parts = texts.str.extract(f"^{_WRITTEN.pattern}$")
    digits, thousands = parts["digits"], "," if decimal == "." else "."
    whole = digits.str.partition(decimal)[0]
    groups = "|".join(_GROUPS.replace("MARK", mark) for mark in (re.escape(thousands), r"\s", "['’]", "_"))
    fits = whole.str.fullmatch(rf"{groups}|[0-9]*(?:[eE].*)?") & (parts["open"].isna() == parts["close"].isna())
    bare = digits.str.replace(rf"[\s'’_{thousands}]", "", regex=True).str.replace(decimal, ".", regex=False)
    found = _exact(bare, fits & bare.str.fullmatch(_PLAIN))
    minus = parts["open"].notna() ^ parts["sign"].isin(["-", "−"]) ^ parts["late"].isin(["-", "−"])
    return found * parts["scale"].map(SCALES) * minus.map({True: -1.0, False: 1.0})


def read_numbers(column: pd.Series, location: Location) -> np.ndarray:
    """Return a column as float64, NaN where a value is missing; raise UserError if a cell is no finite number."""
    if pd.api.types.is_any_real_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = np.abs(numbers) >= LARGEST
    else:
        texts = column.astype("str").where(column.notna()).str.strip()
        lower = texts.str.lower()
        if (truth := lower.isin(list(TRUTH))).any() and (truth | texts.isna() | lower.isin(NOTHING)).all():
            return lower.map(TRUTH).to_numpy(dtype=np.float64)
        found, unread = read_texts(texts, location.decimal)
        numbers = found.to_numpy()
        wrong = unread.to_numpy() | (np.abs(numbers) >= LARGEST)
    if wrong.any():
        raise _refusal(column, wrong, location)
    return numbers


def holds_numbers(column: pd.Series, decimal: str) -> bool:
    """Tell whether at least half of the cells that are not missing are numbers, or all are true or false."""
    if pd.api.types.is_any_real_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return True
    texts = column.astype("str").where(column.notna()).str.strip()
    numbers, unread = read_texts(texts, decimal)
    unread &= ~texts.str.lower().isin([*TRUTH, "inf", "-inf", "+inf", "infinity"])
    return int(unread.sum()) * 2 <= int((numbers.notna() | unread).sum())


def _refusal(column: pd.Series, wrong: Sequence[bool], location: Location) -> UserError:
    row, count = int(np.argmax(wrong)), int(np.sum(wrong))
    cell = column.iloc[row]
    text = str(cell).strip()
    problem = next(each for pattern, each in _PROBLEMS.items() if re.fullmatch(pattern, text, re.IGNORECASE))
    where = f"{location.name}, column {shown(column.name)}, {location.row(int(column.index[row]))}"
    return UserError(
        f"{where}: {shown(cell)} {problem}; {count} cell(s) of this column cannot be used. Correct them, say with "
        "--missing that such a cell stands for a missing value, or leave the column out with --ignore."
    )
