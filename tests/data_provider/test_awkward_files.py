"""Files as people have them: each is read as it is meant, or refused with the place; nothing is guessed in silence."""
# ruff: noqa: E501 (a file a line)

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_provider.config import DataConfig
from data_provider.factory import quality_report
from data_provider.reading import Frame, Reading, frame_from, future_dates, read_frame, written_dates
from utils.errors import UserError

ROWS = 40


QUARTER = pd.DatetimeIndex(
    ["2021-01-01", "2021-04-01", "2021-07-01"], freq="infer"
).freqstr  # anchors differ by release


def text(dates: list[str], values: list[object] | None = None, separator: str = ",", name: str = "date") -> str:
    values = [float(i) + 0.5 for i in range(len(dates))] if values is None else values
    return f"{name}{separator}a\n" + "".join(f"{d}{separator}{v}\n" for d, v in zip(dates, values, strict=True))


def every(freq: str, start: str = "2024-01-01", form: str = "%Y-%m-%d %H:%M:%S", rows: int = ROWS) -> list[str]:
    return pd.date_range(start, periods=rows, freq=freq).strftime(form).tolist()


def aware(freq: str, zone: str, start: str, rows: int = ROWS) -> list[str]:
    return pd.date_range(start, periods=rows, freq=freq, tz=zone).astype(str).tolist()


def without(dates: list[str], *rows: int) -> list[str]:
    return [date for i, date in enumerate(dates) if i not in rows]


DAYS, HOURS = every("D", form="%Y-%m-%d"), every("h")
COMMA = [f"{i},25" for i in range(ROWS)]

