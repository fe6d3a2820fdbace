"""Read cells as numbers: with certainty, or refuse them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

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
_ONE_GROUP = r"[+-]?[1-9]\d{{0,2}}{0}\d{{3}}"
_THOUSANDS = (
    r"[+-]?\d{1,3}(?:(?:,\d{3}){2,}|(?:\.\d{3}){2,}|(?:[\s'’_]\d{3})+|(?:,\d{3})+\.\d*|(?:\.\d{3})+,\d*"
    r"|(?:[\s'’_]\d{3})+[.,]\d*)"
)
# What is wrong with a cell, by the first pattern that fits it.
_PROBLEMS = {
    r"[+-]?inf(?:inity)?": "is infinite",
    _POINT: "is too large to be standardised",
    _THOUSANDS: "has thousands separators: write it without them, like 1234567.5",
    r"\D{0,4}[\d.,]+\s*(?:%|\D{1,4})": "is not a number: leave out units, signs and words, like 12.5",
    r"(?s:.*)": "is not a number",
}


def decimal_mark(texts: pd.DataFrame, location: Location, european: bool) -> str:
    """Return the decimal mark of a table; raise UserError if its cells contradict each other or allow two readings.

    ``european`` tells whether the separator is one of countries that write 1.234,5.
    """
    commas, points = _first(texts, ",", _COMMA), _first(texts, ".", _POINT)
    if commas and points:
        raise UserError(
            f"{location.name} has decimal commas or thousands separators beside points: {commas.where(location)}, "
            f"{points.where(location)}; write all numbers like 1234.5."
        )
    found = commas or (points if european else None)
    if found and not found.is_sure:
        whole, rest = re.split("[,.]", found.text)
        raise UserError(
            f"{location.name}: {found.where(location)}, can be {whole}{rest} or {whole}.{rest}, and no other number of "
            f"the file tells which: write thousands without separators, or {whole}.{rest}0 with a decimal more."
        )
    return "," if commas else "."


class _Cell(NamedTuple):
    """The first number with a mark; it is sure if in some number the mark can only be the decimal mark."""

    text: str
    row: int
    column: str
    is_sure: bool

    def where(self, location: Location) -> str:
        return f"{shown(self.text)} in column {shown(self.column)}, {location.row(self.row)}"


def _first(texts: pd.DataFrame, mark: str, pattern: str) -> _Cell | None:
    first = None
    for name in texts:
        cells = texts[name][texts[name].str.contains(mark, regex=False, na=False)]
        cells = cells[cells.str.fullmatch(pattern)]
        if len(cells):
            is_sure = not cells.str.fullmatch(_ONE_GROUP.format(re.escape(mark))).all()
            first = first or _Cell(cells.iloc[0], int(cells.index[0]), str(name), False)
            if is_sure:
                return first._replace(is_sure=True)
    return first


def read_numbers(column: pd.Series, location: Location) -> np.ndarray:
    """Return a column as float64, NaN where a value is missing; raise UserError if a cell is no finite number."""
    where = f"{location.name}, column {shown(column.name)}"
    if pd.api.types.is_bool_dtype(column):
        raise UserError(f"{where} holds True and False, not numbers; write 1 and 0.")
    if pd.api.types.is_complex_dtype(column):
        raise UserError(f"{where} holds complex numbers; write two columns.")
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = np.isinf(numbers) | (np.abs(numbers) >= LARGEST)
    else:
        texts = stripped(column)
        missing = (texts.isna() | texts.str.lower().isin(_NOTHING)).to_numpy(dtype=bool)
        pattern = f"(?:{_COMMA if location.decimal == ',' else _POINT}|{_WHOLE})"
        readable = texts.str.fullmatch(pattern, na=False).to_numpy(dtype=bool)
        numbers = np.full(len(texts), np.nan)
        numbers[readable] = texts[readable].str.replace(",", ".").astype(np.float64).to_numpy()
        wrong = ~(readable | missing) | (np.abs(numbers) >= LARGEST)
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
