"""From a file to standardised windows: channels, scaler, limits, places of files, baselines."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_provider.config import DataConfig
from data_provider.factory import ForecastData, load_data
from tests.conftest import WriteCsv, hourly_table
from utils.errors import UserError


def load(path: Path, **options: object) -> ForecastData:
    return load_data(DataConfig(**{"data": "custom", "seq_len": 8, "pred_len": 4, "data_path": str(path), **options}))


# --- channels ---


@pytest.mark.parametrize(
    ("features", "target", "columns", "scored"),
    [
        ("M", "OT", ("c0", "c1", "OT"), ("c0", "c1", "OT")),
        ("M", "c0", ("c1", "OT", "c0"), ("c1", "OT", "c0")),
        ("MS", "OT", ("c0", "c1", "OT"), ("OT",)),
        ("MS", "c1", ("c0", "OT", "c1"), ("c1",)),
        ("S", "c0", ("c0",), ("c0",)),
    ],
)
def test_features_choose_the_channels_and_the_target_comes_last(
    write_csv: WriteCsv, features: str, target: str, columns: tuple[str, ...], scored: tuple[str, ...]
) -> None:
    data = load(write_csv(), features=features, target=target)
    assert data.columns == columns
    assert data.scored_columns == scored
    original = data.series.values * data.scaler.scale_ + data.scaler.mean_
    np.testing.assert_allclose(original, hourly_table()[list(columns)].to_numpy(), rtol=1e-12)


def test_a_missing_target_is_refused_with_the_columns_there_are(write_csv: WriteCsv) -> None:
    with pytest.raises(UserError, match=r"data\.csv has no column 'x' \(--target\); its columns are c0, c1, OT\."):
        load(write_csv(), target="x")


# --- scaler ---


@pytest.mark.parametrize("percent", [100, 50, 20])
def test_the_scaler_is_fitted_on_the_full_training_split_also_when_few_shot(write_csv: WriteCsv, percent: int) -> None:
    table = hourly_table()
    training = table[["c0", "c1", "OT"]].to_numpy()[:280]
    data = load(write_csv(table), percent=percent)
    np.testing.assert_allclose(data.scaler.mean_, training.mean(0), rtol=1e-12)
    np.testing.assert_allclose(data.scaler.scale_, training.std(0), rtol=1e-12)
    np.testing.assert_allclose(data.series.values[:280].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(data.series.values[:280].std(0), 1, rtol=1e-12)


def test_rows_after_the_training_split_do_not_move_the_scaler(write_csv: WriteCsv) -> None:
    table = hourly_table()
    table.loc[280:, "OT"] += 1000
    changed, plain = load(write_csv(table, name="changed.csv")), load(write_csv())
    np.testing.assert_array_equal(changed.scaler.mean_, plain.scaler.mean_)
    np.testing.assert_array_equal(changed.scaler.scale_, plain.scaler.scale_)


@pytest.mark.parametrize("value", [0.0, 5.0, 1e30, -0.1])
def test_a_constant_channel_is_allowed_with_a_note(write_csv: WriteCsv, value: float) -> None:
    table = hourly_table()
    table["c0"] = value
    data = load(write_csv(table))
    assert data.notes == ("column 'c0' is constant over the training rows; it is forecast all the same",)
    assert np.isfinite(data.series.values).all()
    assert np.isfinite(data.scaler.scale_).all()
    np.testing.assert_allclose(data.series.values[:, 0], 0, atol=1e-9)


@pytest.mark.parametrize(("center", "spread"), [(0.0, 1e-200), (1e12, 5e-4)])
def test_a_channel_that_varies_too_little_is_allowed_with_a_note(
    write_csv: WriteCsv, center: float, spread: float
) -> None:
    data = load(write_csv(hourly_table().assign(c0=center + spread * np.arange(400))))
    assert data.notes == (
        "column 'c0' varies too little to be standardised over the training rows; it is forecast all the same",
    )
    assert np.isfinite(data.series.values).all()


@pytest.mark.parametrize("magnitude", [1e-12, 1e12, 1e90])
def test_the_size_of_the_numbers_makes_no_difference(write_csv: WriteCsv, magnitude: float) -> None:
    table = hourly_table()
    plain = load(write_csv(table))
    table[["c0", "c1", "OT"]] *= magnitude
    scaled = load(write_csv(table, name="scaled.csv"))
    np.testing.assert_allclose(scaled.series.values, plain.series.values, atol=1e-9)


@pytest.mark.parametrize("value", [1e17, -1e17, 1e50])
def test_a_value_far_from_the_training_rows_is_refused_with_its_place(write_csv: WriteCsv, value: float) -> None:
    table = hourly_table()
    table.loc[390, "c1"] = value
    with pytest.raises(UserError, match=r"data\.csv, column 'c1', line 392: .* training standard deviations"):
        load(write_csv(table))


def test_the_line_of_a_far_value_counts_the_lines_of_the_header(write_csv: WriteCsv) -> None:
    table = hourly_table().rename(columns={"c0": "two\nlines"})
    table.loc[390, "c1"] = 1e50
    with pytest.raises(UserError, match="column 'c1', line 393"):
        load(write_csv(table))


@pytest.mark.parametrize("rows", [1, 2, 5, 20])
def test_too_few_rows_are_refused(write_csv: WriteCsv, rows: int) -> None:
    with pytest.raises(UserError, match=r"data\.csv.*(too few to split|the (train|val|test) split has)"):
        load(write_csv(rows=rows))


# --- frequency and notes ---


def at_steps_of(freq: str) -> pd.DataFrame:
    table = hourly_table()
    table["date"] = pd.date_range("2024-01-01", periods=len(table), freq=freq)
    return table


@pytest.mark.parametrize("freq", [None, "h", "H", "60min"])
def test_the_frequency_is_inferred_and_another_name_of_it_is_fine(write_csv: WriteCsv, freq: str | None) -> None:
    data = load(write_csv(), freq=freq)
    assert data.season == 24
    assert data.notes == ()


def test_a_frequency_that_contradicts_the_dates_is_noted_and_not_believed(write_csv: WriteCsv) -> None:
    data = load(write_csv(at_steps_of("15min")), freq="h")
    assert (data.frequency, data.season) == ("15min", 96)
    assert data.notes == ("--freq h does not fit the dates, whose step is 15min; the dates decide",)


def test_an_unknown_frequency_is_refused(write_csv: WriteCsv) -> None:
    with pytest.raises(UserError, match="--freq fortnight: no step from one row to the next"):
        load(write_csv(), freq="fortnight")


def test_irregular_dates_are_refused_in_an_own_file_and_noted_in_one_published_with_them(write_csv: WriteCsv) -> None:
    table = hourly_table()
    table.loc[5, "date"] = table.loc[4, "date"]
    path = write_csv(table)
    with pytest.raises(UserError, match=r"line 7 \(2024-01-01 04:00:00\) is a duplicate"):
        load(path)
    data = load(path, data="weather")
    assert data.frequency == "h"
    assert len(data.notes) == 1
    assert "its dates are irregular: line 7" in data.notes[0]


# --- the embedded sample ---


def test_the_sample_needs_no_file() -> None:
    data = load_data(DataConfig("sample", 24, 12))
    assert (data.frequency, data.season, len(data.columns)) == ("h", 24, 7)
    assert data.columns[-1] == "OT"
    assert data.source == "the embedded sample"
