"""Files as people keep them: each is read with the right dates and numbers, and what was decided is said in a line."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_provider.reading import Frame, Reading, future_dates, read_frame, season_length, written_dates
from utils.errors import UserError

ROWS = 60
VALUES = [round(100 + 5 * np.sin(i), 2) for i in range(ROWS)]


def read(folder: Path, content: str | bytes, **options: object) -> Frame:
    """The series of a file with this content."""
    path = folder / "file.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_frame(path, Reading(**options))


def refusal(folder: Path, content: str | bytes, **options: object) -> str:
    """The message with which a file is refused."""
    with pytest.raises(UserError) as raised:
        read(folder, content, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def lines(header: str, rows: Sequence[Sequence[object]], separator: str = ",") -> str:
    return "\n".join([header, *(separator.join(map(str, row)) for row in rows)]) + "\n"


def dated(dates: Sequence[object], name: str = "date") -> str:
    """A file of one column with these dates."""
    return lines(f"{name},y", [*zip(dates, VALUES, strict=False)])


def days(form: str = "%Y-%m-%d", rows: int = ROWS, start: str = "2023-12-20", freq: str = "D") -> list[str]:
    return pd.date_range(start, periods=rows, freq=freq).strftime(form).tolist()


def following(frame: Frame, steps: int = 1) -> list[str]:
    """The first dates of a forecast, as forecast.csv writes them."""
    return written_dates(future_dates(frame.dates[-1], frame.frequency, steps), frame.offset, frame.form)


def note(frame: Frame, part: str) -> str:
    """The one note that contains a text."""
    (found,) = [each for each in frame.notes if part in each]
    return found


# --- dates ---

NEXT = "2024-02-18"
FORMS = {  # name: dates of the 60 days from 2023-12-20 on as a file writes them, and the name of their column
    "two-digit years, day first": (days("%d/%m/%y"), "date"),
    "two-digit years, month first": (days("%m/%d/%y"), "date"),
    "two-digit years with points": (days("%d.%m.%y"), "date"),
    "words": (days("%d %B %Y"), "date"),
    "words with a two-digit year": (days("%d-%b-%y"), "date"),
    "days of the week before": (days("%a %d %b %Y"), "date"),
    "Excel's numbers": ([str(45280 + i) for i in range(ROWS)], "Date"),
    "seconds since 1970": ([str(1703030400 + 86400 * i) for i in range(ROWS)], "timestamp"),
    "milliseconds since 1970": ([str(1000 * (1703030400 + 86400 * i)) for i in range(ROWS)], "time"),
    "an empty name": (days(), ""),
    "Chinese": ([f"{d.year}年{d.month}月{d.day}日" for d in pd.date_range("2023-12-20", periods=ROWS)], "日期"),
    "intervals": ([f"{day} 00:00 - {day} 24:00" for day in days("%d.%m.%Y")], "MTU"),
}


@pytest.mark.parametrize("name", FORMS)
def test_dates_are_read_in_the_form_of_the_file(tmp_path: Path, name: str) -> None:
    dates, column = FORMS[name]
    frame = read(tmp_path, dated(dates, column))
    assert list(frame.dates.normalize()) == list(pd.date_range("2023-12-20", periods=ROWS))
    assert following(frame) == [NEXT]
    assert frame.values[:, 0].tolist() == VALUES


@pytest.mark.parametrize(
    ("dates", "after", "season"),
    [
        ([f"{1990 + i // 4}-Q{i % 4 + 1}" for i in range(ROWS)], ["2005-Q1", "2005-Q2"], 4),
        ([f"Q{i % 4 + 1} {1990 + i // 4}" for i in range(ROWS)], ["Q1 2005", "Q2 2005"], 4),
        (days("%b-%y", freq="MS", start="2003-01-01"), ["Jan-08", "Feb-08"], 12),
        (days("%B %Y", freq="MS", start="2003-01-01"), ["January 2008", "February 2008"], 12),
        (days("%YM%m", freq="MS", start="2003-01-01"), ["2008M01", "2008M02"], 12),
        (days("%Y%m", freq="MS", start="2003-01-01"), ["200801", "200802"], 12),
        (days("%G-W%V", freq="W-MON", start="2020-11-02"), ["2021-W52", "2022-W01"], 52),
    ],
    ids=["quarters", "quarters first", "months", "long months", "2003M01", "200301", "weeks"],
)
def test_periods_are_continued_in_the_form_of_the_file(
    tmp_path: Path, dates: list[str], after: list[str], season: int
) -> None:
    frame = read(tmp_path, dated(dates, "Month"))
    assert following(frame, 2) == after
    assert season_length(frame.frequency) == season


def test_date_and_time_in_two_columns_are_joined(tmp_path: Path) -> None:
    hours = pd.date_range("2024-01-30 13:00", periods=ROWS, freq="h")
    rows = [[h.strftime("%d/%m/%Y"), h.strftime("%H.%M.%S"), v] for h, v in zip(hours, VALUES, strict=True)]
    for options in ({}, {"date_col": "Date,Time"}):
        frame = read(tmp_path, lines("Date,Time,y", rows), **options)
        assert list(frame.dates) == list(hours)
        assert frame.columns == ("y",)


def test_a_day_and_its_hour_are_joined(tmp_path: Path) -> None:
    hours = pd.date_range("2024-01-30 13:00", periods=ROWS, freq="h")
    rows = [[h.strftime("%Y-%m-%d"), h.hour, v] for h, v in zip(hours, VALUES, strict=True)]
    assert list(read(tmp_path, lines("dteday,hr,cnt", rows)).dates) == list(hours)


@pytest.mark.parametrize("parts", [["year", "month"], ["Year", "Month", "Day"], ["yr", "mon", "dd", "hh"]])
def test_parts_of_a_date_in_several_columns_are_joined(tmp_path: Path, parts: list[str]) -> None:
    dates = pd.date_range("2003-11-01", periods=ROWS, freq=("MS", "D", "h")[len(parts) - 2])
    cells = [[d.year, d.month, d.day, d.hour][: len(parts)] for d in dates]
    frame = read(tmp_path, lines(",".join([*parts, "y"]), [[*c, v] for c, v in zip(cells, VALUES, strict=True)]))
    assert list(frame.dates) == list(dates)
    assert "the dates are made of the columns" in note(frame, "made of")


def test_midnight_may_be_written_as_24_o_clock_or_left_out(tmp_path: Path) -> None:
    hours = pd.date_range("2024-01-30 01:00", periods=ROWS, freq="h")
    late = [
        (h - pd.Timedelta(days=1)).strftime("%Y-%m-%d 24:00") if h.hour == 0 else h.strftime("%Y-%m-%d %H:%M")
        for h in hours
    ]
    bare = [h.strftime("%m/%d/%Y") if h.hour == 0 else h.strftime("%m/%d/%Y %I:%M %p") for h in hours]
    for dates in (late, bare):
        assert list(read(tmp_path, dated(dates)).dates) == list(hours)


def test_a_regular_step_decides_between_day_and_month(tmp_path: Path) -> None:
    firsts = days("%d/%m/%Y", rows=24, freq="MS", start="2020-01-01")
    frame = read(tmp_path, dated(firsts))
    assert (frame.frequency, frame.dates[1]) == ("MS", pd.Timestamp("2020-02-01"))
    assert "a regular step" in note(frame, "are read as")


def test_counted_rows_are_counted_on(tmp_path: Path) -> None:
    frame = read(tmp_path, dated(range(11, 11 + ROWS), "t"))
    assert following(frame, 2) == ["71", "72"]
    assert frame.columns == ("y",)


@pytest.mark.parametrize("options", [{}, {"date_col": "none"}])
def test_rows_without_dates_are_counted_with_a_note(tmp_path: Path, options: dict[str, str]) -> None:
    frame = read(tmp_path, lines("a,b", [[v, v + 1] for v in VALUES]), **options)
    assert frame.columns == ("a", "b")
    assert following(frame) == ["61"]


def test_dates_that_cannot_be_read_are_named_and_not_counted(tmp_path: Path) -> None:
    said = refusal(tmp_path, lines("when,y", [[f"{i} days on", v] for i, v in enumerate(VALUES)]))
    assert "'0 days on' in when cannot be read as a date" in said
    assert "--date_col" in said


# --- order of rows ---


def test_newest_first_is_turned_round(tmp_path: Path) -> None:
    frame = read(tmp_path, lines("date,y", [*zip(days(), VALUES, strict=True)][::-1]))
    assert frame.values[:, 0].tolist() == VALUES
    assert "turned round" in note(frame, "newest")
    assert frame.location.row(int(frame.rows[0])) == f"line {ROWS + 1}"


def test_rows_out_of_order_are_sorted(tmp_path: Path) -> None:
    rows = [*zip(days(), VALUES, strict=True)]
    rows[5], rows[40] = rows[40], rows[5]
    frame = read(tmp_path, lines("date,y", rows))
    assert frame.values[:, 0].tolist() == VALUES
    assert "sorted by date" in note(frame, "not in order")


def test_the_same_row_again_is_dropped(tmp_path: Path) -> None:
    rows = [*zip(days(), VALUES, strict=True)]
    frame = read(tmp_path, lines("date,y", [*rows[:9], rows[8], *rows[9:]]))
    assert frame.values[:, 0].tolist() == VALUES
    assert "1 row(s)" in note(frame, "same row again")


@pytest.mark.parametrize(("how", "value"), [("mean", 55.0), ("first", 100.0), ("last", 10.0)])
def test_several_values_of_one_date_need_a_decision(tmp_path: Path, how: str, value: float) -> None:
    rows = [*zip(days(), VALUES, strict=True)]
    content = lines("date,y", [*rows[:1], [days()[0], 10.0], *rows[1:]])
    said = refusal(tmp_path, content)
    assert "line 3 (2023-12-20 00:00:00) is a duplicate with other values" in said
    assert "--duplicates mean|first|last" in said
    frame = read(tmp_path, content, duplicates=how)
    assert frame.values[0, 0] == value
    assert len(frame.dates) == ROWS


@pytest.mark.parametrize("word", ["Total", "Sum:", "Grand total", "Average"])
def test_a_row_of_totals_at_the_end_is_left_out(tmp_path: Path, word: str) -> None:
    frame = read(tmp_path, dated(days()) + f"{word},6000\n")
    assert len(frame.dates) == ROWS
    assert f"1 row(s) at the end, from line {ROWS + 2} on" in note(frame, "left out (no date")


# --- numbers ---


@pytest.mark.parametrize(
    ("cells", "number"),
    [
        (["1,234.5", "1.25"], [1234.5, 1.25]),
        (["10,073", "9,944"], [10073, 9944]),
        (["1,234,567", "5"], [1234567, 5]),
        (["(0.67)", "8.15"], [-0.67, 8.15]),
        (["$5.00", "-$1,200.50"], [5, -1200.5]),
        (["0.09%", "-0.58%"], [0.09, -0.58]),
        (["32.55M", "1.5K"], [32_550_000, 1500]),
        (["1 234", "12"], [1234, 12]),
        (["1'234.5", "7"], [1234.5, 7]),
        (["True", "False"], [1, 0]),
    ],
)
def test_numbers_with_one_reading_are_read(tmp_path: Path, cells: list[str], number: list[float]) -> None:
    rows = [[day, f'"{cells[i % 2]}"'] for i, day in enumerate(days())]
    frame = read(tmp_path, lines("date,y", rows))
    assert frame.values[:2, 0].tolist() == pytest.approx(number)


@pytest.mark.parametrize(
    ("cells", "number"),
    [(["1.234,5", "7"], 1234.5), (["1.234", "0.250"], 1.234), (["239.874", "4.055"], 239.874), (["1,5", "2"], 1.5)],
)
def test_numbers_between_semicolons_are_read_where_a_cell_decides(
    tmp_path: Path, cells: list[str], number: float
) -> None:
    rows = [[day, cells[i % 2]] for i, day in enumerate(days())]
    assert read(tmp_path, lines("date;y", rows, ";")).values[0, 0] == pytest.approx(number)


@pytest.mark.parametrize(("decimal", "number"), [(".", 1.234), (",", 1234)])
def test_a_number_with_two_readings_needs_the_decimal_mark(tmp_path: Path, decimal: str, number: float) -> None:
    content = lines("date;y", [[day, ("1.234", "7")[i % 2]] for i, day in enumerate(days())], ";")
    assert "can be 1234 or 1.234" in (said := refusal(tmp_path, content))
    assert "--decimal" in said
    assert read(tmp_path, content, decimal=decimal).values[0, 0] == pytest.approx(number)


# --- columns ---


def test_words_counters_and_empty_columns_are_left_out_with_a_note(tmp_path: Path) -> None:
    rows = [[i, day, "rain", i % 2 == 0, "", v, ""] for i, (day, v) in enumerate(zip(days(), VALUES, strict=True))]
    frame = read(tmp_path, lines("Unnamed: 0,date,weather,open,gone,y,", rows))
    assert frame.columns == ("open", "y")
    assert frame.values[0].tolist() == [1.0, VALUES[0]]
    assert frame.notes == (
        "left out (empty): gone",
        "left out (words): weather",
        "left out (counts the rows): Unnamed: 0",
    )


def test_columns_are_chosen_and_ignored_by_name(tmp_path: Path) -> None:
    content = lines("date,a,b,c", [[day, v, v + 1, v + 2] for day, v in zip(days(), VALUES, strict=True)])
    assert read(tmp_path, content, columns=("c", "a")).columns == ("c", "a")
    assert read(tmp_path, content, ignore=("b",)).columns == ("a", "c")
    assert "no column 'x' (--columns); its columns are a, b, c" in refusal(tmp_path, content, columns=("x",))
    assert "no column 'x' (--ignore)" in refusal(tmp_path, content, ignore=("x",))


def test_a_target_alone_does_not_mind_other_columns(tmp_path: Path) -> None:
    content = lines("date,a,b", [[day, v, "" if i < 50 else "x"] for i, (day, v) in enumerate(zip(days(), VALUES))])  # noqa: B905
    frame = read(tmp_path, content, features="S", target="a")
    assert (frame.columns, frame.notes) == (("a",), ())


def test_the_numbers_of_other_columns_do_not_decide_the_decimal_mark_of_a_target_alone(tmp_path: Path) -> None:
    content = lines("date;a;b", [[day, "1,5", "1.25"] for day in days()], ";")
    assert "has decimal commas" in refusal(tmp_path, content)
    assert read(tmp_path, content, features="S", target="a").values[0, 0] == 1.5


def test_a_column_that_begins_late_costs_a_few_rows_or_is_left_out(tmp_path: Path) -> None:
    def starting(row: int) -> str:
        rows = [[day, v if i >= row else "", v] for i, (day, v) in enumerate(zip(days(), VALUES, strict=True))]
        return lines("date,late,y", rows)

    few = read(tmp_path, starting(5))
    assert (few.columns, len(few.dates)) == (("late", "y"), ROWS - 5)
    assert "begins at 2023-12-25, 5 row(s) later" in note(few, "late")
    many = read(tmp_path, starting(30))
    assert (many.columns, len(many.dates)) == (("y",), ROWS)
    assert note(many, "late") == "left out (begins late): late"


def test_codes_of_missing_values_are_noted_and_read_as_missing_where_asked(tmp_path: Path) -> None:
    cells = [-200 if i in (7, 8, 30) else v for i, v in enumerate(VALUES)]
    content = lines("date,y", [*zip(days(), cells, strict=True)])
    said = note(read(tmp_path, content), "--missing -200")
    assert "y (3 times)" in said
    frame = read(tmp_path, content, missing=("-200",))
    assert frame.filled[:, 0].sum() == 3
    assert frame.values.min() > 90


def test_a_low_value_that_repeats_is_no_code(tmp_path: Path) -> None:
    cells = [-9 if i % 7 == 0 else -8 + i % 5 for i in range(ROWS)]
    assert read(tmp_path, lines("date,y", [*zip(days(), cells, strict=True)])).notes == ()


# --- missing values and the end of the file ---


def test_short_gaps_are_filled_and_long_ones_refused_with_numbers(tmp_path: Path) -> None:
    def without(*gone: int) -> str:
        return lines("date,y", [row for i, row in enumerate(zip(days(), VALUES, strict=True)) if i not in gone])

    frame = read(tmp_path, without(10, 11, 40))
    assert frame.filled[:, 0].nonzero()[0].tolist() == [10, 11, 40]
    assert frame.values[40, 0] == pytest.approx((VALUES[39] + VALUES[41]) / 2)
    assert "at most 5 in a row and 10% of a column" in note(frame, "filled")
    said = refusal(tmp_path, without(*range(10, 17)))
    assert "Up to 7 in a row and 11.7% of a column (y) are missing" in said
    assert "--fill linear" in said
    assert len(read(tmp_path, without(*range(10, 17)), fill="linear").dates) == ROWS


@pytest.mark.parametrize("fill", ["auto", "linear", "ffill", "none"])
def test_rows_without_a_value_at_the_end_are_not_invented(tmp_path: Path, fill: str) -> None:
    cells = [*VALUES[:-9], *[""] * 9]
    content = lines("date,promo,y", [[day, 1, cell] for day, cell in zip(days(), cells, strict=True)])
    frame = read(tmp_path, content, fill=fill)
    assert frame.values[:, frame.columns.index("y")].tolist() == VALUES[:-9]
    assert following(frame) == [days()[-9]]
    assert "9 row(s) at the end have no 'y'" in note(frame, "at the end")


def test_a_forecast_minds_no_gap_before_the_rows_it_sees(tmp_path: Path) -> None:
    rows = [row for i, row in enumerate(zip(days(), VALUES, strict=True)) if not 10 <= i < 20]
    frame = read(tmp_path, lines("date,y", rows), last=30)
    assert frame.values[-30:, 0].tolist() == VALUES[-30:]
    assert "10 step(s) of D are missing" in refusal(tmp_path, lines("date,y", rows), last=50)


# --- files ---


def test_remarks_before_the_header_are_left_out(tmp_path: Path) -> None:
    frame = read(tmp_path, "# made by a logger\n# volts, amperes\n" + dated(days()))
    assert (frame.columns, frame.dates[0]) == (("y",), pd.Timestamp("2023-12-20"))


def test_words_below_the_table_are_left_out(tmp_path: Path) -> None:
    frame = read(tmp_path, dated(days()) + "\nSource: the office,\n")
    assert len(frame.dates) == ROWS
    assert "'Source: the office'" in note(frame, "left out (no date")


def test_a_line_may_name_the_separator(tmp_path: Path) -> None:
    frame = read(tmp_path, "sep=;\n" + lines("date;y", [*zip(days(), VALUES, strict=True)], ";"))
    assert (frame.values[:, 0].tolist(), frame.notes) == (VALUES, ())


def test_lines_before_the_header_are_left_out_with_a_note(tmp_path: Path) -> None:
    content = "Report of sales\n\n" + lines("date,y,z", [[day, v, v] for day, v in zip(days(), VALUES, strict=True)])
    frame = read(tmp_path, content)
    assert frame.columns == ("y", "z")
    assert "the lines before line 3" in note(frame, "names the columns")
    assert frame.location.row(0) == "line 4"


def test_a_header_of_several_lines_is_joined(tmp_path: Path) -> None:
    rows = [[day, v, v, v, v] for day, v in zip(days(), VALUES, strict=True)]
    frame = read(tmp_path, "Price,Open,Open,Close,Close\nTicker,AA,BB,AA,BB\n" + lines("Date,,,,", rows))
    assert frame.columns == ("Open AA", "Open BB", "Close AA", "Close BB")
    assert frame.date_column == "Date"
    units = read(tmp_path, "date,load,heat\n,MW,°C\n" + lines("", [[d, v, v] for d, v in zip(days(), VALUES)])[1:])  # noqa: B905
    assert units.columns == ("load", "heat")


@pytest.mark.parametrize(
    ("encoding", "name"), [("gbk", "温度"), ("cp1252", "température"), ("utf-16-le", "y"), ("utf-16", "é")]
)
def test_other_encodings_are_found(tmp_path: Path, encoding: str, name: str) -> None:
    content = lines(f"date,{name}", [*zip(days(), VALUES, strict=True)]).encode(encoding)
    frame = read(tmp_path, content)
    assert frame.columns == (name,)
    assert encoding == "utf-16" or f"read as {encoding}" in note(frame, "not written in UTF-8")


def test_an_encoding_can_be_named(tmp_path: Path) -> None:
    content = lines("date,ціна", [*zip(days(), VALUES, strict=True)]).encode("cp1251")
    assert read(tmp_path, content, encoding="cp1251").columns == ("ціна",)


def test_a_workbook_without_its_engine_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_engine(*arguments: object, **options: object) -> None:
        raise ImportError("no openpyxl")

    monkeypatch.setattr("pandas.ExcelFile", no_engine)
    assert "pip install openpyxl, or save it as CSV" in refusal(tmp_path, b"PK\x03\x04" + b"\0" * 100)


def test_typed_cells_of_other_files_are_read_like_a_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"date": pd.date_range("2023-12-20", periods=ROWS), "y": VALUES})
    monkeypatch.setattr("pandas.read_parquet", lambda file: table)
    frame = read(tmp_path, b"PAR1" + b"\0" * 100)
    assert (frame.values[:, 0].tolist(), following(frame)) == (VALUES, [NEXT])


# --- long files ---


def long_rows(names: Sequence[object] = ("b", "a")) -> list[list[object]]:
    return [[name, day, v + 10 * k] for k, name in enumerate(names) for day, v in zip(days(), VALUES, strict=True)]


@pytest.mark.parametrize("by_date", [False, True])
def test_a_long_file_becomes_a_column_for_each_series(tmp_path: Path, by_date: bool) -> None:
    rows = sorted(long_rows(), key=lambda row: row[1]) if by_date else long_rows()
    frame = read(tmp_path, lines("unique_id,ds,y", rows))
    assert frame.columns == ("b", "a")
    assert frame.values[:, 1].tolist() == [v + 10 for v in VALUES]
    assert "2 series, told apart by 'unique_id'" in note(frame, "it holds")
    assert f"series a: {ROWS} rows, 2023-12-20 00:00:00 to 2024-02-17 00:00:00" in frame.notes


def test_of_several_values_in_a_long_file_one_is_chosen(tmp_path: Path) -> None:
    content = lines("store,date,sales,price", [[*row, 2.5] for row in long_rows((1, 2))])
    said = refusal(tmp_path, content)
    assert "--columns or --target: sales, price" in said
    for options in ({"target": "sales"}, {"columns": ("sales",)}):
        frame = read(tmp_path, content, **options)
        assert frame.columns == ("store 1", "store 2")
        assert frame.values[0].tolist() == [VALUES[0], VALUES[0] + 10]


def test_the_series_of_a_long_file_can_be_named(tmp_path: Path) -> None:
    content = lines("date,region,shop,y", [[d, n, n + "!", v] for n, d, v in long_rows()])
    assert read(tmp_path, content).columns == ("b", "a")  # both columns say the same
    assert read(tmp_path, content, id_col="shop").columns == ("b!", "a!")
    assert "no column 'x' (--id_col)" in refusal(tmp_path, content, id_col="x")


def test_two_columns_may_tell_the_series_apart(tmp_path: Path) -> None:
    rows = [[n, k, d, v + k] for n, d, v in long_rows() for k in (1, 2)]
    for options in ({}, {"id_col": "shop,dept"}):
        frame = read(tmp_path, lines("shop,dept,date,y", rows), **options)
        assert frame.columns == ("b dept 1", "b dept 2", "a dept 1", "a dept 2")
        assert frame.values[0].tolist() == pytest.approx([VALUES[0] + k for k in (1, 2, 11, 12)])


def test_two_rows_of_one_series_and_date_are_refused(tmp_path: Path) -> None:
    rows = [*long_rows(), ["a", days()[3], 1.0]]
    assert "is a second row of 'a' with another value" in refusal(tmp_path, lines("id,date,y", rows), id_col="id")
