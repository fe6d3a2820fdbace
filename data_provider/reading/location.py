"""Name a table, its rows and its cells in messages."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDEST = 60  # characters of a cell in a message
MOST = 12  # names in a list


@dataclass(frozen=True)
class Location:
    """Where a table comes from.

    Attributes:
        name: the file or the table, as messages call it
        decimal: the decimal mark of numbers that are written as text
    """

    name: str
    decimal: str = "."

    def row(self, row: int) -> str:
        """Return how messages name a row, counted from 0."""
        return f"row {row}"


def shown(cell: object) -> str:
    """Return a name or a cell for a message: quoted, and cut after 60 characters."""
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def listing(names: Sequence[str]) -> str:
    """Return the first 12 names with commas between, and the number of all if there are more."""
    text = ", ".join(name if name.isprintable() and len(name) <= WIDEST else shown(name) for name in names[:MOST])
    return text if len(names) <= MOST else f"{text}, … ({len(names)} in all)"
