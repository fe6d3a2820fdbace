"""CSV files: what is read, and the one message that names the place where something is wrong."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_provider.reading import Frame, Reading, read_frame
from utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
Write = Callable[[str | bytes], Path]
GOOD = "date,a,OT\n2024-01-01,1,2\n2024-01-02,3,4\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file byte for byte."""

    def to_file(content: str | bytes) -> Path:
        path = tmp_path / "file.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


def dated(*dates: str) -> str:
    """A file with these dates, quoted, and one channel."""
    return "date,a\n" + "".join(f'"{date}",{i}\n' for i, date in enumerate(dates))


def message(path: Path) -> str:
    with pytest.raises(UserError) as raised:
        read_frame(path)
    text = str(raised.value)
    assert str(path) in text
    assert "\n" not in text
    return text


# --- files that are read ---


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.rstrip("\n"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        "\ufeff" + GOOD,
        "\ufeff" + GOOD.replace("date,a,OT", '"date","a","OT"'),
        GOOD + "\n\n\n",
        GOOD + "   \n",
        GOOD + ",,\n",
        GOOD.replace(",", ", "),
        GOOD.replace("date,a", " date ,a"),
        GOOD.replace("1,2", '"1"," 2 "'),
    ],
    ids=[
        "plain", "no newline at the end", "CRLF", "CR", "byte order mark", "byte order mark and quoted header",
        "blank lines at the end", "spaces at the end", "commas at the end", "spaces after commas",
        "spaces around a name", "quoted numbers",
    ],
)  # fmt: skip
def test_harmless_ways_to_write_a_file_give_the_same_frame(write: Write, content: str) -> None:
    frame = read_frame(write(content))
    assert frame.columns == ("a", "OT")
    assert list(frame.dates) == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02")]
    np.testing.assert_array_equal(frame.values, [[1.0, 2.0], [3.0, 4.0]])
    assert frame.values.dtype == np.float64
    assert frame.notes == ()


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (("2024-01-31", "2024-01-31 01:00"), ("2024-01-31 00:00", "2024-01-31 01:00")),
        (("2024-01-31T01:00:00.5", "2024-02-01"), ("2024-01-31 01:00:00.5", "2024-02-01 00:00")),
        (("1990/1/1 0:00", "1990/1/2 0:00"), ("1990-01-01", "1990-01-02")),
        (("20240131", "20240201"), ("2024-01-31", "2024-02-01")),
        (("2023", "2024"), ("2023-01-01", "2024-01-01")),
        (("2024-01", "2024-02"), ("2024-01-01", "2024-02-01")),
        (("1/31/2024 13:00", "2/1/2024 13:00"), ("2024-01-31 13:00", "2024-02-01 13:00")),
        (("31/01/2024", "01/02/2024"), ("2024-01-31", "2024-02-01")),
        (("01/01/2024", "12/01/2024", "13/01/2024"), ("2024-01-01", "2024-01-12", "2024-01-13")),
        (("01/01/2024", "01/12/2024", "01/13/2024"), ("2024-01-01", "2024-01-12", "2024-01-13")),
        (("01.02.2024", "02.02.2024"), ("2024-02-01", "2024-02-02")),
        (("01/31/2024 12:00:00 AM", "01/31/2024 01:00:00 PM"), ("2024-01-31 00:00", "2024-01-31 13:00")),
        (("31-Jan-2024", "01-Feb-2024"), ("2024-01-31", "2024-02-01")),
        (("Jan 31, 2024", "Feb 1, 2024"), ("2024-01-31", "2024-02-01")),
        (("2024-01-31T01:00Z", "2024-01-31T02:00Z"), ("2024-01-31 01:00", "2024-01-31 02:00")),
        (("2024-01-31 00:00+01:00", "2024-01-31 01:00+01:00"), ("2024-01-31 00:00", "2024-01-31 01:00")),
        (("2024-01-31 00:00-0500", "2024-01-31 01:00-0500"), ("2024-01-31 00:00", "2024-01-31 01:00")),
    ],
    ids=lambda case: case[0],
)  # fmt: skip
def test_dates_are_read_as_they_are_meant(write: Write, dates: tuple[str, ...], expected: tuple[str, ...]) -> None:
    frame = read_frame(write(dated(*dates)), Reading(irregular_dates=True))  # gaps do not matter here
    assert list(frame.dates) == [pd.Timestamp(date) for date in expected]
    assert frame.dates.tz is None
    assert frame.notes == ()


