"""The real and the generated files of users: from file to forecast in one command, with right dates and values."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
from data_provider.reading import Reading, future_dates, read_frame, written_dates
from tests.helpers.places import DATASETS

USERS, AWKWARD = DATASETS / "users", DATASETS / "awkward"

pytestmark = pytest.mark.skipif(not USERS.is_dir(), reason=f"{USERS} is not there")

# What decides where a person has to: flags, the first date of the forecast, and columns to compare with the file.
FILES: dict[str, tuple[dict[str, object], str, list[str]]] = {
    "AirQualityUCI.csv": ({"missing": ("-200",), "fill": "linear"}, "2005-04-04 15:00:00", ["T", "RH"]),
    "FremontBridge.csv": ({}, "2013-12-25 21:00:00", ["Fremont Bridge Total"]),
    "ILINet.csv": ({}, "2022-10-16", ["% WEIGHTED ILI", "AGE 65"]),
    "Walmart_Store_sales.csv": ({"columns": ("Weekly_Sales",)}, "2012-11-02", []),
    "opsd_germany_daily.csv": ({}, "2018-01-01", ["Consumption"]),
    "seattle-weather.csv": ({}, "2016-01-01", ["temp_max", "wind"]),
    "stocks_long.csv": ({}, "2010-04-01", []),
    "uk_daily_flights.csv": ({}, "2022-01-24", ["Number of flights"]),
}


def cells(path: Path) -> list[dict[str, str]]:
    """The rows of a file, read without any of the project's code."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", FILES)
def test_what_was_read_is_what_the_file_says(name: str) -> None:
    options, following, columns = FILES[name]
    frame = read_frame(USERS / name, Reading(**options))
    assert written_dates(future_dates(frame.dates[-1], frame.frequency, 1)) == [following]
    rows = cells(USERS / name)
    for column in columns:
        c = frame.columns.index(column)
        known = np.ones(len(frame.rows), dtype=bool) if frame.filled is None else ~frame.filled[:, c]
        own = [float(rows[row][column]) for row in frame.rows[known]]
        assert own == frame.values[known, c].tolist()
        assert len(own) > 0.95 * len(rows)


def test_the_series_of_the_long_files_are_those_of_the_file() -> None:
    frame = read_frame(USERS / "Walmart_Store_sales.csv", Reading(columns=("Weekly_Sales",)))
    assert (frame.values.shape, frame.columns[6]) == ((143, 45), "Store 7")
    own = [float(row["Weekly_Sales"]) for row in cells(USERS / "Walmart_Store_sales.csv") if row["Store"] == "7"]
    assert frame.values[:, 6].tolist() == own
    frame = read_frame(USERS / "stocks_long.csv", Reading())
    assert "left out (begins late): GOOG" in frame.notes
    own = [float(row["price"]) for row in cells(USERS / "stocks_long.csv") if row["symbol"] == "IBM"]
    assert frame.values[:, frame.columns.index("IBM")].tolist() == own


@pytest.mark.pictures
@pytest.mark.parametrize("name", FILES)
def test_one_command_leads_from_the_file_to_a_forecast(name: str, workplace: Path) -> None:
    options, following, _ = FILES[name]
    texts = {name: value if isinstance(value, str) else ",".join(value) for name, value in options.items()}
    flags = [part for name, text in texts.items() for part in (f"--{name}", text)]
    small = ["--model", "DLinear", "--train_epochs", "1", "--device", "cpu", "--save_arrays", "0"]
    assert run.main(["--data_path", str(USERS / name), *flags, *small]) == 0
    (path,) = Path("results").glob("*/forecast.csv")
    table = pd.read_csv(path)
    assert table["date"].iloc[0] == following
    assert table["forecast"].notna().all()


def expected_of_awkward() -> dict[str, str]:
    return {
        "the-30th": "2023-01-30", "mid-month": "2023-01-15", "quarters": "2020Q1", "months-as-words": "Jan-18",
        "yyyymm": "201801", "utc-midnight-ny": "2022-05-18", "mon-sat": "2023-04-13", "trading-days": "2022-08-09",
        "yfinance": "2022-08-09", "long-by-id": "2023-07-20", "long-by-date": "2023-07-20",
        "newest-first": "2024-02-05",
        "broker-export": "2022-08-09", "jitter": "2023-01-01 01:06:40", "integer-steps": "401", "no-time": "401",
        "epoch-seconds": "2024-02-05", "date-and-time": "2006-12-17 00:04:00",
        "year-month-day-hour": "2004-03-27 10:00:00", "m-d-yy": "2024-02-05", "sep-line": "2024-02-05",
        "serial-dates": "2024-02-05", "thousands": "2024-02-05", "total-row": "2024-02-05", "one-spike": "2024-02-05",
        "late-and-empty-columns": "2024-02-05", "minus-9999": "2024-02-05", "unnamed-dates": "2024-02-05",
        "unnamed-counter": "2024-02-05", "words": "2024-02-05", "hour-24": "2023-01-17 17:00:00",
        "iso-weeks": "2023-W01", "parentheses": "2024-02-05", "gbk": "2024-02-05",
    }  # fmt: skip


@pytest.mark.parametrize("name", expected_of_awkward())
def test_an_awkward_file_is_read_to_its_right_end(name: str) -> None:
    frame = read_frame(AWKWARD / f"{name}.csv", Reading())
    assert written_dates(future_dates(frame.dates[-1], frame.frequency, 1), None, frame.form) == [
        expected_of_awkward()[name]
    ]


FIRST: dict[str, Callable[[list[dict[str, str]]], float]] = {
    "thousands": lambda rows: float(rows[0]["Sales"].replace(",", "")),
    "parentheses": lambda rows: -float(re.sub("[()]", "", rows[0]["Profit"])),
    "broker-export": lambda rows: float(rows[-1]["Price"].replace(",", "")),
}


@pytest.mark.parametrize("name", FIRST)
def test_the_first_number_is_that_of_the_file(name: str) -> None:
    frame = read_frame(AWKWARD / f"{name}.csv", Reading())
    assert frame.values[0, 0] == FIRST[name](cells(AWKWARD / f"{name}.csv"))
