"""Places in a CSV file, and how to show what stands there, for messages."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path


def records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each record of the file, the header first, and the line where it begins; quoted cells may span lines."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        line = 1
        for record in reader:
            yield line, record
            line = reader.line_num + 1


def line_of(path: Path, row: int) -> int:
    """The line where ``row`` begins. The file is read again: this is asked once, for a message."""
    try:
        return next(line for i, (line, _) in enumerate(records(path)) if i == row + 1)
    except (StopIteration, csv.Error, OSError, UnicodeDecodeError):
        return row + 2


def shown(cell: object) -> str:
    """A name or a cell for a message: quoted, no longer than a line."""
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= 60 else f"{text[:60]}…"


def listing(names: Sequence[str]) -> str:
    text = ", ".join(name if name.isprintable() and len(name) <= 60 else shown(name) for name in names[:12])
    return text if len(names) <= 12 else f"{text}, … ({len(names)} in all)"
