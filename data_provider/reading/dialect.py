"""How a CSV file is written: separator, encoding, compression; and what files that are none of these look like."""

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from utils.errors import UserError

SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas"}  # the likelier ones last
PEEK = 50  # records that the separator is chosen by
GZIP = b"\x1f\x8b"
# What the first bytes say of files that are no CSV.
OTHERS = {
    b"PK\x03\x04": ("an Excel workbook or a zip archive", "save the sheet as CSV, or unpack it"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "save the sheet as CSV"),
    b"PAR1": ("a Parquet file", "write it as CSV"),
    b"ARROW1": ("an Arrow file", "write it as CSV"),
    b"\x89HDF": ("an HDF5 file", "write the table as CSV"),
    b"\x93NUMPY": ("a NumPy array", "write it as CSV, with a column of dates"),
    b"SQLite format": ("an SQLite database", "export the table as CSV"),
    b"%PDF": ("a PDF document", "save the table as CSV"),
    b"BZh": ("compressed by bzip2", "unpack it, or use gzip"),
    b"\xfd7zXZ": ("compressed by xz", "unpack it, or use gzip"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it, or use gzip"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
}
MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # the longest first
UNREADABLE = (csv.Error, OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class Dialect:
    """How to read a file as records; ``trailing``: each ends in a separator that separates nothing."""

    separator: str = ","
    encoding: str = "utf-8-sig"
    gzipped: bool = False
    trailing: bool = False

    def open(self, path: Path) -> TextIO:
        """The file as text, its line ends as they are."""
        raw = gzip.open(path, "rb") if self.gzipped else path.open("rb")  # noqa: SIM115 (the caller closes it)
        return io.TextIOWrapper(raw, encoding=self.encoding, newline="")

    def __str__(self) -> str:
        encoding, packed = self.encoding.removesuffix("-sig").upper(), ", gzip" if self.gzipped else ""
        return f"{encoding}, separated by {SEPARATORS[self.separator]}{packed}"


def find_dialect(path: Path) -> Dialect:
    """Look at the beginning of a file.

    Raises:
        UserError: there is no such file, it is of another kind, or cannot be read.
    """
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "is no file" if os.path.exists(path) else "does not exist"
        raise UserError(f"Data file {path} {what}; check --root_path and --data_path.")
    try:
        with open(path, "rb") as file:
            first = file.read(16)
        gzipped = first.startswith(GZIP)
        if gzipped:
            with gzip.open(path, "rb") as file:
                first = file.read(16)
        for magic, (kind, remedy) in OTHERS.items():
            if first.startswith(magic):
                raise UserError(f"{path} is {kind}, not a CSV file: {remedy}.")
        encoding = next((name for mark, name in MARKS.items() if first.startswith(mark)), "utf-8-sig")
        plain = Dialect(encoding=encoding, gzipped=gzipped)
        with plain.open(path) as file:
            lines = list(islice(file, PEEK))
        separator = _separator(lines)
        ends = [not record[-1].strip() and len(record) > 1 for record in _cut(lines, separator)]
        return Dialect(separator, encoding, gzipped, separator != "," and bool(ends) and all(ends))
    except UnicodeError as error:
        raise not_text(path) from error
    except UNREADABLE as error:
        raise UserError(f"{path} is not a readable CSV file: {error}.") from error


def not_text(path: Path) -> UserError:
    return UserError(f"{path} is not a UTF-8 text file; save it as CSV in UTF-8.")


def _separator(lines: list[str]) -> str:
    """The one that cuts most records into as many fields as the header, at least two."""
    return max(SEPARATORS, key=lambda separator: _fit([len(record) for record in _cut(lines, separator)]))


def _fit(widths: list[int]) -> tuple[float, int]:
    if not widths or widths[0] < 2:
        return 0.0, 0
    return widths.count(widths[0]) / len(widths), -list(SEPARATORS.values()).index("commas")


def _cut(lines: list[str], separator: str) -> Iterator[list[str]]:
    try:
        yield from (record for record in csv.reader(lines, delimiter=separator) if record)
    except csv.Error:
        return  # what is wrong with it is said where the file is read
