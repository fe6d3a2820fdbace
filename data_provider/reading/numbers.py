"""Read cells as numbers: with certainty, or refuse them."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import Location, shown
from data_provider.reading.dates import stripped
from utils.errors import UserError

LARGEST = 1e100  # the squares of larger numbers, summed over a column, may exceed a float
# Texts that stand for a missing value, beside those that pandas knows.
MISSING = ("-", "--", "?", ".")
_NOTHING = {"", "na", "nan", "n/a", "null", "none", "<na>", "#n/a", "#na", *MISSING}

_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_WHOLE = rf"[+-]?[0-9]+{_EXPONENT}"
_POINT = rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}"
_COMMA = rf"[+-]?(?:[0-9]*,[0-9]+|[0-9]+,){_EXPONENT}"
# Groups of three digits: of thousands, or three decimals if there is but one such group.
_ONE_GROUP = r"[+-]?[1-9]\d{0,2}[.,]\d{3}"
_THOUSANDS = (
    r"[+-]?\d{1,3}(?:(?:,\d{3}){2,}|(?:\.\d{3}){2,}|(?:[\s'’_]\d{3})+|(?:,\d{3})+\.\d*|(?:\.\d{3})+,\d*"
    r"|(?:[\s'’_]\d{3})+[.,]\d*)"
)
# What is wrong with a cell, by the first pattern that fits it.
_PROBLEMS = {
    r"[+-]?inf(?:inity)?": "is infinite",
    "true|false": "is not a number: write 1 and 0",
    _POINT: "is too large to be standardised",
    _THOUSANDS: "has thousands separators: write it without them, like 1234567.5",
    r"\D{0,4}[\d.,]+\s*(?:%|\D{1,4})": "is not a number: leave out units, signs and words, like 12.5",
    r"(?s:.*)": "is not a number",
}


def decimal_mark(texts: pd.DataFrame, location: Location, european: bool) -> str:
    """Return the decimal mark of a table; raise UserError if its cells contradict each other or allow two readings.

    ``european`` tells whether the separator is one of countries that write 1.234,5.
    """
    commas, points = _with_mark(texts, ",", _COMMA), _with_mark(texts, ".", _POINT)
    places = [
        f"{shown(cells.iloc[0])} in column {shown(cells.name)}, {location.row(int(cells.index[0]))}"
        for cells in (*commas[:1], *points[:1])
    ]
    if commas and points:
        raise UserError(
            f"{location.name} has decimal commas or thousands separators beside points: {', '.join(places)}; write all "
            "numbers like 1234.5."
        )
    found = commas or (points if european else [])
    if found and all(cells.str.fullmatch(_ONE_GROUP).all() for cells in found):
        whole, rest = re.split("[,.]", found[0].iloc[0])
        raise UserError(
            f"{location.name}: {places[0]}, can be {whole}{rest} or {whole}.{rest}, and no other number of the file "
            f"tells which: write thousands without separators, or {whole}.{rest}0 with a decimal more."
        )
    return "," if commas else "."


def _with_mark(texts: pd.DataFrame, mark: str, pattern: str) -> list[pd.Series]:
    """Return the numbers that have a mark, of each column with any."""
    marked = (texts[name][texts[name].str.contains(mark, regex=False, na=False)] for name in texts)
    return [numbers for cells in marked if len(numbers := cells[cells.str.fullmatch(pattern)])]


def read_numbers(column: pd.Series, location: Location) -> np.ndarray:
    """Return a column as float64, NaN where a value is missing; raise UserError if a cell is no finite number."""
    if pd.api.types.is_any_real_numeric_dtype(column):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        unread = np.zeros(len(numbers), dtype=bool)
    else:
        texts = stripped(column)
        pattern = f"(?:{_COMMA if location.decimal == ',' else _POINT}|{_WHOLE})"
        readable = texts.str.fullmatch(pattern, na=False)
        numbers = texts.where(readable).str.replace(",", ".").astype(np.float64).to_numpy()
        unread = ~(readable | texts.isna() | texts.str.lower().isin(_NOTHING)).to_numpy(dtype=bool)
    wrong = unread | (np.abs(numbers) >= LARGEST)
    if wrong.any():
        raise _refusal(column, wrong, location)
    return numbers


def _refusal(column: pd.Series, wrong: Sequence[bool], location: Location) -> UserError:
    row, count = int(np.argmax(wrong)), int(np.sum(wrong))
    cell = column.iloc[row]
    text = str(cell).strip()
    problem = next(each for pattern, each in _PROBLEMS.items() if re.fullmatch(pattern, text, re.IGNORECASE))
    return UserError(
        f"{location.name}, column {shown(column.name)}, {location.row(row)}: {shown(cell)} {problem}; "
        f"{count} cell(s) of this column cannot be used. Correct them, or leave the column out."
    )
