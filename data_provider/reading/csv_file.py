"""Hold how a file of cells is written, and name its rows and cells in messages."""

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from utils.errors import UserError, shown_path

SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas"}  # the likelier ones last
WIDEST = 60  # characters of a cell in a message
MOST = 12  # names in a list, or columns that have a line of their own
# Bytes that a compressed file may unpack to, or that many times its size if this is more.
UNPACKED, RATIO = 2**28, 50
UNREADABLE = (UnicodeError, csv.Error, OSError, EOFError, zlib.error)


def shown(cell: object) -> str:
    """Return a name or a cell for a message: quoted, and cut after 60 characters."""
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def listing(names: Sequence[str]) -> str:
    """Return the first 12 names with commas between, and the number of all if there are more."""
    text = ", ".join(name if name.isprintable() and len(name) <= WIDEST else shown(name) for name in names[:MOST])
    return text if len(names) <= MOST else f"{text}, … ({len(names)} in all)"


@dataclass(frozen=True)
class Location:
    """A pandas table or a :class:`CsvFile` as messages call it, with the decimal mark of numbers written as text."""

    name: str
    decimal: str = "."

    def row(self, row: int) -> str:
        """Return how messages name a row, counted from 0."""
        return f"row {row}"


class _Unpacked(gzip.GzipFile):
    """A gzip file that refuses to unpack to far more than a table would."""

    def read1(self, size: int = -1) -> bytes:
        data = super().read1(size)
        if self.tell() > UNPACKED and self.tell() > RATIO * os.path.getsize(self.name):
            raise UserError(
                f"{shown_path(self.name)} unpacks to more than {UNPACKED >> 20} MiB and {RATIO} times its size; "
                "if that is right, give the unpacked file."
            )
        return data


@dataclass(frozen=True)
class CsvFile(Location):
    """A file of cells and how it is written.

    Attributes:
        content: the cells as CSV, where the file itself is a workbook or a Parquet file
        above: lines before the first row of data: the header, and what stands before it
        names: of the columns, as the header gives them; "" where it gives none
        notes: what was decided about encoding and header
    """

    path: Path = Path()
    separator: str = ","
    encoding: str = "utf-8-sig"
    gzipped: bool = False
    content: bytes | None = None
    above: int = 1
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def open_bytes(self) -> io.BufferedIOBase:
        """Open the file unpacked."""
        if self.content is not None:
            return io.BytesIO(self.content)
        return _Unpacked(self.path) if self.gzipped else self.path.open("rb")

    def open(self) -> TextIO:
        """Open the file as text with its own line ends."""
        return io.TextIOWrapper(self.open_bytes(), encoding=self.encoding, newline="")

    def open_rows(self) -> TextIO:
        """Open the file as text behind its header."""
        text = self.open()
        for _ in range(self.above):
            text.readline()
        return text

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of each row of data and the line where the row begins."""
        with self.open_rows() as file:
            reader = csv.reader(file, delimiter=self.separator)
            line = self.above + 1
            for cells in reader:
                yield line, cells
                line = self.above + reader.line_num + 1  # quoted cells may span lines

    def row(self, row: int) -> str:
        """Return the line of a row, counted from 0. The file is read again: only for messages."""
        try:
            return f"line {next(islice(self.rows(), row, None))[0]}"
        except (StopIteration, *UNREADABLE):
            return f"line {self.above + row + 1}"

    def __str__(self) -> str:
        encoding, packed = self.encoding.removesuffix("-sig").upper(), ", gzip" if self.gzipped else ""
        mark = "a comma" if self.decimal == "," else "a point"
        if self.content is not None:
            return "a table of typed cells"
        return f"{encoding}, separated by {SEPARATORS[self.separator]}{packed}, decimals with {mark}"
