"""Cells as numbers: read with certainty or refused with the place. A missing value is NaN."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from data_provider.reading.csv_rows import Place, shown
from utils.errors import UserError

LARGEST = 1e100  # beyond it the squares of a column no longer fit in a float
# What people write where there is no value, beside what pandas takes for it.
MISSING = ("-", "--", "?", ".")
_NOTHING = {"", "na", "nan", "n/a", "null", "none", "<na>", "#n/a", "#na", *MISSING}

_POINT = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_COMMA = r"[+-]?(?:[0-9]*,[0-9]+|[0-9]+,)(?:[eE][+-]?[0-9]+)?"
_INFINITE = r"[+-]?inf(?:inity)?"
# Groups of three digits: of thousands, or three decimals if there is but one such group.
_ONE_GROUP = r"[+-]?[1-9]\d{{0,2}}{0}\d{{3}}"
_THOUSANDS = (
    r"[+-]?\d{1,3}(?:(?:,\d{3}){2,}|(?:\.\d{3}){2,}|(?:[\s'’_]\d{3})+|(?:,\d{3})+\.\d*|(?:\.\d{3})+,\d*"
    r"|(?:[\s'’_]\d{3})+[.,]\d*)"
)


def decimal_mark(texts: pd.DataFrame, place: Place, european: bool) -> str:
    """The decimal mark of a table whose cells are texts, the same for all its columns.

    Args:
        european: the separator is one of countries that write decimals with a comma, and thousands with a point.

    Raises:
        UserError: the cells contradict each other, or can be read in two ways.
    """
    commas, sure_commas = _marked(texts, ",", _COMMA)
    points, sure_points = _marked(texts, ".", _POINT)
    if commas and points:
        raise UserError(
            f"{place.name} has decimal commas or thousands separators beside points: {_where(commas, place)}, "
            f"{_where(points, place)}; write all numbers like 1234.5."
        )
    if commas and not sure_commas:
        raise _two_ways(commas, place, ",")
    if european and points and not sure_points:
        raise _two_ways(points, place, ".")
    return "," if commas else "."


class _Cell(NamedTuple):
    text: str
    row: int
    column: str


def _marked(texts: pd.DataFrame, mark: str, pattern: str) -> tuple[_Cell | None, bool]:
    """The first number with this mark, and whether some number leaves no doubt that it marks decimals."""
    first = None
    for name in texts:
        cells = texts[name][texts[name].str.contains(mark, regex=False, na=False)]
        cells = cells[cells.str.fullmatch(pattern)]
        if len(cells):
            first = first or _Cell(cells.iloc[0], int(cells.index[0]), str(name))
            if not cells.str.fullmatch(_ONE_GROUP.format(re.escape(mark))).all():
                return first, True
    return first, False


def _where(cell: _Cell, place: Place) -> str:
    return f"{shown(cell.text)} in column {shown(cell.column)}, {place.row(cell.row)}"


def _two_ways(cell: _Cell, place: Place, mark: str) -> UserError:
    whole, _, rest = cell.text.partition(mark)
    return UserError(
        f"{place.name}: {_where(cell, place)}, can be {whole}{rest} or {whole}.{rest}, and no other number of "
        f"the file tells which: write thousands without separators, or {whole}.{rest}0 with a decimal more."
    )


def read_numbers(column: pd.Series, place: Place, decimal: str = ".") -> np.ndarray:
    """A column as float64, NaN where a value is missing.

    Raises:
        UserError: a cell is no finite number; the message names the first one.
    """
    if pd.api.types.is_bool_dtype(column):
        raise UserError(f"{place.name}, column {shown(column.name)} holds True and False, not numbers; write 1 and 0.")
    if pd.api.types.is_complex_dtype(column):
        raise UserError(f"{place.name}, column {shown(column.name)} holds complex numbers; write two columns.")
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = np.isinf(numbers) | (np.abs(numbers) >= LARGEST)
    else:
        texts = column.astype("str").where(column.notna()).str.strip()
        missing = (texts.isna() | texts.str.lower().isin(_NOTHING)).to_numpy(dtype=bool)
        plain = texts.str.fullmatch(_COMMA if decimal == "," else _POINT, na=False).to_numpy(dtype=bool)
        whole = texts.str.fullmatch(r"[+-]?[0-9]+(?:[eE][+-]?[0-9]+)?", na=False).to_numpy(dtype=bool)
        numbers = np.full(len(texts), np.nan)
        readable = plain | whole
        numbers[readable] = texts[readable].str.replace(",", ".").astype(np.float64).to_numpy()
        wrong = ~(readable | missing) | (np.abs(numbers) >= LARGEST)
    if wrong.any():
        raise _refusal(column, wrong, place)
    return numbers


def _refusal(column: pd.Series, wrong: Sequence[bool], place: Place) -> UserError:
    row, count = int(np.argmax(wrong)), int(np.sum(wrong))
    cell = column.iloc[row]
    text = str(cell).strip()
    one = pd.Series([text])
    if one.str.fullmatch(_INFINITE, case=False).item():
        problem = f"{shown(cell)} is infinite"
    elif one.str.fullmatch(_POINT).item():
        problem = f"{shown(cell)} is too large to be standardised"
    elif one.str.fullmatch(_THOUSANDS).item():
        problem = f"{shown(cell)} has thousands separators: write it without them, like 1234567.5"
    elif one.str.fullmatch(r"\D{0,4}[\d.,]+\s*(?:%|\D{1,4})", case=False).item():
        problem = f"{shown(cell)} is not a number: leave out units, signs and words, like 12.5"
    else:
        problem = f"{shown(cell)} is not a number"
    return UserError(
        f"{place.name}, column {shown(column.name)}, {place.row(row)}: {problem}; "
        f"{count} cell(s) of this column cannot be used. Correct them, or leave the column out."
    )
