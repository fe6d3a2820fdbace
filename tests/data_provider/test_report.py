"""The quality report of a file: every number of it by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_provider.config import DataConfig
from data_provider.factory import quality_report
from tests.conftest import WriteCsv, hourly_table
from utils.errors import UserError


def report(path: Path, **options: object) -> str:
    return "\n".join(
        quality_report(DataConfig(**{"data": "custom", "seq_len": 24, "pred_len": 8, **options}, data_path=str(path)))
    )


def test_a_sound_file_can_be_used_as_it_is(write_csv: WriteCsv) -> None:
    said = report(write_csv())
    for part in (
        "UTF-8, separated by commas, decimals with a point",
        "400 rows, 2024-01-01 00:00:00 to 2024-01-17 15:00:00 (column 'date')",
        "step h, 24 steps to a season",
        "3 column(s): c0, c1, OT",
        "no column is constant",
        "no column duplicates another",
        "no value lies more than 10",
        "no gaps in time, no missing values",
        "train: 280 rows, 249 windows of 24 -> 8",
        "val: 40 rows, 33 windows of 24 -> 8",
        "test: 80 rows, 73 windows of 24 -> 8",
    ):
        assert part in said
    assert said.endswith("The file can be used as it is.")


def test_everything_odd_is_listed_with_its_place(write_csv: WriteCsv) -> None:
    table = hourly_table()
    table["flat"], table["tiny"], table["twin"] = 3.0, 1e-200 * np.arange(len(table)), table["c0"]
    table.loc[50, "c1"] = 1e6
    table.loc[70:72, "OT"] = np.nan
    said = report(write_csv(table.drop(index=[10, 11, 90])))
    for part in (
        "3 step(s) of h are missing in 2 gap(s), the first after 2024-01-01 09:00:00 (line 11), 2024-01-04 17:00:00",
        "missing values in: OT (3)",
        "3 value(s) are missing in 1 column(s), the first in column 'OT', line 70",
        "constant: flat, tiny",
        "duplicates: twin (of c0)",
        "extreme: c1: 1 value(s), the farthest 1e+06 at 2024-01-03 02:00:00 (line 50)",
        "test: 80 rows",  # of the complete grid
    ):
        assert part in said
    assert said.endswith("The file can be used as it is.")
    assert "--fill auto (short gaps)" in report(write_csv(table.drop(index=[10])), fill="none").splitlines()[-1]


def test_rare_events_do_not_choke_on_a_spread_of_zero(write_csv: WriteCsv) -> None:
    table = hourly_table()
    table["OT"] = 0.0
    table.loc[[5, 300], "OT"] = 8.0
    assert "extreme: OT: 2 value(s), the farthest 8 at 2024-01-01 05:00:00 (line 7)" in report(write_csv(table))


def test_windows_that_do_not_fit_come_with_ones_that_do(write_csv: WriteCsv) -> None:
    path = write_csv()
    said = report(path, seq_len=96, pred_len=110)
    assert "val: 40 rows, 0 windows of 96 -> 110" in said
    assert "too short: --seq_len 96 --pred_len 40 would fit" in said
    assert "The file cannot be used as it is: " in said
    assert report(path, seq_len=96, pred_len=40).endswith("can be used as it is.")


def test_the_settings_it_proposes_fit(write_csv: WriteCsv) -> None:
    for rows in (12, 30, 100):
        path = write_csv(hourly_table(rows))
        said = report(path, seq_len=500, pred_len=500).split("--seq_len ")[1]
        seq_len, pred_len = int(said.split()[0]), int(said.split("--pred_len ")[1].split()[0])
        assert report(path, seq_len=seq_len, pred_len=pred_len).endswith("can be used as it is.")


def test_a_target_that_is_not_there_is_the_verdict(write_csv: WriteCsv) -> None:
    assert "has no column 'x' (--target)" in report(write_csv(), target="x").splitlines()[-1]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    pd.DataFrame({"date": pd.date_range("2024", periods=9), "a": "x"}).to_csv(path)
    with pytest.raises(UserError, match=r"words\.csv"):
        report(path)
