"""Places in a table, and how to show what stands there, for messages."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_provider.reading.dialect import UNREADABLE, Dialect


def records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Each record of the file, the header first, and the line where it begins; quoted cells may span lines."""
    with dialect.open(path) as file:
        reader = csv.reader(file, delimiter=dialect.separator)
        line = 1
        for record in reader:
            yield line, record
            line = reader.line_num + 1


@dataclass(frozen=True)
class Place:
    """Where a table comes from: a file, or a pandas table (no dialect)."""

    name: str
    dialect: Dialect | None = None

    def row(self, row: int) -> str:
        """Where ``row`` stands. A file is read again: this is asked for once, for a message."""
        return f"row {row}" if self.dialect is None else f"line {self._line(row)}"

    def _line(self, row: int) -> int:
        try:
            return next(line for i, (line, _) in enumerate(records(Path(self.name), self.dialect)) if i == row + 1)
        except (StopIteration, UnicodeError, *UNREADABLE):
            return row + 2


def shown(cell: object) -> str:
    """A name or a cell for a message: quoted, no longer than a line."""
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= 60 else f"{text[:60]}…"


def listing(names: Sequence[str]) -> str:
    text = ", ".join(name if name.isprintable() and len(name) <= 60 else shown(name) for name in names[:12])
    return text if len(names) <= 12 else f"{text}, … ({len(names)} in all)"
