"""Find out how a CSV file is written, and name its rows and cells in messages."""

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

from utils.errors import UserError, shown_path

SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas"}  # the likelier ones last
WIDEST = 60  # characters of a cell in a message
MOST = 12  # names in a list, or columns that have a line of their own
PEEK = 50  # rows by which separator and column of dates are chosen
LONGEST = 2**24  # characters in the first lines
# Bytes that a compressed file may unpack to, or that many times its size if this is more.
UNPACKED, RATIO = 2**28, 50
GZIP = b"\x1f\x8b"
# Files that are no CSV, by their first bytes: what they are, and what to do.
OTHERS = {
    (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"): ("an Excel workbook or a zip archive", "save the sheet as CSV, or unpack it"),
    (b"PAR1", b"ARROW1"): ("a Parquet or Arrow file", "write it as CSV"),
    (b"\x89HDF", b"\x93NUMPY"): ("an HDF5 or NumPy file", "write it as CSV, with a column of dates"),
    (b"SQLite format",): ("an SQLite database", "export the table as CSV"),
    (b"%PDF",): ("a PDF document", "save the table as CSV"),
    (b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"): ("an archive other than gzip", "unpack it"),
}
MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # the longest first
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
    """A CSV file and how it is written.

    Attributes:
        header: the cells of the first row
    """

    path: Path = Path()
    separator: str = ","
    encoding: str = "utf-8-sig"
    gzipped: bool = False
    header: tuple[str, ...] = ()

    def open(self) -> TextIO:
        """Open the file as text with its own line ends."""
        raw = _Unpacked(self.path) if self.gzipped else self.path.open("rb")
        return io.TextIOWrapper(raw, encoding=self.encoding, newline="")

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of each row, the header first, and the line where the row begins."""
        with self.open() as file:
            reader = csv.reader(file, delimiter=self.separator)
            line = 1
            for cells in reader:
                yield line, cells
                line = reader.line_num + 1  # quoted cells may span lines

    def row(self, row: int) -> str:
        """Return the line of a row, counted from 0 after the header. The file is read again: only for messages."""
        try:
            return f"line {next(islice(self.rows(), row + 1, None))[0]}"
        except (StopIteration, *UNREADABLE):
            return f"line {row + 2}"

    def __str__(self) -> str:
        encoding, packed = self.encoding.removesuffix("-sig").upper(), ", gzip" if self.gzipped else ""
        mark = "a comma" if self.decimal == "," else "a point"
        return f"{encoding}, separated by {SEPARATORS[self.separator]}{packed}, decimals with {mark}"


def find_csv(path: Path) -> CsvFile:
    """Find out by its beginning how a file is written; raise UserError if it cannot be read."""
    plain = CsvFile(shown_path(path), path=path)
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "is no file" if os.path.exists(path) else "does not exist"
        raise UserError(f"Data file {plain.name} {what}; check --root_path and --data_path.")
    try:
        for gzipped in (False, True):
            plain = replace(plain, gzipped=gzipped)
            with plain.open() as text:
                first = text.buffer.read(16)
            if not first.startswith(GZIP):
                break
        for beginnings, (kind, remedy) in OTHERS.items():
            if first.startswith(beginnings):
                raise UserError(f"{plain.name} is {kind}, not a CSV file: {remedy}.")
        encoding = next((name for mark, name in MARKS.items() if first.startswith(mark)), plain.encoding)
        plain = replace(plain, encoding=encoding)
        lines = _first_lines(plain)
        separator = max(SEPARATORS, key=lambda each: _fit(lines, each))
        reader = csv.reader(lines, delimiter=separator)
        header = tuple(next(reader, ()))
    except UNREADABLE as error:
        raise unreadable(plain, error) from error
    if not lines:
        raise UserError(f"{plain.name} is empty.")
    if reader.line_num == PEEK:
        raise UserError(f"{plain.name}, line 1: a quote in the names of the columns is not closed in {PEEK} lines.")
    return replace(plain, separator=separator, header=header)


def _first_lines(file: CsvFile) -> list[str]:
    """Return the first 50 lines; no more than a limit is read of lines without end."""
    lines, left = [], LONGEST
    with file.open() as text:
        while len(lines) < PEEK and (line := text.readline(left)):
            lines.append(line)
            left -= len(line)
            if not left:
                raise UserError(
                    f"{file.name}, line {len(lines)}: the lines up to here have more than {LONGEST:,} characters; "
                    "a table has a line for each row."
                )
    return lines


def unreadable(file: CsvFile, error: Exception, reason: str | None = None) -> UserError:
    """Return what to tell the user of an error while a file is read."""
    if isinstance(error, UnicodeError):
        return UserError(f"{file.name} is not a UTF-8 text file; save it as CSV in UTF-8.")
    return UserError(f"{file.name} is not a readable CSV file: {reason or error}.")


def _fit(lines: Sequence[str], separator: str) -> float:
    """Return the share of rows that have as many cells as the header, 0 where the header is a single cell."""
    widths = []
    with suppress(csv.Error):  # the reader of the whole file says what is wrong
        widths.extend(len(cells) for cells in csv.reader(lines, delimiter=separator) if cells)
    return widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0.0
