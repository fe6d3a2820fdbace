"""Forecasts of weights that have seen all rows: refit, warm start, and the month after."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import models
import run
from exp.forecaster import Forecaster
from exp.training import Training
from tests.conftest import WriteCsv
from tests.helpers.commands import refused, succeed
from tests.helpers.forked import finish, start

Flags = Callable[..., list[str]]


def monthly(rows: int) -> pd.DataFrame:
    """A series of months with a season of a year and a trend."""
    months = np.arange(rows)
    random = np.random.default_rng(0)
    values = 100 + months + 20 * np.sin(2 * np.pi * months / 12) + random.normal(0, 2, rows)
    dates = pd.date_range("2010-01-01", periods=rows, freq="MS").strftime("%Y-%m-%d")
    return pd.DataFrame({"date": dates, "visits": values.round(2)})


@pytest.fixture
def flags(write_csv: WriteCsv, workplace: Path) -> Flags:
    """Flags of a short run on a file of months."""

    def build(rows: int = 120, **more: object) -> list[str]:
        values = {
            "model": "DLinear", "data_path": write_csv(monthly(rows), "months.csv"), "seq_len": 12, "pred_len": 6,
            "train_epochs": 4, "batch_size": 8, "device": "cpu", "log": "none", **more,
        }  # fmt: skip
        return [part for flag, value in values.items() if value is not None for part in (f"--{flag}", str(value))]

    return build


def folder_of(record: dict) -> Path:
    return Path("checkpoints") / record["run"]["setting"]


def test_a_forecast_of_an_own_file_comes_from_weights_that_saw_all_rows(
    flags: Flags, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags())
    folder = folder_of(record)
    epochs = record["run"]["best"]["epoch"]
    assert f"Weights: trained once more on all rows ({epochs} epochs)" in caplog.text
    refit = Forecaster.load(folder)
    assert refit.series.mean[0] == pytest.approx(monthly(120)["visits"].mean())
    assert Forecaster.load(folder, refit=False).series.mean[0] < refit.series.mean[0]  # of the first 70 %
    written = pd.read_csv(Path("results") / record["run"]["setting"] / "forecast.csv")
    np.testing.assert_allclose(refit.predict(monthly(120))["forecast"], written["forecast"], rtol=1e-6)
    assert np.isfinite(written[["lower", "upper"]]).all(axis=None)
    stored = json.loads((folder / "refit" / "training.json").read_text())
    assert len(stored["epochs"]) == epochs


def test_figures_stay_those_of_the_honest_split(flags: Flags) -> None:
    (with_refit,) = succeed(flags())
    (without,) = succeed([*flags(refit=0), "--overwrite"])
    assert with_refit["scores"] == without["scores"]


def test_without_refit_the_tested_weights_forecast(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags(refit=0))
    assert "Weights: those of the test" in caplog.text
    assert not (folder_of(record) / "refit").exists()


def test_a_model_that_does_not_train_is_not_refit(flags: Flags) -> None:
    (record,) = succeed(flags(model="SeasonalNaive"))
    assert not (folder_of(record) / "refit").exists()


def test_published_data_are_not_refit_unless_asked(workplace: Path) -> None:
    argv = ["--data", "sample", "--model", "DLinear", "--train_epochs", "1", "--do_predict", "--pred_len", "24"]
    (record,) = succeed([*argv, "--device", "cpu"])
    assert not (folder_of(record) / "refit").exists()
    succeed([*argv, "--device", "cpu", "--refit", "1"])
    assert (folder_of(record) / "refit" / "training.json").is_file()


def test_a_refit_that_was_stopped_is_not_used_and_goes_on(flags: Flags, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Training._save

    def stop(self: Training, epoch: int, value: float, best: bool) -> None:
        save(self, epoch, value, best)
        if self.config.is_refit:
            raise KeyboardInterrupt

    with monkeypatch.context() as replaced:
        replaced.setattr(Training, "_save", stop)
        assert run.main(flags()) == 130
    (folder,) = Path("checkpoints").iterdir()
    assert Forecaster.load(folder).model.stored.folder.name != "refit"
    succeed(flags())
    assert Forecaster.load(folder).model.stored.folder.name == "refit"


def test_new_weights_leave_no_old_refit(flags: Flags) -> None:
    (record,) = succeed(flags())
    succeed([*flags(refit=0), "--overwrite"])
    assert not (folder_of(record) / "refit").exists()


def test_training_goes_on_from_earlier_weights_on_a_longer_file(flags: Flags) -> None:
    (first,) = succeed(flags(train_epochs=30, learning_rate=0.01, refit=0))
    folder = folder_of(first)
    start = models.load(folder)
    records = succeed(flags(rows=126, train_epochs=1, learning_rate=1e-9, init_from=folder, refit=0))
    (second,) = [record for record in records if record["run"]["setting"] != first["run"]["setting"]]
    again = models.load(folder_of(second))
    np.testing.assert_allclose(again.trend.weight.detach(), start.trend.weight.detach(), atol=1e-6)


@pytest.mark.parametrize(
    ("more", "message"),
    [({"model": "PatchTST"}, "holds a model DLinear, and this run trains PatchTST"), ({"seq_len": 10}, "--init_from")],
)
def test_weights_that_do_not_fit_are_refused(
    flags: Flags, capsys: pytest.CaptureFixture[str], more: dict[str, object], message: str
) -> None:
    (record,) = succeed(flags(train_epochs=1, refit=0))
    assert message in refused(flags(init_from=folder_of(record), **more), capsys)


def test_weights_that_are_not_there_are_refused(flags: Flags, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no checkpoint in" in refused(flags(init_from="nowhere"), capsys)


def test_a_month_later_everything_goes_on_in_fresh_processes(flags: Flags, write_csv: WriteCsv) -> None:
    """Train and forecast, then a month is added: forecast with the old weights, then train on from them."""

    def call(*argv: str) -> str:
        code, said = finish(start(Path(), argv)), Path("said.txt").read_text()
        assert code == 0, said
        return said

    call(*flags(name="visits", output="forecasts/may.csv"))
    newer = ("--data_path", str(write_csv(monthly(121), "newer.csv")), "--device", "cpu")
    said = call("--is_training", "0", "--do_predict", "--load", "checkpoints/latest/visits",
                "--output", "forecasts/june.csv", *newer)  # fmt: skip
    assert "Weights: trained once more on all rows" in said
    may, june = (pd.read_csv(f"forecasts/{month}.csv") for month in ("may", "june"))
    assert (may["date"][0], june["date"][0]) == ("2020-01-01", "2020-02-01")
    call(*flags(rows=121, name="visits", init_from="checkpoints/latest/visits", output="forecasts/anew.csv"))
    anew = pd.read_csv("forecasts/anew.csv")
    assert list(anew["date"]) == list(june["date"])
    assert not np.allclose(anew["forecast"], june["forecast"])


def test_training_ends_at_its_time_limit(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags(train_epochs=100_000, patience=100_000, time_limit="2s", refit=0))
    assert "the time of --time_limit has passed" in caplog.text
    assert record["run"]["training"]["seconds"] < 10


def test_a_training_that_still_improves_says_so(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        succeed(flags(train_epochs=3, learning_rate=1e-5))
    assert "still improving at the last epoch: raise --train_epochs 3" in caplog.text


def test_sixty_months_can_be_forecast_twelve_ahead(flags: Flags) -> None:
    (record,) = succeed(flags(rows=60, seq_len=None, pred_len=None, train_epochs=2))
    config = record["model"]["config"]
    assert (config["seq_len"], config["pred_len"]) == (12, 12)
    forecast = pd.read_csv(Path("results") / record["run"]["setting"] / "forecast.csv")
    assert len(forecast) == 12 and forecast["upper"].notna().all()


def test_a_long_training_says_beforehand_how_long_it_will_take(
    flags: Flags, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("exp.training.SECONDS_TO_TELL", 0.0)
    monkeypatch.setattr("exp.training.SECONDS_OF_A_LONG_RUN", 0.0)
    with caplog.at_level(logging.INFO):
        succeed(flags(refit=0))
    assert caplog.text.index("training will take 00:0") < caplog.text.index("epoch 1/4")
