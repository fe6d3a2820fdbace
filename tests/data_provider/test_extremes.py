"""Cells far outside of their column: found, told, and kept from the scale; heavy tails are left alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
from data_provider.config import DataConfig
from data_provider.extremes import find_bounds
from data_provider.factory import ForecastData, load_data
from data_provider.reading import Frame
from data_provider.windows import Split
from exp.forecaster import Forecaster

DAYS = 400


def sales(spike: float | None = None, row: int = 50) -> pd.DataFrame:
    """Daily values at 100 with a weekly season, and perhaps one bad cell."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"date": pd.date_range("2023-01-01", periods=DAYS)})
    table["y"] = 100 + 7 * np.sin(2 * np.pi * np.arange(DAYS) / 7) + random.normal(0, 1, DAYS)
    if spike is not None:
        table.loc[row, "y"] = spike
    return table


def frame_of(values: np.ndarray) -> Frame:
    """A series of these columns."""
    dates = pd.date_range("2023-01-01", periods=len(values), freq="h")
    return Frame(dates, values, tuple(f"c{i}" for i in range(values.shape[1])), "a test", "h")


def data_of(table: pd.DataFrame, folder: Path) -> ForecastData:
    """The windows that a run on the table trains and tests on."""
    table.to_csv(folder / "sales.csv", index=False)
    return load_data(DataConfig("custom", 14, 7, data_path=str(folder / "sales.csv")))


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential", "rain"])
@pytest.mark.parametrize("rows", [60, 300, 3000])
def test_columns_with_natural_tails_have_no_extreme_cells(draw: str, rows: int) -> None:
    random = np.random.default_rng(1)
    size = (rows, 500)
    tails = {
        "normal": random.normal(size=size),
        "lognormal": random.lognormal(size=size),
        "exponential": random.exponential(size=size),
        "rain": np.where(random.random(size) < 0.1, random.lognormal(size=size), 0),
    }
    bounds = find_bounds(frame_of(tails[draw]))
    called = 0 if bounds is None else np.isfinite(bounds.upper).sum()
    assert called <= 5  # one in a hundred


@pytest.mark.parametrize("spike", [1e4, -1e4, 1e12, 400.0])
def test_the_scale_is_that_of_the_series_without_the_bad_cell(tmp_path: Path, spike: float) -> None:
    clean, spoiled = data_of(sales(), tmp_path), data_of(sales(spike), tmp_path)
    assert not [note for note in clean.notes if "extreme" in note]
    assert spoiled.scaler.scale_ == pytest.approx(clean.scaler.scale_, rel=0.01)
    assert spoiled.scaler.mean_ == pytest.approx(clean.scaler.mean_, rel=0.001)
    (note,) = [note for note in spoiled.notes if "extreme" in note]
    assert f"the farthest {spike:g} at 2023-02-20 (line 52)" in note


def test_what_is_seen_and_trained_on_is_clipped(tmp_path: Path) -> None:
    data = data_of(sales(1e6), tmp_path)
    train = data.windows[Split.TRAIN]
    batch = train.__getitems__(range(len(train)))
    assert max(batch.x.abs().max(), batch.y.abs().max()) < 30


@pytest.mark.parametrize("row", [300, 370])
def test_a_bad_cell_after_the_training_rows_is_clipped_and_told_too(tmp_path: Path, row: int) -> None:
    data = data_of(sales(1e6, row), tmp_path)
    assert [note for note in data.notes if f"the farthest 1e+06 at {data.dates[row]:%Y-%m-%d} (line {row + 2})" in note]
    assert data.series.tensor.abs().max() < 30
    assert data.series.truth.abs().max() > 1e4


def test_a_series_that_grows_beyond_its_training_rows_is_not_clipped() -> None:
    growth = np.exp(np.linspace(0, 8, 400))[:, None] * np.random.default_rng(2).normal(1, 0.05, (400, 3))
    level = np.where(np.arange(400) < 340, 100, 20_000)[:, None] + np.random.default_rng(3).normal(size=(400, 1))
    assert find_bounds(frame_of(growth)) is None
    assert find_bounds(frame_of(level)) is None


def test_what_is_scored_is_not_clipped(tmp_path: Path) -> None:
    table = sales(1e6)
    table.loc[DAYS - 3, "y"] = 1e6
    data = data_of(table, tmp_path)
    test = data.windows[Split.TEST]
    batch = test.__getitems__([len(test) - 1])
    expected = (1e6 - data.scaler.mean_[0]) / data.scaler.scale_[0]
    assert batch.y.max().item() == pytest.approx(expected, rel=1e-6)
    assert data.series.values.max() == pytest.approx(expected)


def test_a_clean_series_is_held_once(tmp_path: Path) -> None:
    series = data_of(sales(), tmp_path).series
    assert series.truth is series.tensor


def test_published_data_are_never_clipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "illness").mkdir()
    sales(1e6).rename(columns={"y": "OT"}).to_csv(tmp_path / "illness" / "national_illness.csv", index=False)
    monkeypatch.setenv("CALF_DATASETS", str(tmp_path))
    data = load_data(DataConfig("illness", 14, 7))
    assert data.series.truth is data.series.tensor
    assert data.scaler.scale_[0] > 1000


@pytest.mark.parametrize("spike", [1e4, 1e12])
def test_a_forecast_after_one_bad_cell_is_as_good_as_without_it(
    tmp_path: Path, workplace: Path, spike: float, caplog: pytest.LogCaptureFixture
) -> None:
    errors = []
    known = sales()
    for cell in (None, spike):
        path = tmp_path / f"{cell}.csv"
        sales(cell).iloc[:-7].to_csv(path, index=False)
        flags = [
            "--data_path",
            str(path),
            "--model",
            "DLinear",
            "--seq_len",
            "28",
            "--pred_len",
            "7",
            "--device",
            "cpu",
        ]
        assert (
            run.main([*flags, "--target", "y", "--train_epochs", "10", "--do_predict", "--checkpoints", str(cell)]) == 0
        )
        (folder,) = Path(str(cell)).iterdir()
        future = Forecaster.load(folder).predict(pd.read_csv(path))
        errors.append(np.abs(future["forecast"].to_numpy() - known["y"].to_numpy()[-7:]).mean())
    assert errors[1] < 1.2 * errors[0] + 0.1
    assert "clipped for the model to" in caplog.text


def test_a_bad_cell_among_the_last_rows_is_clipped_and_told(
    tmp_path: Path, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sales.csv"
    sales().to_csv(path, index=False)  # trained on a clean file
    flags = ["--data_path", str(path), "--model", "DLinear", "--seq_len", "28", "--pred_len", "7", "--device", "cpu"]
    assert run.main([*flags, "--train_epochs", "2"]) == 0
    (folder,) = Path("checkpoints").iterdir()
    forecaster = Forecaster.load(folder)
    caplog.clear()
    future = forecaster.predict(sales(1e6, row=DAYS - 2))
    assert future["forecast"].between(50, 200).all()
    assert "extreme: y: 1 value(s), the farthest 1e+06 at 2024-02-03 (row 398)" in caplog.text