# name -> bytes, step, the three dates after the end as they are written
GOOD: dict[str, tuple[str | bytes, str, list[str]]] = {
    "hourly": (text(HOURS), "h", ["2024-01-02 16:00:00", "2024-01-02 17:00:00", "2024-01-02 18:00:00"]),
    "quarter of an hour": (text(every("15min")), "15min", ["2024-01-01 10:00:00", "2024-01-01 10:15:00", "2024-01-01 10:30:00"]),
    "daily": (text(DAYS), "D", ["2024-02-10", "2024-02-11", "2024-02-12"]),
    "business days": (text(every("B", form="%Y-%m-%d")), "B", ["2024-02-26", "2024-02-27", "2024-02-28"]),
    "weekly": (text(every("W-WED", form="%Y-%m-%d")), "W-WED", ["2024-10-09", "2024-10-16", "2024-10-23"]),
    "month starts": (text(every("MS", form="%Y-%m-%d")), "MS", ["2027-05-01", "2027-06-01", "2027-07-01"]),
    "month ends": (text(every("ME", form="%Y-%m-%d")), "ME", ["2027-05-31", "2027-06-30", "2027-07-31"]),
    "quarters": (text(every("QS", form="%Y-%m-%d")), QUARTER, ["2034-01-01", "2034-04-01", "2034-07-01"]),
    "quarter ends": (text(every("QE", form="%Y-%m-%d")), "QE-DEC", ["2034-03-31", "2034-06-30", "2034-09-30"]),
    "years": (text(every("YS", "1980-01-01", "%Y")), "YS-JAN", ["2020-01-01", "2021-01-01", "2022-01-01"]),
    "days without separators": (text(every("D", form="%Y%m%d")), "D", ["2024-02-10", "2024-02-11", "2024-02-12"]),
    "day first": (text(every("D", form="%d/%m/%Y")), "D", ["2024-02-10", "2024-02-11", "2024-02-12"]),
    "month first": (text(every("D", form="%m/%d/%Y")), "D", ["2024-02-10", "2024-02-11", "2024-02-12"]),
    "points between": (text(every("h", form="%d.%m.%Y %H:%M")), "h", HOURS_AFTER := ["2024-01-02 16:00:00", "2024-01-02 17:00:00", "2024-01-02 18:00:00"]),
    "afternoon": (text(every("h", form="%m/%d/%Y %I:%M %p", start="2024-01-13")), "h", ["2024-01-14 16:00:00", "2024-01-14 17:00:00", "2024-01-14 18:00:00"]),
    "semicolons": (text(HOURS, separator=";"), "h", HOURS_AFTER),
    "semicolons at line ends": (text(HOURS, separator=";").replace("\n", ";\n"), "h", HOURS_AFTER),
    "semicolons at the ends of rows alone": (text(HOURS, separator=";").replace("5\n", "5;\n"), "h", HOURS_AFTER),
    "tabs": (text(HOURS, separator="\t"), "h", HOURS_AFTER),
    "bars": (text(HOURS, separator="|"), "h", HOURS_AFTER),
    "UTF-16": (text(HOURS).encode("utf-16"), "h", HOURS_AFTER),
    "UTF-32": (text(HOURS).encode("utf-32"), "h", HOURS_AFTER),
    "gzip": (gzip.compress(text(HOURS).encode()), "h", HOURS_AFTER),
    "quoted everything": ("".join(",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text(HOURS).splitlines()), "h", HOURS_AFTER),
    "spaces around": (text(HOURS).replace(",", " , "), "h", HOURS_AFTER),
    "another name": (text(HOURS, name="when"), "h", HOURS_AFTER),
    "capital date": (text(HOURS, name="Date"), "h", HOURS_AFTER),
    "decimal comma": (text(HOURS, COMMA, ";"), "h", HOURS_AFTER),
    "decimal comma in tabs": (text(HOURS, COMMA, "\t"), "h", HOURS_AFTER),
    "decimal comma in quotes": (text(HOURS, [f'"{cell}"' for cell in COMMA]), "h", HOURS_AFTER),
    "one sure decimal comma": (text(HOURS, ["0,5", *(["1,234"] * (ROWS - 1))], ";"), "h", HOURS_AFTER),
    "offset": (text([f"{hour}+02:00" for hour in HOURS]), "h", [f"{hour}+02:00" for hour in HOURS_AFTER]),
    "Z": (text([f"{hour.replace(' ', 'T')}Z" for hour in HOURS]), "h", [f"{hour}Z" for hour in HOURS_AFTER]),
    "offset of five hours behind": (text([f"{hour}-0500" for hour in HOURS]), "h", [f"{hour}-05:00" for hour in HOURS_AFTER]),
    "offsets that change, hourly": (text(aware("h", "Europe/Berlin", "2024-03-30 12:00")), "h", ["2024-04-01 05:00:00+02:00", "2024-04-01 06:00:00+02:00", "2024-04-01 07:00:00+02:00"]),
    "offsets that change back": (text(aware("h", "America/New_York", "2024-11-02 12:00")), "h", ["2024-11-04 03:00:00-05:00", "2024-11-04 04:00:00-05:00", "2024-11-04 05:00:00-05:00"]),
    "offsets that change, daily": (text(aware("D", "Europe/Berlin", "2024-03-10")), "D", ["2024-04-19", "2024-04-20", "2024-04-21"]),
    "offsets that change, quarter of an hour": (text(aware("15min", "Europe/Berlin", "2024-03-31 00:00")), "15min", ["2024-03-31 11:00:00+02:00", "2024-03-31 11:15:00+02:00", "2024-03-31 11:30:00+02:00"]),
    "offsets without colons": (text([f"{day}T{hour:02}00+0{1 if i < 26 else 2}00" for i, (day, hour) in enumerate([("20240330", h) for h in range(24)] + [("20240331", h) for h in (0, 1, *range(3, 17))])]), "h", ["2024-03-31 17:00:00+02:00", "2024-03-31 18:00:00+02:00", "2024-03-31 19:00:00+02:00"]),
    "Z behind the hour": (text([f"{hour[:13]}Z" for hour in HOURS]), "h", [f"{hour}Z" for hour in HOURS_AFTER]),
}  # fmt: skip


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def after(frame: Frame) -> list[str]:
    return written_dates(future_dates(frame.dates[-1], frame.frequency, 3), frame.offset)


@pytest.mark.parametrize("name", GOOD)
def test_it_is_read_as_it_is_meant(tmp_path: Path, name: str) -> None:
    content, frequency, expected = GOOD[name]
    frame = read_frame(write(tmp_path, content))
    assert frame.frequency == frequency
    assert after(frame) == expected
    assert frame.columns == ("a",)
    assert (np.diff(frame.dates.to_numpy()) > np.timedelta64(0)).all()
    if "comma" in name and "sure" not in name:
        np.testing.assert_allclose(frame.values[:, 0], np.arange(ROWS) + 0.25)
    elif "sure" in name:
        np.testing.assert_allclose(frame.values[:2, 0], [0.5, 1.234])
    else:
        np.testing.assert_allclose(frame.values[:, 0], np.arange(len(frame.values)) + 0.5)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("another name", "there is no column 'date': the dates are taken from 'when'"),
        ("offsets that change, hourly", "its offsets from UTC change; all dates are shown at that of the last row, +02:00"),
        ("offsets that change, daily", "the dates are taken from the calendar"),
    ],
)  # fmt: skip
def test_what_was_decided_is_said(tmp_path: Path, name: str, note: str) -> None:
    (said,) = read_frame(write(tmp_path, GOOD[name][0])).notes
    assert note in said