def test_the_date_may_stand_in_any_column(write: Write) -> None:
    frame = read_frame(write("a,date,OT\n1,2024-01-01,2\n"))
    assert frame.columns == ("a", "OT")
    np.testing.assert_array_equal(frame.values, [[1.0, 2.0]])


@pytest.mark.parametrize("name", ["1", "nan", "NA", "température", "a.1", "two\nlines", 'a "quoted" one'])
def test_any_name_may_name_a_column(write: Write, name: str) -> None:
    quoted = name.replace('"', '""')
    assert read_frame(write(f'date,"{quoted}"\n2024-01-01,1\n')).columns == (name,)


@pytest.mark.parametrize(
    ("cell", "number"), [("-1.5e-3", -0.0015), ("+2", 2.0), ("1e99", 1e99), (".5", 0.5), ("9" * 26, 1e26)]
)
def test_numbers_are_read_as_written(write: Write, cell: str, number: float) -> None:
    assert read_frame(write(f"date,a\n2024-01-01,{cell}\n")).values.item() == pytest.approx(number, rel=1e-14)


def test_a_file_named_like_an_archive_is_read_as_the_text_it_is(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    path.write_text(GOOD)
    assert len(read_frame(path).dates) == 2


# --- files that are refused ---


@pytest.mark.parametrize(
    ("name", "problem"), [("none.csv", "does not exist"), (".", "is a folder"), ("x" * 300, "does not exist")]
)
def test_what_is_no_file_is_named(tmp_path: Path, name: str, problem: str) -> None:
    assert f"{problem}; check --root_path and --data_path" in message(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\n\n", "line 1: it is blank"),
        ("date,a\n\n\n", "has a header but no rows"),
        ("date:OT\n2024-01-01:2\n", "'2024-01-01:2' in date:OT cannot be read as a date"),
        ("date:OT\n2024-01-01:2\n", "Columns are separated by commas, semicolons, tabs or bars."),
        ("date,date\n2024-01-01,1\n", "more than one column called 'date'"),
        ("date,a, a\n2024-01-01,1,2\n", "more than one column called 'a'"),
        ("date,a\n2024-01-01,1,2\n2024-01-02,1,2\n", "line 2: it has 3 fields, but the header names 2 columns"),
        (bytes(range(256)) * 20, "is not a UTF-8 text file"),
        (b"\0" * 100, "line 1: a name has a NUL character"),
        ("\0" + GOOD, "line 1: a name has a NUL character"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused(write: Write, content: str | bytes, expected: str) -> None:
    assert expected in message(write(content))


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("x", "'x' is not a number"),
        ("-inf", "-inf is infinite"),
        ("1e400", "inf is infinite"),
        ("5 kg", "'5 kg' is not a number: leave out units"),
        ("٣", "'٣' is not a number"),
        ("1+2j", "'1+2j' is not a number"),
        ("2024-01-01", "'2024-01-01' is not a number"),
    ],
)
def test_a_cell_that_is_no_finite_number_is_named(write: Write, cell: str, problem: str) -> None:
    path = write(f"date,a,b\n2024-01-01,1,2\n2024-01-02,3,{cell}\n2024-01-03,5,6\n")
    assert message(path).startswith(f"{path}, column 'b', line 3: {problem}")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("2024-01-01,1,2\n2024-01-02,,2\n2024-01-03,x,2\n2024-01-04,inf,2\n",
         "line 4: 'x' is not a number; 2 cell(s) of this column cannot be used"),
        ("2024-01-01,1,2\n\n2024-01-02,x,2\n", "line 3: the date is missing"),
    ],
    ids=["all bad cells", "a blank line"],
)  # fmt: skip
def test_bad_cells_are_counted_and_missing_ones_named(write: Write, rows: str, expected: str) -> None:
    assert expected in message(write(f"date,a,b\n{rows}"))


