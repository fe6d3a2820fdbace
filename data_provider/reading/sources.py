"""Find out how a file is written: its kind, encoding, separator and header."""

import codecs
import csv
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd

from data_provider.reading.csv_file import SEPARATORS, UNREADABLE, CsvFile
from data_provider.reading.dates import is_date_or_number
from data_provider.reading.numbers import NOTHING
from utils.errors import UserError, shown_path

PEEK = 50  # rows by which header, separator and column of dates are chosen
LONGEST = 2**24  # characters in the first lines
BLOCK = 2**20  # bytes decoded at once
MOST_HEADERS = 3  # lines of names
GZIP = b"\x1f\x8b"
WORKBOOK, PARQUET = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"), (b"PAR1",)
# Files that are no table, by their first bytes: what they are, and what to do.
OTHERS = {
    (b"ARROW1",): ("an Arrow file", "write it as CSV or Parquet"),
    (b"\x89HDF", b"\x93NUMPY"): ("an HDF5 or NumPy file", "write it as CSV, with a column of dates"),
    (b"SQLite format",): ("an SQLite database", "export the table as CSV"),
    (b"%PDF",): ("a PDF document", "save the table as CSV"),
    (b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"): ("an archive other than gzip", "unpack it"),
}
MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # the longest first


def find_file(path: Path, encoding: str | None = None) -> CsvFile:
    """Find out by its beginning how a file is written; raise UserError if it cannot be read.

    Args:
        encoding: of its text, as Python names it; None to find it out.
    """
    plain = CsvFile(shown_path(path), path=path)
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "is no file" if os.path.exists(path) else "does not exist"
        raise UserError(f"Data file {plain.name} {what}; check --root_path and --data_path.")
    try:
        for gzipped in (False, True):
            plain = replace(plain, gzipped=gzipped)
            with plain.open_bytes() as raw:
                first = raw.read(16)
            if not first.startswith(GZIP):
                break
        for beginnings, (kind, remedy) in OTHERS.items():
            if first.startswith(beginnings):
                raise UserError(f"{plain.name} is {kind}, not a CSV file: {remedy}.")
        if first.startswith((*WORKBOOK, *PARQUET)):
            plain = _typed(plain, first)
        else:
            plain = _with_encoding(plain, first, encoding)
        return _with_header(plain)
    except UNREADABLE as error:
        raise unreadable(plain, error) from error


def unreadable(file: CsvFile, error: Exception, reason: str | None = None) -> UserError:
    """Return what to tell the user of an error while a file is read."""
    if isinstance(error, UnicodeError):
        return UserError(f"{file.name} is no text in {file.encoding}: name its encoding with --encoding.")
    return UserError(f"{file.name} is not a readable CSV file: {reason or error}.")


def _typed(file: CsvFile, first: bytes) -> CsvFile:
    """Return a workbook's first sheet, or a Parquet file, with its cells as CSV."""
    is_parquet = first.startswith(PARQUET)
    kind, engine = ("a Parquet file", "pyarrow") if is_parquet else ("an Excel workbook or a zip archive", "openpyxl")
    notes: tuple[str, ...] = ()
    try:
        with file.open_bytes() as raw:
            if is_parquet:
                table = pd.read_parquet(raw)
                keeps_index = not isinstance(table.index, pd.RangeIndex)
                content = table.to_csv(index=keeps_index)
            else:
                with pd.ExcelFile(raw) as book:
                    content = book.parse(0, header=None, dtype=object).to_csv(index=False, header=False)
                    if len(book.sheet_names) > 1:
                        notes = (f"of its {len(book.sheet_names)} sheets the first is read: {book.sheet_names[0]!r}",)
    except ImportError as error:
        remedy = f"pip install {engine}, or save it as CSV"
        raise UserError(f"{file.name} is {kind}; to read it the package {engine} is needed: {remedy}.") from error
    except Exception as error:  # each engine has errors of its own for a damaged file
        raise UserError(f"{file.name} is {kind} that cannot be read ({error}): save the table as CSV.") from error
    return replace(file, content=content.encode(), encoding="utf-8", gzipped=False, notes=notes)


def _with_encoding(file: CsvFile, first: bytes, wanted: str | None) -> CsvFile:
    """Return a file of text with the encoding that is named, marked, or the first that fits the whole file."""
    if wanted is not None:
        return replace(file, encoding=wanted)
    marked = next((name for mark, name in MARKS.items() if first.startswith(mark)), None)
    if marked:
        return replace(file, encoding=marked)
    if _decodes(file, "utf-8-sig"):
        if first[1:2] == b"\0" != first[:1] and _decodes(file, "utf-16-le"):
            return _guessed(file, "utf-16-le")
        return file
    # Two bytes make a Chinese character; a Western letter is one byte, which leaves odd runs of such bytes.
    for name in ("gb2312", "cp1252"):
        if _decodes(file, name):
            return _guessed(file, "gbk" if name == "gb2312" else name)
    raise UserError(f"{file.name} is not a UTF-8 text file; name its encoding with --encoding, or save it in UTF-8.")


def _guessed(file: CsvFile, encoding: str) -> CsvFile:
    return replace(file, encoding=encoding, notes=(f"it is not written in UTF-8, and read as {encoding} (--encoding)",))


def _decodes(file: CsvFile, encoding: str) -> bool:
    """Tell whether the whole file is text of an encoding, as far as its bytes show."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with file.open_bytes() as raw:
            while block := raw.read1(BLOCK):
                text = decoder.decode(block)
                if encoding == "cp1252" and not text.isascii() and any("\x00" <= c < "\t" for c in text):
                    return False  # bytes that are no text
            decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _with_header(file: CsvFile) -> CsvFile:
    """Return the file with its separator, the names of its columns, and how many lines stand above its rows."""
    lines = _first_lines(file)
    if not lines:
        raise UserError(f"{file.name} is empty.")
    said = lines[0].strip().strip('"')
    skipped = 1 if len(said) == 5 and said.startswith("sep=") and said[4] in SEPARATORS else 0
    separator = said[4] if skipped else max(SEPARATORS, key=lambda each: _fit(lines, each))
    rows, ends = [], []
    reader = csv.reader(lines[skipped:], delimiter=separator)
    for cells in reader:
        rows.append([cell.strip() for cell in cells])
        ends.append(skipped + reader.line_num)
    if len(rows) == 1 and reader.line_num == PEEK - skipped:
        raise UserError(f"{file.name}, line 1: a quote in the names of the columns is not closed in {PEEK} lines.")
    first = _first_names(rows)
    if first == len(rows):
        raise UserError(f"{file.name}, line 1: it is blank; it has to name the columns.")
    last = _last_names(rows, first)
    names, notes = _joined(rows[first : last + 1]), file.notes
    if first and any(any(row) for row in rows[:first]):
        notes = (*notes, f"the lines before line {ends[first - 1] + 1}, which names the columns, are left out")
    if last > first:
        notes = (*notes, f"its columns are named by {last - first + 1} lines")
    return replace(file, separator=separator, names=tuple(names), above=ends[last], notes=notes)


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


def _fit(lines: Sequence[str], separator: str) -> float:
    """Return the share of rows that have the most frequent number of cells, 0 where that is a single one."""
    widths = []
    with suppress(csv.Error):  # the reader of the whole file says what is wrong
        widths.extend(_width(cells) for cells in csv.reader(lines, delimiter=separator) if cells)
    common = max(widths, key=lambda width: (widths.count(width), width), default=0)
    return widths.count(common) / len(widths) if common > 1 else 0.0


def _width(cells: Sequence[str]) -> int:
    """Return the number of cells without empty ones at the end."""
    return max((i + 1 for i, cell in enumerate(cells) if cell.strip()), default=0)


def _are_names(cells: Sequence[str]) -> bool:
    return any(cells) and not any(is_date_or_number(cell) for cell in cells if cell)


def _first_names(rows: Sequence[Sequence[str]]) -> int:
    """Return which row names the columns: the first that is not blank, or a later, wider one that holds names."""
    remarks = next((i for i, row in enumerate(rows) if any(row) and not row[0].startswith("#")), 0)
    begin = remarks if rows and _are_names(rows[remarks]) else 0
    first = next((i for i, row in enumerate(rows) if i >= begin and any(row)), len(rows))
    widest = max(map(_width, rows), default=0)
    wider = [i for i, row in enumerate(rows) if i >= begin and _width(row) == widest]
    if first < len(rows) and _width(rows[first]) < widest and wider and _are_names(rows[wider[0]]):
        return wider[0]
    return first


def _last_names(rows: Sequence[Sequence[str]], first: int) -> int:
    """Return the last of up to three rows of names: those below hold words where the data hold numbers."""
    data = next((i for i in range(first + 1, len(rows)) if any(map(is_date_or_number, rows[i]))), first + 1)
    below = rows[first + 1 : data]
    if not 0 < len(below) < MOST_HEADERS or not all(map(_are_names, below)):
        return first
    numbers = {i for i, cell in enumerate(rows[data]) if is_date_or_number(cell)}
    words = {i for row in below for i, cell in enumerate(row) if cell.lower() not in NOTHING}
    return data - 1 if words & numbers else first


def _joined(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a name for each column from several rows of names: the first row's where these differ, else all parts."""
    width = max(map(len, rows))
    levels = [[*row, *[""] * (width - len(row))] for row in rows]
    if len(levels) == 1:
        return levels[0]
    index = {row.index(next(filter(None, row))) for row in levels[1:] if sum(map(bool, row)) == 1}
    names = levels[0]
    if len(set(names)) < width or not all(names):  # a row of one name says what the rows are called
        spread = [_to_the_right(row) for row in levels if sum(map(bool, row)) > 1]
        names = [" ".join(filter(None, parts)) for parts in zip(*spread, strict=True)]
    own = {i: next(row[i] for row in reversed(levels) if row[i]) for i in index}
    return [own.get(i, name) for i, name in enumerate(names)]


def _to_the_right(row: Sequence[str]) -> list[str]:
    """Return a row of names in which a name holds until the next one, as cells that are merged in a sheet."""
    filled, last = [], ""
    for cell in row:
        last = cell or last
        filled.append(last)
    return filled