def test_rows_over_a_change_of_the_clock_are_an_hour_apart(tmp_path: Path) -> None:
    for name in ("offsets that change, hourly", "offsets that change back"):
        frame = read_frame(write(tmp_path, GOOD[name][0]))
        assert set(np.diff(frame.dates.to_numpy())) == {np.timedelta64(1, "h")}


# name -> content, what the message says
BAD: dict[str, tuple[str | bytes, str]] = {
    "gap in days": (text(without(DAYS, 10, 11, 20)), r"3 step\(s\) of D are missing in 2 gap\(s\), the first after 2024-01-10 00:00:00 \(line 11\), 2024-01-20 00:00:00 \(line 19\)"),
    "gap in hours": (text(without(HOURS, 30)), r"1 step\(s\) of h are missing in 1 gap\(s\), the first after 2024-01-02 05:00:00 \(line 31\)"),
    "gap in business days": (text(without(every("B", form="%Y-%m-%d"), 7, 8, 9, 10, 11, 12)), r"6 step\(s\) of B are missing .* \(line 8\)"),
    "gap in weeks": (text(without(every("W-TUE", form="%Y-%m-%d"), 5)), r"1 step\(s\) of W-TUE are missing"),
    "gap in months": (text(without(every("MS", form="%Y-%m-%d"), 5)), r"1 step\(s\) of MS are missing"),
    "gap in month ends": (text(without(every("ME", form="%Y-%m-%d"), 5, 6)), r"2 step\(s\) of ME are missing in 1 gap"),
    "gap in quarters": (text(without(every("QE", form="%Y-%m-%d"), 5)), r"1 step\(s\) of QE-DEC are missing"),
    "gap in years": (text(without(every("YS", "1980-01-01", "%Y"), 5)), r"1 step\(s\) of YS-JAN are missing"),
    "gap in third Fridays": (text(without(every("WOM-3FRI", form="%Y-%m-%d"), 5)), r"1 step\(s\) of WOM-3FRI are missing"),
    "missing hour on a Saturday": (text(without(every("h", "2024-03-30"), 2)), r"1 step\(s\) of h are missing"),
    "missing hour on a Sunday in March when no clock is changed": (text(without(every("h", "2024-03-17"), 3)), r"1 step\(s\) of h are missing"),
    "missing hour on a Sunday in June": (text(without(every("h", "2024-06-02"), 2)), r"1 step\(s\) of h are missing"),
    "missing value": (text(HOURS, ["" if i == 7 else i for i in range(ROWS)]), r"1 value\(s\) are missing in 1 column\(s\), the first in column 'a', line 9 \(2024-01-01 07:00:00\).*--fill"),
    "irregular": (text([*HOURS[:20], "2024-01-01 20:30:00", *HOURS[21:]]), r"no regular step: .* line 22 \(2024-01-01 20:30:00\).*--freq rows"),
    "duplicate": (text([*DAYS[:20], DAYS[19], *DAYS[21:]]), r"line 22 \(2024-01-20 00:00:00\) is a duplicate with other values, .*--duplicates mean\|first\|last"),
    "repeated hour on a Wednesday": (text(sorted([*HOURS[:39], "2024-01-02 02:00:00"])), r"is a duplicate"),
    "no date in a row": (text([*DAYS[:10], "", *DAYS[11:]]), r"column 'date', line 12: the date is missing"),
    "a date that is none": (text([*DAYS[:10], "2024-02-30", *DAYS[11:]]), r"column 'date', line 12: '2024-02-30' is no date"),
    "more fields in all rows": ("date;a\n" + "".join(f"{hour};1;234\n" for hour in HOURS), r"line 2: it has 3 fields, but the header names 2"),
    "a second header": (text(DAYS[:20]) + "date,a\n" + "".join(text(DAYS[20:]).splitlines(True)[1:]), r"line 22"),
    "two decimal marks": (text(HOURS, ["1,5", *["1.5"] * (ROWS - 1)], ";"), r"'1,5' in column 'a', line 2, '1\.5' in column 'a', line 3"),
    "units": (text(HOURS, ["5 kg"] * ROWS), r"line 2: '5 kg' is not a number: leave out units"),
    "words": (text(HOURS, ["low", "high"] * (ROWS // 2)), r"line 2: 'low' is not a number; 40 cell"),
    "infinity": (text(HOURS, ["inf"] * ROWS), r"line 2: inf is infinite"),
    "out of proportion": (text(HOURS, ["1e200"] * ROWS), r"line 2: 1e\+200 is too large"),
    "hexadecimal": (text(HOURS, ["0x1F"] * ROWS), r"'0x1F' is not a number"),
    "an Excel workbook": (b"PK\x03\x04" + b"\0" * 100, r"is an Excel workbook or a zip archive; to read it the package openpyxl is needed|that cannot be read"),
    "a Parquet file": (b"PAR1" + b"\0" * 100, r"is a Parquet file; to read it the package pyarrow is needed|that cannot be read"),
    "a cut archive": (gzip.compress(text(HOURS).encode())[:60], r"is not a readable CSV file"),
    "an archive of an archive": (gzip.compress(b"PK\x03\x04" + b"\0" * 50), r"zip archive"),
    "a page of the web": ("<!DOCTYPE html>\n<html><body>404</body></html>\n", r"has no column 'date'"),
    "nothing": ("", r"is empty"),
    "no header": (text(HOURS).split("\n", 1)[1], r"line 1: '2024-01-01 00:00:00' is a date, no name; the first line has to name"),
    "a header alone": ("date,a\n", r"has a header but no rows"),
    "dates alone": ("date\n2024-01-01\n", r"has no column beside 'date'"),
    "a name twice": ("date,a,a\n2024-01-01,1,2\n", r"more than one column called 'a'"),
    "a line too long": (text(DAYS) + "2024-02-10,1,2,3\n", r"line 42: it has 4 fields, but the header names 2"),
    "an open quote": (text(DAYS) + '2024-02-10,"1\n', r"a quote in line 42 is never closed"),
}  # fmt: skip


def test_there_are_enough_kinds() -> None:
    assert len(GOOD) + len(BAD) >= 75


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_with_the_place(tmp_path: Path, name: str) -> None:
    content, expected = BAD[name]
    path = write(tmp_path, content)
    with pytest.raises(UserError, match=expected) as raised:
        read_frame(path, Reading(fill="none"))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


# --- filling ---


@pytest.mark.parametrize(
    ("fill", "values"), [("linear", [0.5, 0.5 + 4 / 3, 0.5 + 8 / 3, 4.5]), ("ffill", [0.5, 0.5, 0.5, 4.5])]
)
def test_gaps_and_missing_values_are_filled_and_marked(tmp_path: Path, fill: str, values: list[float]) -> None:
    path = write(tmp_path, text(without(DAYS, 2), [0.5, "", *(i + 0.5 for i in range(4, 41))]))
    frame = read_frame(path, Reading(fill=fill))
    np.testing.assert_allclose(frame.values[:4, 0], values)
    assert frame.filled[:, 0].tolist() == [False, True, True, *[False] * 37]
    (note,) = frame.notes
    assert note.startswith(f"filled ({fill}), and not scored: 1 step(s) of D are missing")
    assert "1 value(s) are missing" in note


def test_messages_name_the_line_of_the_file_though_rows_were_filled_in(tmp_path: Path) -> None:
    frame = read_frame(write(tmp_path, text(without(DAYS, 2))), Reading(fill="linear"))
    far = np.zeros((40, 1))
    far[20] = 1e16
    with pytest.raises(UserError, match="column 'a', line 21: "):
        frame.check_distance(far)


@pytest.mark.parametrize(
    ("dates", "frequency", "following"),
    [
        (["2021", "2022", "2024"], "YS-JAN", "2025-01-01"),
        (["2020-12-31", "2021-12-31", "2023-12-31"], "YE-DEC", "2024-12-31"),
        (["2021-04-01", "2021-06-01", "2021-08-01", "2021-12-01"], "2MS", "2022-02-01"),
        (["2020-10-01", "2021-04-01", "2021-07-01"], QUARTER, "2021-10-01"),
        (["2021-09-30", "2022-03-31", "2022-06-30"], "QE-DEC", "2022-09-30"),
        (["2024-01-01", "2024-02-01"], "MS", "2024-03-01"),
        (["2023-12-31", "2024-12-31"], "YE-DEC", "2025-12-31"),
        (every("YS", "2000-01-01", rows=6) + every("YS", "2007-01-01", rows=14), "YS-JAN", "2021-01-01"),
    ],
)
def test_few_rows_with_a_gap_follow_the_calendar(
    tmp_path: Path, dates: list[str], frequency: str, following: str
) -> None:
    frame = read_frame(write(tmp_path, text(dates)), Reading(fill="linear"))
    assert (frame.frequency, after(frame)[0]) == (frequency, following)


@pytest.mark.parametrize(("freq", "gap"), [("D", 3), ("B", 4), ("MS", 2), ("W-SUN", 1)])
def test_a_gap_in_days_with_a_time_zone_is_a_gap_of_days(freq: str, gap: int) -> None:
    dates = pd.date_range("2024-03-20", periods=10, freq=freq, tz="Europe/Berlin").delete(gap)
    frame = frame_from(pd.DataFrame({"a": np.arange(9.0)}, index=dates), Reading(fill="linear", freq=freq))
    assert (frame.frequency, len(frame.dates)) == (freq, 10)


# --- the step as the user names it ---


@pytest.mark.parametrize(
    ("step", "rows", "freq", "frequency", "notes"),
    [
        ("B", 5, None, "D", ()),  # Monday to Friday
        ("B", 5, "B", "B", ()),
        ("15min", ROWS, "h", "15min", ("--freq h does not fit the dates, whose step is 15min; the dates decide",)),
        ("W-WED", ROWS, "W", "W-WED", ()),  # a week has the day of the dates, whatever day the name means
    ],
)
def test_the_named_step_decides_where_the_dates_allow_it(
    tmp_path: Path, step: str, rows: int, freq: str | None, frequency: str, notes: tuple[str, ...]
) -> None:
    frame = read_frame(write(tmp_path, text(every(step, rows=rows))), Reading(freq=freq))
    assert (frame.frequency, frame.notes) == (frequency, notes)


# --- columns ---


def test_only_the_columns_asked_for_are_read_in_their_order(tmp_path: Path) -> None:
    content = "a,date,note,b\n" + "".join(f"{i},{day},rain,{2 * i}\n" for i, day in enumerate(DAYS))
    frame = read_frame(write(tmp_path, content), Reading(columns=("b", "a"), trained=True))
    assert frame.columns == ("b", "a")
    assert frame.values[3].tolist() == [6.0, 3.0]
    assert frame.notes == (
        "ignored, as not known from training: note",
        "its columns are put in the order of training",
    )
    with pytest.raises(UserError, match=r"lacks the column 'c' .* its columns are a, note, b"):
        read_frame(tmp_path / "file.csv", Reading(columns=("b", "c"), trained=True))


def test_the_column_of_dates_can_be_named(tmp_path: Path) -> None:
    content = "date,when,a\n" + "".join(f"x,{day},{i}\n" for i, day in enumerate(DAYS))
    frame = read_frame(write(tmp_path, content), Reading(date_col="when", columns=("a",)))
    assert (frame.date_column, len(frame.dates)) == ("when", 40)
    with pytest.raises(UserError, match=r"no column 'time' \(--date_col\); its columns are date, when, a"):
        read_frame(tmp_path / "file.csv", Reading(date_col="time"))


# --- pandas tables ---


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=ROWS, freq="h"), "a": np.arange(ROWS), **columns})


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t,
        lambda t: t.set_index("date"),
        lambda t: t.set_index("date").rename_axis(None),
        lambda t: t.set_index("date").rename_axis("a"),
        lambda t: t.rename(columns={"date": "when"}),
        lambda t: t.assign(date=t["date"].astype(str)),
        lambda t: t.astype({"a": "Int64"}),
        lambda t: t.astype({"a": "float32"}),
        lambda t: t.astype({"a": object}),
        lambda t: t.astype({"a": str}),
        lambda t: t.set_axis(range(100, 100 + ROWS)),
    ],
)
def test_a_pandas_table_is_read_in_any_form(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    given = change(table())
    before = given.copy(deep=True)
    frame = frame_from(given)
    pd.testing.assert_frame_equal(given, before)
    assert (frame.columns, frame.frequency) == (("a",), "h")
    assert frame.values[:, 0].tolist() == list(range(ROWS))
    assert frame.dates[0] == pd.Timestamp("2024-01-01")


def test_a_pandas_table_with_a_time_zone_is_brought_on_one_clock() -> None:
    dates = pd.date_range("2024-03-30 12:00", periods=ROWS, freq="h", tz="Europe/Berlin")
    frame = frame_from(table().assign(date=dates))
    assert (frame.offset, frame.dates[-1]) == ("+02:00", pd.Timestamp("2024-04-01 04:00"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(index=[5]), r"the table: 1 step\(s\) of h are missing .* \(row 4\)"),
        (lambda t: t.assign(a=t["a"].where(t["a"] != 7)), r"the first in column 'a', row 7"),
        (lambda t: t.assign(a="x"), r"the table, column 'a', row 0: 'x' is not a number"),
        (lambda t: t.assign(a=1j), r"the table, column 'a', row 0: 1j is not a number"),
        (lambda t: t[["date"]], r"no column beside 'date'"),
        (lambda t: t.head(0), r"has no rows"),
        (lambda t: t[[]], r"has no column: there is nothing to forecast"),
        (lambda t: pd.concat([t, t["a"]], axis=1), r"more than one column called 'a'"),
    ],
)
def test_a_pandas_table_is_refused_with_the_row(change: Callable[[pd.DataFrame], pd.DataFrame], message: str) -> None:
    with pytest.raises(UserError, match=message):
        frame_from(change(table()), Reading(fill="none"))


# --- anything at all ---


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode), st.sampled_from([*GOOD, *BAD])))
def test_whatever_the_bytes_there_is_a_frame_or_a_message(tmp_path: Path, content: bytes | str) -> None:
    if isinstance(content, str):
        content = (GOOD.get(content) or BAD[content])[0]
    path = write(tmp_path, content)
    for read in (read_frame, lambda path: quality_report(DataConfig("custom", 8, 4, data_path=str(path)))):
        try:
            read(path)
        except UserError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)


def test_the_bytes_of_a_csv_made_by_pandas_come_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(ROWS, 3)) * [1e-9, 1, 1e12]
    content = io.StringIO()
    pd.DataFrame(values, index=pd.date_range("2024", periods=ROWS, name="date"), columns=list("abc")).to_csv(content)
    np.testing.assert_array_equal(read_frame(write(tmp_path, content.getvalue())).values, values)