def test_a_huge_cell_does_not_fill_the_screen(write: Write) -> None:
    assert len(message(write(f"date,a\n2024-01-01,{'x' * 100_000}\n"))) < 500


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('date,"two\nlines"\n2024-01-01,1\n2024-01-02,x\n', 4),
        ('date,"two\r\nlines"\r\n2024-01-01,1\r\n2024-01-02,x\r\n', 4),
        ('date,a,b\n2024-01-01,1,"2\n"\n2024-01-02,x,3\n', 4),
        ("\ufeffdate,a\r\n2024-01-01,1\r\n2024-01-02,x\r\n", 3),
    ],
)
def test_the_line_is_the_line_of_the_file(write: Write, content: str, line: int) -> None:
    assert f"line {line}: 'x' is not a number" in message(write(content))


def test_the_frame_knows_the_line_of_each_row(write: Write) -> None:
    frame = read_frame(write('date,"two\nlines"\n2024-01-01,1\n2024-01-02,2\n'))
    assert [frame.location.row(row) for row in range(2)] == ["line 3", "line 4"]


# --- files that would fill the memory ---


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"1," * 10**7, "line 1: the lines up to here have more than 16,777,216 characters"),
        (b"date,a\n2024-01-01," + b"1" * 2 * 10**7, "line 2: the lines up to here have more than"),
        (b'"a\n",' * 1000, "line 1: a quote in the names of the columns is not closed in 50 lines"),
    ],
    ids=["first line", "second line", "header"],
)
def test_lines_without_end_are_not_read_to_their_end(write: Write, content: bytes, place: str) -> None:
    assert place in message(write(gzip.compress(content, 1)))


def test_a_compressed_file_that_unpacks_to_too_much_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "date,a\n" + "".join(f"{day:%Y-%m-%d},0\n" for day in pd.date_range("1700", periods=20_000))
    path = write(gzip.compress(content.encode()))
    assert len(read_frame(path).dates) == 20_000
    monkeypatch.setattr("data_provider.reading.csv_file.UNPACKED", 2**17)
    monkeypatch.setattr("data_provider.reading.csv_file.RATIO", 2)
    assert "unpacks to more than" in message(path)


# --- names of files ---


@pytest.mark.parametrize(
    ("name", "shown"), [(b"d\xe4ta.csv", r"d\xe4ta.csv"), (b"a\nb\x1b[1m.csv", r"a\nb\x1b[1m.csv")]
)
def test_a_name_that_cannot_be_printed_is_shown_with_escapes(tmp_path: Path, name: bytes, shown: str) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_text(GOOD)
    assert read_frame(path).source == f"{tmp_path}/{shown}"
    path.write_text(GOOD + "x,1,1\n")
    with pytest.raises(UserError) as raised:
        read_frame(path)
    assert f"{shown}, column 'date', line 4" in str(raised.value)
    path.unlink()
    with pytest.raises(UserError, match=re.escape(f"{shown} does not exist")):
        read_frame(path)


# --- dates that are refused ---


@pytest.mark.parametrize(
    "dates",
    [
        ("1", "2", "4"),
        ("101", "103", "102"),
        ("202413", "202414", "202416"),
        ("2024001", "2024002", "2024004"),
        ("1.5", "2.5"),
        ("2024.5", "2024.6"),
        ("12:00", "13:00"),
        ("1 h", "2 h"),
    ],
    ids=lambda dates: dates[0],
)
def test_numbers_and_times_alone_never_become_dates(write: Write, dates: tuple[str, ...]) -> None:
    assert f"column 'date', line 2: {dates[0]!r} is no date" in message(write(dated(*dates)))


@pytest.mark.parametrize(
    "text",
    ["now", "today", "NOW", "tomorrow", "NaT", "x", "2024-02-30", "2024-13-01", "2024-01-01 25:00",
     "3", "0001-01-01", "9999-12-31"],
)  # fmt: skip
def test_a_text_that_is_no_date_is_named_with_its_line(write: Write, text: str) -> None:
    assert f"column 'date', line 3: {text!r} is no date" in message(write(dated("2024-01-01", text, "2024-01-03")))
    assert f"column 'date', line 2: {text!r} is no date" in message(write(dated(text)))


