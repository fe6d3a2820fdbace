"""Write figures and tables in Markdown."""

from collections.abc import Iterable, Iterator

import pandas as pd

from utils.errors import shown_path
from utils.tables.records import NOTHING


def numbers(values: Iterable[float], digits: int, sign: str = "") -> str:
    """Return numbers with slashes between; a dash for one that is not there, and for all if none is."""
    parts = [NOTHING if pd.isna(value) else f"{value:{sign}.{digits}f}" for value in values]
    return NOTHING if set(parts) == {NOTHING} else " / ".join(parts)


def table_line(texts: Iterable[str]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(shown_path(text).replace('|', chr(92) + '|') for text in texts)} |"


def whole_table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    titles = list(titles)
    yield table_line(titles)
    yield table_line(["---"] * len(titles))
    yield from (table_line(row) for row in rows)


def bullets(texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a list."""
    return (f"- {shown_path(text)}" for text in texts)
