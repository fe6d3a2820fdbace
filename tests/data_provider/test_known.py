"""Columns of the calendar and public holidays, as far as a step leaves something to tell."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_provider.config import DataConfig
from data_provider.factory import load_data
from data_provider.known import KnownColumns
from data_provider.many import load_many
from tests.conftest import WriteCsv
from utils.errors import UserError


def series(write_csv: WriteCsv, freq: str, rows: int = 300, **more: object) -> DataConfig:
    dates = pd.date_range("2020-12-20", periods=rows, freq=freq)
    path = write_csv(pd.DataFrame({"date": dates, "OT": np.arange(rows) % 7}), name=f"{freq}.csv")
    return DataConfig(data="custom", data_path=str(path), seq_len=8, pred_len=4, **more)


@pytest.mark.parametrize(
    ("freq", "names"),
    [
        ("15min", ["hour", "weekday", "month", "day of year"]),
        ("h", ["hour", "weekday", "month", "day of year"]),
        ("D", ["weekday", "month", "day of year"]),
        ("B", ["weekday", "month", "day of year"]),
        ("W", ["month", "day of year"]),
        ("MS", ["month"]),
        ("QS", ["month"]),
    ],
)
def test_a_calendar_has_the_columns_that_tell_rows_of_such_a_step_apart(
    write_csv: WriteCsv, freq: str, names: list[str]
) -> None:
    rows = 1500 if freq == "15min" else 300
    data = load_data(series(write_csv, freq, rows, calendar=1))
    assert list(data.known.names) == [f"calendar {name}" for name in names]
    assert data.series.known.shape == (rows, len(names))
    assert data.series.known.abs().max() <= 0.5
    assert all(column.unique().numel() > 1 for column in data.series.known.T)


def test_yearly_rows_and_rows_without_dates_have_no_calendar(write_csv: WriteCsv, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--calendar 1: .* it has a row every YS"):
        load_data(series(write_csv, "YS", rows=60, calendar=1))
    path = write_csv(pd.DataFrame({"OT": np.arange(300) % 7}), name="bare.csv")
    bare = DataConfig(data="custom", data_path=str(path), seq_len=8, pred_len=4, date_col="none", calendar=1)
    with pytest.raises(UserError, match="its rows have no dates"):
        load_data(bare)


@pytest.mark.parametrize("freq", ["D", "6h"])
def test_holidays_are_the_days_of_a_country(write_csv: WriteCsv, freq: str) -> None:
    pytest.importorskip("holidays")
    data = load_data(series(write_csv, freq, holidays="DE,US"))
    assert data.known.names == ("holidays DE", "holidays US")
    table = pd.DataFrame(data.series.known.numpy(), data.dates, ["DE", "US"])
    assert (table.loc["2020-12-25"] == 1).all(axis=None)
    assert (table.loc["2020-12-26", "DE"] == 1).all() and (table.loc["2020-12-26", "US"] == 0).all()
    assert (table.loc["2020-12-28"] == 0).all(axis=None)


def test_holidays_of_weeks_and_of_no_country_are_refused(write_csv: WriteCsv) -> None:
    pytest.importorskip("holidays")
    with pytest.raises(UserError, match="has no single days"):
        load_data(series(write_csv, "W", holidays="DE"))
    with pytest.raises(UserError, match="--holidays XX: the package holidays does not know 'XX'"):
        load_data(series(write_csv, "D", holidays="XX"))


def test_a_package_that_is_not_there_is_named(write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "holidays", None)
    with pytest.raises(UserError, match="python -m pip install holidays"):
        load_data(series(write_csv, "D", holidays="DE"))


def test_columns_of_zeros_and_ones_stay_and_constant_ones_are_named(write_csv: WriteCsv) -> None:
    config = series(write_csv, "D", future_cols="switch,same,other")
    table = pd.read_csv(config.data_path)
    table["switch"], table["same"], table["other"] = np.arange(300) % 2, 7.5, np.arange(300) * 2.0
    table.to_csv(config.data_path, index=False)
    data = load_data(config)
    assert data.series.known[:, 0].tolist() == table["switch"].tolist()
    assert not data.series.known[:, 1].any()
    training = data.series.known[:210, 2]
    assert training.mean().item() == pytest.approx(0, abs=1e-6)
    assert training.std(unbiased=False).item() == pytest.approx(1)
    assert [note for note in data.notes if "'same', known in advance, is constant" in note]
    assert KnownColumns.from_json(data.known.to_json()) == data.known


def test_a_known_value_beyond_all_measure_is_refused(write_csv: WriteCsv) -> None:
    config = series(write_csv, "D", future_cols="other")
    table = pd.read_csv(config.data_path).assign(other=np.arange(300) % 5.0)
    table.loc[250, "other"] = 1e30
    table.to_csv(config.data_path, index=False)
    with pytest.raises(UserError, match=r"column 'other', known in advance, 2021-08-27 .*1e.30 is more than"):
        load_data(config)


def test_the_calendar_is_that_of_the_local_clock_in_summer_and_in_winter(tmp_path: Path) -> None:
    pytest.importorskip("holidays")
    instants = pd.date_range("2024-03-20", periods=600, freq="h", tz="Europe/Berlin")
    path = tmp_path / "berlin.csv"
    pd.DataFrame({"date": instants.strftime("%Y-%m-%d %H:%M"), "OT": np.arange(600) % 24}).to_csv(path, index=False)
    config = DataConfig(
        data="custom", data_path=str(path), seq_len=8, pred_len=4, tz="Europe/Berlin", calendar=1, holidays="DE"
    )
    known = load_data(config).series.known
    assert known[:, 0].numpy() == pytest.approx(instants.hour / 24 - 0.5)
    easter = known[:, -1].numpy().astype(bool)
    assert set(instants[easter].strftime("%m-%d")) == {"03-29", "04-01"}
    assert easter.sum() == 2 * 24


def test_holidays_of_many_series_are_those_of_all_their_years(write_csv: WriteCsv) -> None:
    holidays = pytest.importorskip("holidays")
    series = {"late": pd.date_range("2021-06-01", periods=400), "early": pd.date_range("2019-06-01", periods=300)}
    parts = [
        pd.DataFrame({"store": name, "date": when, "OT": np.arange(len(when)) % 7}) for name, when in series.items()
    ]
    path = write_csv(pd.concat(parts), name="long.csv")
    config = DataConfig(data="custom", data_path=str(path), seq_len=8, pred_len=4, id_col="store", holidays="DE")
    known, days = load_many(config, seed=0).series.known, holidays.country_holidays("DE", years=range(2019, 2023))
    assert int(known.sum()) == sum(day in days for when in series.values() for day in when.date)


def test_extreme_values_and_codes_among_known_columns_are_noted_with_their_place(write_csv: WriteCsv) -> None:
    config = series(write_csv, "D", future_cols="heat,rain")
    random = np.random.default_rng(0)
    table = pd.read_csv(config.data_path).assign(heat=random.normal(size=300), rain=random.random(300))
    table.loc[40, "heat"] = 1e6
    table.loc[[50, 60], "rain"] = -999.0
    table.to_csv(config.data_path, index=False)
    notes = "\n".join(load_data(config).notes)
    assert "extreme: heat: 1 value(s), the farthest 1e+06 at 2021-01-29 (line 42); it is known in advance" in notes
    assert "-999 stands far outside of all other values in rain (2 times)" in notes
