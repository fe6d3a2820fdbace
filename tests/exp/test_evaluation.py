"""Forecasts to compare a model with, the size of batches, and a test whose memory does not grow with the windows."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from data_provider.config import DataConfig
from data_provider.factory import ForecastData, load_data
from data_provider.windows import Split
from exp.evaluation import (
    BASELINES,
    MOST_OUTPUTS,
    MOST_TOKENS,
    Predictor,
    Reference,
    evaluation_batch_size,
    references,
)
from models.config import ModelConfig
from scripts.benchmark_files import reset_peak
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.data_provider.test_factory import at_steps_of, load
from tests.helpers.commands import prepared, succeed
from utils import coverage
from utils.device import peak_memory

CHANNELS, STEPS = 14, 384
MEGABYTE = 2**20


# --- forecasts to compare with ---


def of(data: ForecastData, pred_len: int = 4, name: str = "custom", model: str = "CALF") -> dict[str, Reference]:
    return references(data, name, pred_len, model)


def test_a_model_is_compared_with_the_last_value_and_the_last_season(write_csv: WriteCsv) -> None:
    data = load(write_csv())
    values, origins = data.series.values, torch.tensor([320, 399])
    found = of(data)
    assert found.keys() == {"naive", "seasonal_naive"}
    naive, seasonal = found["naive"](origins), found["seasonal_naive"](origins)
    assert naive.dtype == seasonal.dtype == torch.float64
    np.testing.assert_array_equal(naive, np.stack([np.tile(values[o - 1], (4, 1)) for o in origins]))
    np.testing.assert_array_equal(seasonal, np.stack([values[o - 24 : o - 20] for o in origins]))


def test_a_season_shorter_than_the_horizon_is_repeated(write_csv: WriteCsv) -> None:
    data = load(write_csv(at_steps_of("12h")), pred_len=5)
    forecast = of(data, 5)["seasonal_naive"](torch.tensor([330]))[0]
    np.testing.assert_array_equal(forecast, data.series.values[[328, 329, 328, 329, 328]])


def test_references_see_only_the_scored_channels(write_csv: WriteCsv) -> None:
    data = load(write_csv(), features="MS", target="c1")
    for reference in of(data).values():
        assert reference(torch.tensor([330])).shape == (1, 4, 1)
    assert of(data)["naive"](torch.tensor([330]))[0, 0, 0] == data.series.values[329, -1]


@pytest.mark.parametrize(("freq", "there"), [("4min", False), ("5min", True)])
def test_a_season_longer_than_the_history_of_the_first_test_window_is_left_out(
    write_csv: WriteCsv, freq: str, there: bool
) -> None:
    data = load(write_csv(at_steps_of(freq)))
    assert (data.season > 320) == (not there)
    assert ("seasonal_naive" in of(data)) == there
    assert any("no seasonal naive forecast" in note for note in data.notes) == (not there)


def test_a_naive_model_is_not_compared_with_itself(write_csv: WriteCsv) -> None:
    assert of(load(write_csv()), model="SeasonalNaive").keys() == {"naive"}


@pytest.mark.parametrize(("features", "target"), [("M", "OT"), ("M", "leader"), ("MS", "alone"), ("S", "follows_6h")])
def test_the_best_forecast_of_the_sample_stands_on_the_scale_and_in_the_order_of_the_channels(
    features: str, target: str
) -> None:
    data = load_data(DataConfig("sample", 24, 12, features=features, target=target))
    origins = data.windows[Split.TEST].__getitems__(range(0, 1000, 7)).origins
    truth = data.series.values[origins.numpy()[:, None] + np.arange(12)][..., data.scored]
    found = of(data, 12, "sample")
    errors = {name: np.square(forecast(origins).numpy() - truth).mean((0, 1)) for name, forecast in found.items()}
    assert errors.keys() == {"naive", "seasonal_naive", "best_possible"}
    assert (errors["best_possible"] < errors["naive"]).all()
    assert (errors["best_possible"] < errors["seasonal_naive"]).all()


def test_every_simple_forecast_is_a_model_that_needs_no_training() -> None:
    for kind in BASELINES.values():
        assert not kind.Config.trains and not kind(ModelConfig(1, 4, 2, 3)).parameter_groups()


# --- batches ---


@pytest.mark.parametrize(
    ("channels", "pred_len", "windows"),
    [(7, 96, 585), (7, 720, 416), (1, 1, 4096), (21, 96, 195), (321, 96, 12), (862, 96, 4), (862, 720, 3)],
)
def test_the_published_series_have_batches_of_a_size_that_suits_them(
    channels: int, pred_len: int, windows: int
) -> None:
    assert evaluation_batch_size(channels, pred_len) == windows


def test_a_batch_is_as_large_as_both_bounds_allow_and_never_empty() -> None:
    for channels, pred_len in product((1, 7, 100, 862, 10_000), (1, 96, 720, 10_000)):
        windows = evaluation_batch_size(channels, pred_len)
        fits = [
            count * channels <= MOST_TOKENS and count * channels * pred_len <= MOST_OUTPUTS
            for count in (windows, windows + 1)
        ]
        assert (fits[0] or windows == 1) and not fits[1]


# --- memory ---


def peak_of_a_test(csv: Path, tiny: Tiny) -> tuple[int | None, int]:
    """Return what calibration, test and arrays take at their peak, in bytes, and the size of ``pred.npy``."""
    experiment = prepared(tiny(data_path=csv, pred_len=STEPS, model_id=csv.stem, eval_batch_size=32))
    experiment.folder = Path(csv.stem)
    known = reset_peak(torch.device("cpu"))
    before = peak_memory(torch.device("cpu"))  # what the process holds of earlier work, the first test's too
    (record,) = experiment.test()
    peak = peak_memory(torch.device("cpu")) - before if known else None
    results = experiment.config.results
    shape = np.load(results / "pred.npy", mmap_mode="r").shape
    assert shape == np.load(results / "true.npy", mmap_mode="r").shape
    assert shape == (record["scores"]["metrics"]["CALF"]["windows"], STEPS, CHANNELS)
    return peak, (results / "pred.npy").stat().st_size


def test_memory_does_not_grow_with_the_windows(
    tiny: Tiny, write_csv: WriteCsv, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "MOST_NUMBERS", MEGABYTE // 2)
    # What a batch takes in the network is the network's, and there are three pictures whatever comes.
    monkeypatch.setattr(Predictor, "forecast", lambda _, x: x[:, -1:].repeat(1, STEPS, 1))
    monkeypatch.setattr("exp.evaluation.plot_forecast", lambda *_: None)
    files = [write_csv(hourly_table(rows, CHANNELS), name=f"{rows}.csv") for rows in (4_000, 16_000)]
    (few_peak, few_size), (many_peak, many_size) = (peak_of_a_test(csv, tiny) for csv in files)
    if few_peak is None or many_peak is None:
        pytest.skip("the peak of a process cannot be read here")
    assert many_size > few_size + 40 * MEGABYTE
    assert many_peak - few_peak < (many_size - few_size) / 2


# --- errors of each window ---


def test_a_test_keeps_the_errors_of_each_window(tiny: Tiny, workplace: Path) -> None:
    (record,) = succeed(tiny())
    folder = workplace / "results" / record["run"]["setting"]
    errors = np.load(folder / "errors.npy")
    pred, true = (np.load(folder / f"{name}.npy").astype(float) for name in ("pred", "true"))
    assert errors.shape == (73, 2) and errors.dtype == np.float32
    expected = np.stack([np.square(pred - true).mean((1, 2)), np.abs(pred - true).mean((1, 2))], axis=1)
    np.testing.assert_allclose(errors, expected, rtol=1e-5)
    assert errors.mean(axis=0) == pytest.approx([record["scores"]["mse"], record["scores"]["mae"]], rel=1e-5)


def test_a_test_records_what_it_cost(tiny: Tiny) -> None:
    (record,) = succeed(tiny())
    assert record["cost"]["milliseconds_per_forecast"] > 0
    assert record["cost"]["peak_memory"] > 10 * MEGABYTE
    counts = record["model"]["parameters"]
    assert 0 < counts["trained"] < counts["total"]
