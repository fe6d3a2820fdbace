"""Clocks that are put forward and back: read with ``--tz``, refused without, offsets kept."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_provider.config import DataConfig
from data_provider.datasets import find_dataset
from data_provider.factory import quality_report
from data_provider.reading import (
    Frame,
    Reading,
    aware_dates,
    frame_from,
    future_dates,
    read_frame,
    written_dates,
)
from exp.flags import parse
from utils.errors import UserError

BERLIN = "Europe/Berlin"


def local(freq: str, zone: str, start: str, rows: int) -> pd.DatetimeIndex:
    """Dates of a logger whose clock is put forward and back."""
    return pd.date_range(start, periods=rows, freq=freq, tz=zone)


def table(dates: pd.DatetimeIndex | list[str]) -> pd.DataFrame:
    return pd.DataFrame({"date": np.asarray(dates, dtype=str), "a": np.arange(len(dates)) + 0.5})


def write(folder: Path, dates: pd.DatetimeIndex | list[str]) -> Path:
    table(dates).to_csv(folder / "file.csv", index=False)
    return folder / "file.csv"


def clock(dates: pd.DatetimeIndex) -> list[str]:
    """The dates as that logger writes them."""
    return dates.tz_localize(None).astype(str).tolist()


def after(frame: Frame, steps: int = 3) -> list[str]:
    future = future_dates(frame.dates[-1], frame.frequency, steps)
    return written_dates(aware_dates(future, frame.offset, frame.zone, frame.frequency), frame.offset)


LOCAL = {
    "forward": ("h", BERLIN, "2024-03-30 12:00", 40),
    "back": ("h", BERLIN, "2024-10-26 12:00", 40),
    "for years": ("h", BERLIN, "2022-01-01", 20_000),
    "quarter of an hour": ("15min", "America/New_York", "2024-11-03 00:00", 40),
    "of the south": ("h", "Australia/Sydney", "2023-09-01", 8_000),
    "at midnight": ("30min", "America/Havana", "2023-10-01", 9_000),
    "by half an hour": ("15min", "Australia/Lord_Howe", "2023-03-01", 9_000),
    "winter is the exception": ("10min", "Europe/Dublin", "2023-03-01", 40_000),
    "two hours apart": ("2h", BERLIN, "2017-09-03 05:00", 9_000),
    "never": ("h", "Asia/Tokyo", "2024-01-01", 9_000),
}


@pytest.mark.parametrize("name", LOCAL)
def test_a_local_clock_is_regular_in_its_time_zone(tmp_path: Path, name: str) -> None:
    freq, zone, start, rows = LOCAL[name]
    dates = local(freq, zone, start, rows + 3)
    frame = read_frame(write(tmp_path, clock(dates[:rows])), Reading(tz=zone))
    assert frame.frequency == freq
    assert len(frame.dates) == rows
    assert after(frame) == [date.isoformat(sep=" ") for date in dates[rows:]]
    assert frame.dates[-1] == dates[rows - 1].tz_localize(None)


@pytest.mark.parametrize("ends_at", ["2024-10-27 02:00+02:00", "2024-10-27 02:00+01:00"])
def test_a_file_may_end_in_either_of_the_repeated_hours(tmp_path: Path, ends_at: str) -> None:
    dates = pd.date_range(end=pd.Timestamp(ends_at).tz_convert(BERLIN), periods=60, freq="h")
    frame = read_frame(write(tmp_path, clock(dates)), Reading(tz=BERLIN))
    assert after(frame, 1) == [(dates[-1] + pd.Timedelta(hours=1)).isoformat(sep=" ")]


def test_a_repeated_hour_that_was_dropped_is_a_gap(tmp_path: Path) -> None:
    dates = list(dict.fromkeys(clock(local("h", BERLIN, "2024-03-01", 6_000))))
    path = write(tmp_path, dates)
    with pytest.raises(UserError, match=r"1 step\(s\) of h are missing .* after 2024-10-27 01:00"):
        read_frame(path, Reading(tz=BERLIN, fill="none"))
    assert len(read_frame(path, Reading(tz=BERLIN, fill="linear")).dates) == 6_000


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("back", r"put back at 2024-10-27 02:00:00 \(line 17\), as for daylight saving time"),
        ("for years", r"put back at 2022-10-30 02:00:00 \(line 7252\) and 1 more times"),
        ("quarter of an hour", r"put back at 2024-11-03 01:00:00 \(line 10\)"),
        ("of the south", r"put back at 2024-04-07 02:00:00 \(line 5260\)"),
        ("at midnight", r"put back at 2023-11-05 00:00:00 "),
    ],
)  # fmt: skip
def test_without_its_time_zone_it_is_refused_once_with_the_rows_and_the_remedy(
    tmp_path: Path, name: str, where: str
) -> None:
    path = write(tmp_path, clock(local(*LOCAL[name])))
    with pytest.raises(UserError, match=rf"column 'date': its clock seems to be {where}.*--tz Europe/Berlin") as raised:
        read_frame(path)
    assert str(raised.value).startswith(f"{path}, ")


def test_a_clock_put_forward_alone_is_a_gap_that_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 step\(s\) of h are missing .* If its clock was put forward .*--tz"):
        read_frame(write(tmp_path, clock(local(*LOCAL["forward"]))), Reading(fill="none"))


def test_a_gap_that_no_clock_makes_says_nothing_of_time_zones(tmp_path: Path) -> None:
    dates = [date for date in clock(local("h", "UTC", "2024-03-29", 90)) if date != "2024-03-31 12:00:00"]
    with pytest.raises(UserError, match=r"1 step\(s\) of h are missing") as raised:
        read_frame(write(tmp_path, dates), Reading(fill="none"))
    assert "--tz" not in str(raised.value)


@pytest.mark.parametrize(("start", "line"), [("2024-03-30", r"line 28 \(2024-03-31 02:00"), ("2024-10-26", "line 29")])
def test_a_clock_that_does_not_change_is_not_that_of_the_zone(tmp_path: Path, start: str, line: str) -> None:
    path = write(tmp_path, clock(local("h", "UTC", start, 60)))
    with pytest.raises(UserError, match=rf"{line}.*: the clock of Europe/Berlin \(--tz\) changes there"):
        read_frame(path, Reading(tz=BERLIN))
    assert after(read_frame(path, Reading(tz="UTC")), 1)[0].endswith("12:00:00+00:00")


def test_dates_with_offsets_are_converted_with_a_note(tmp_path: Path) -> None:
    dates = local("h", BERLIN, "2024-03-30 12:00", 43)
    frame = read_frame(write(tmp_path, dates[:40].tz_convert("UTC").astype(str)), Reading(tz=BERLIN))
    assert after(frame) == [date.isoformat(sep=" ") for date in dates[40:]]
    assert frame.notes[0] == "its dates have offsets; they are converted to Europe/Berlin"


def test_midnights_of_a_zone_in_utc_become_days(tmp_path: Path) -> None:
    days = local("D", "America/New_York", "2024-02-20", 60)
    path = write(tmp_path, days.tz_convert("UTC").astype(str))
    for reading in (Reading(), Reading(tz="America/New_York")):
        frame = read_frame(path, reading)
        assert (frame.frequency, after(frame, 1)) == ("D", ["2024-04-20"])
    assert "midnight of another time zone" in read_frame(path).notes[-1]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Jerusalem", "Pacific/Auckland", "America/Los_Angeles"])
def test_midnights_of_any_zone_in_utc_become_its_days(tmp_path: Path, zone: str) -> None:
    days = local("D", zone, "2023-01-10", 400)
    frame = read_frame(write(tmp_path, days.tz_convert("UTC").tz_localize(None).astype(str)))
    assert list(frame.dates) == list(days.tz_localize(None))


def test_a_forecast_over_a_change_of_the_clock_is_written_in_local_time(tmp_path: Path) -> None:
    dates = local("h", BERLIN, "2024-10-20", 7 * 24)
    assert after(read_frame(write(tmp_path, clock(dates)), Reading(tz=BERLIN)), 4) == [
        "2024-10-27 00:00:00+02:00", "2024-10-27 01:00:00+02:00", "2024-10-27 02:00:00+02:00",
        "2024-10-27 02:00:00+01:00",
    ]  # fmt: skip


@pytest.mark.parametrize("freq", ["D", "B", "W-SUN", "MS", "QE-DEC"])
def test_days_and_longer_steps_need_no_time_zone(tmp_path: Path, freq: str) -> None:
    path = write(tmp_path, pd.date_range("2020-01-01", periods=60, freq=freq).strftime("%Y-%m-%d").tolist())
    frame, plain = read_frame(path, Reading(tz=BERLIN)), read_frame(path)
    assert frame.notes == ("no effect: --tz Europe/Berlin, because the rows are days or longer apart",)
    assert after(frame) == after(plain)


def test_a_pandas_table_keeps_a_time_zone_of_its_own() -> None:
    dates = local("h", BERLIN, "2024-03-30", 40)
    own = pd.DataFrame({"a": np.arange(40.0)}, index=dates)
    assert str(frame_from(own, Reading(tz="Asia/Tokyo")).zone) == BERLIN
    naive = frame_from(own.set_axis(dates.tz_localize(None)), Reading(tz=BERLIN))
    assert (str(naive.zone), naive.offset, len(naive.dates)) == (BERLIN, "+02:00", 40)


@pytest.mark.parametrize("tz", ["", "Europe", "europe/berlin", "Berlin", "+02:00", "../zone", "a\0b", "x" * 300])
def test_an_unknown_time_zone_is_refused_by_the_flag(tz: str) -> None:
    with pytest.raises(UserError, match=r"^--tz .*: choose a time zone like Europe/Berlin"):
        Reading(tz=tz)
    with pytest.raises(UserError, match=r"^--tz .*: choose a time zone like Europe/Berlin"):
        parse(["--tz", tz])


def test_the_report_reads_the_file_in_its_time_zone(tmp_path: Path) -> None:
    path = write(tmp_path, clock(local("h", BERLIN, "2024-03-01", 6_000)))
    said = quality_report(DataConfig("custom", 24, 8, data_path=str(path), tz=BERLIN))
    assert "(column 'date', at +01:00 from UTC)" in said[1]
    assert said[-1] == "The file can be used as it is."


def test_a_run_is_named_after_its_time_zone_only_if_it_has_one(tmp_path: Path) -> None:
    path = str(write(tmp_path, clock(local("h", BERLIN, "2024-03-01", 60))))
    plain, named = (DataConfig("custom", 8, 4, data_path=path, tz=tz) for tz in (None, BERLIN))
    assert plain.identity() != named.identity()
    assert DataConfig.from_identity(named.identity()).tz == BERLIN
    assert Reading.of(named, find_dataset("custom")).tz == BERLIN