TWO_WAYS = "can all be read with the day or the month first; write dates like"


@pytest.mark.parametrize(
    ("dates", "problem"),
    [
        (("01/02/2024", "02/02/2024"), TWO_WAYS),
        (("1/2/2024 10:00", "1/2/2024 11:00"), TWO_WAYS),
        (("01-02-2024", "02-02-2024"), TWO_WAYS),
        (("01/13/2024", "13/01/2024"), "column 'date', line 3: '13/01/2024' is no date"),
        (("2024-01-01T00:00Z", "2024-01-01T01:00"), "line 3: '2024-01-01T01:00' is no date that fits the others"),
        (("2024-01-01T00:00+2:00", "2024-01-01T01:00+2:00"), "line 2: '2024-01-01T00:00+2:00' is no date"),
        (("2024-01-01", "2024-01-02", "2024-01-02"), "line 4 (2024-01-02 00:00:00) is a duplicate with other values"),
        (("2024-01-01", "2024-01-01 00:00"), "line 3 (2024-01-01 00:00:00) is a duplicate with other values"),
        (("2024-01-01T01:00+01:00", "2024-01-01T00:00Z"), "is a duplicate with other values, and 1 such row(s) in all"),
    ],
)
def test_dates_that_cannot_be_told_or_ordered_are_refused(write: Write, dates: tuple[str, ...], problem: str) -> None:
    assert problem in message(write(dated(*dates)))


@pytest.mark.parametrize(
    ("dates", "what"),
    [
        (("2024-01-02", "2024-01-01"), "line 3 (2024-01-01 00:00:00) is earlier than the one before"),
        (("2024-01-01", "2024-01-01"), "line 3 (2024-01-01 00:00:00) is a duplicate"),
    ],
)
def test_irregular_dates_are_accepted_with_a_note_where_asked(write: Write, dates: tuple[str, ...], what: str) -> None:
    frame = read_frame(write(dated(*dates)), Reading(irregular_dates=True))
    assert list(frame.dates) == [pd.Timestamp(date) for date in dates]
    assert frame.notes == (f"its dates are irregular: {what}; the rows are taken in the order of the file",)


def test_regular_dates_leave_no_note_where_irregular_ones_are_allowed(write: Write) -> None:
    assert read_frame(write(GOOD), Reading(irregular_dates=True)).notes == ()


# --- the channels of a run ---


@pytest.fixture
def frame() -> Frame:
    return Frame(pd.date_range("2024", periods=2), np.arange(6.0).reshape(2, 3), ("a", "OT", "b"), "f.csv", "D")


@pytest.mark.parametrize(
    ("features", "columns"), [("M", ("a", "b", "OT")), ("MS", ("a", "b", "OT")), ("S", ("OT",))]
)  # fmt: skip
def test_the_target_comes_last(frame: Frame, features: str, columns: tuple[str, ...]) -> None:
    chosen = frame.select(features, "OT")
    assert chosen.columns == columns
    np.testing.assert_array_equal(chosen.values, frame.values[:, [frame.columns.index(name) for name in columns]])


def test_a_missing_target_is_named_with_the_columns_there_are(frame: Frame) -> None:
    with pytest.raises(UserError, match=r"f\.csv has no column 'x' \(--target\); its columns are a, OT, b\."):
        frame.select("S", "x")


def test_a_long_list_of_columns_is_cut() -> None:
    names = tuple(f"c{i}" for i in range(20))
    wide = Frame(pd.date_range("2024", periods=1), np.zeros((1, 20)), names, "f.csv", "D")
    with pytest.raises(UserError, match=r"c0, .*, c11, … \(20 in all\)"):
        wide.select("M", "OT")


def test_reading_needs_neither_pytorch_nor_scikit_learn() -> None:
    code = "import sys, data_provider.reading; sys.exit(bool({'torch', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0
