"""What a forecast shows on request: quantiles, limits, sums, a report; and how sure it says it is."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import run
from data_provider.datasets import DATASETS
from data_provider.factory import borders_of
from data_provider.windows import Split
from tests.conftest import WriteCsv
from tests.exp.test_answer import noisy_weeks
from tests.helpers.commands import prepared, refused, succeed
from tests.helpers.long_files import long_table
from utils.conformal import Intervals

Flags = Callable[..., list[str]]


@pytest.fixture
def flags(write_csv: WriteCsv, workplace: Path) -> Flags:
    """Flags of a run of a simple model on days."""

    def build(table: pd.DataFrame | None = None, **more: object) -> list[str]:
        values = {
            "model": "SeasonalNaive", "data_path": write_csv(noisy_weeks() if table is None else table, "weeks.csv"),
            "seq_len": 14, "pred_len": 7, "device": "cpu", **more,
        }  # fmt: skip
        return [part for flag, value in values.items() if value is not None for part in (f"--{flag}", str(value))]

    return build


def results_of(record: dict) -> Path:
    return Path("results") / record["run"]["setting"]


def test_quantiles_and_limits_reach_the_file(flags: Flags) -> None:
    (record,) = succeed(flags(quantiles="0.1,0.5,0.9", minimum=95, maximum=120))
    table = pd.read_csv(results_of(record) / "forecast.csv").query("column == 'weekly'")
    assert (table["q0.1"] <= table["q0.5"]).all() and (table["q0.5"] <= table["q0.9"]).all()
    numbers = table[["forecast", "lower", "upper", "q0.1", "q0.5", "q0.9"]].to_numpy()
    assert numbers.min() == 95 and numbers.max() == 120


def test_sums_over_months_and_columns_are_written(flags: Flags) -> None:
    (record,) = succeed(flags(aggregate="sum,month"))
    folder = results_of(record)
    forecast, sums = pd.read_csv(folder / "forecast.csv"), pd.read_csv(folder / "forecast_sums.csv")
    assert list(sums["month"]) == ["2022-10", "2022-11"] and list(sums["steps"]) == [4, 3]
    assert sums["forecast"].sum() == pytest.approx(forecast["forecast"].sum())
    assert (sums["lower"] <= sums["forecast"]).all() and (sums["forecast"] <= sums["upper"]).all()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"quantiles": "0.5,2"}, "--quantiles 2: choose a share between 0 and 1"),
        ({"minimum": "low"}, "--minimum low: choose a number, none or auto"),
        ({"maximum": "auto"}, "--maximum auto: choose a number, or none"),
        ({"minimum": 5, "maximum": 1}, "--minimum 5 is larger than --maximum 1"),
        ({"aggregate": "decade"}, "--aggregate decade: choose sum"),
        ({"aggregate": "day,month"}, "--aggregate day,month"),
        ({"backtest": 0}, "--backtest 0: choose a whole number"),
        ({"time_limit": "10"}, "--time_limit 10: choose a number with s, m or h"),
    ],
)
def test_what_is_not_possible_is_refused(
    flags: Flags, capsys: pytest.CaptureFixture[str], more: dict[str, object], message: str
) -> None:
    assert message in refused(flags(**more), capsys)


def test_intervals_that_did_not_hold_are_told_of_everywhere(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    table = noisy_weeks()
    later = np.arange(300) >= 240
    turned = later & (np.arange(300) // 5 % 2 == 0)  # errors grow in the test, the variance of a window does not
    table.loc[turned, "weekly"] = 200 - table["weekly"]
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags(table=table))
    held = record["scores"]["intervals"]["0.9"]["per_channel"]["weekly"]["coverage"]
    assert held < 0.85
    forecast = pd.read_csv(results_of(record) / "forecast.csv").query("column == 'weekly'")
    assert forecast["coverage"].unique() == pytest.approx([held])
    told = caplog.text[caplog.text.index("the 90 % intervals held another share of the truth:") :]
    assert f"weekly ({held:.0%})" in told.splitlines()[0]
    assert f"90 % intervals held {held:.0%} of the truth: far from nominal" in caplog.text


def test_intervals_that_no_test_window_could_check_are_called_untested(
    flags: Flags, caplog: pytest.LogCaptureFixture
) -> None:
    months = pd.date_range("2019-01-01", periods=60, freq="MS")
    sales = 100 + 10 * np.sin(np.arange(60) * np.pi / 6) + np.random.default_rng(0).normal(0, 3, 60)
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags(table=pd.DataFrame({"date": months, "sales": sales}), seq_len=None, pred_len=12))
    assert pd.read_csv(results_of(record) / "forecast.csv")["lower"].notna().all()
    assert caplog.text.count("note: untested: 90 % intervals of sales; the test did not measure their coverage") == 1
    caplog.clear()
    with caplog.at_level(logging.INFO):
        succeed(flags())
    assert "untested" not in caplog.text


def test_adaptive_intervals_are_kept_for_later_forecasts(flags: Flags) -> None:
    (record,) = succeed(flags(adaptive=1))
    folder = Path("checkpoints") / record["run"]["setting"]
    assert list(Intervals.load(folder, (7, 2)).missed) == [0.9]


def test_a_test_again_adapts_the_intervals_of_the_weights_that_forecast(flags: Flags) -> None:
    (record,) = succeed(flags(model="DLinear", train_epochs=1))
    folder = Path("checkpoints") / record["run"]["setting"]
    argv = ["--is_training", "0", "--load", str(folder), "--device", "cpu", "--adaptive", "1"]
    succeed(argv)
    assert list(Intervals.load(folder / "refit", (7, 2)).missed) == [0.9]


# --- a run again ---


def test_what_a_finished_test_did_not_leave_is_tested_again(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    (first,) = succeed(flags(model="DLinear", train_epochs=1))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        (again,) = succeed(flags(model="DLinear", train_epochs=1, backtest=3, interval="0.5,0.9"))
    assert "epoch 1/1" not in caplog.text and "backtest: " in caplog.text
    assert again["scores"]["metrics"] == first["scores"]["metrics"]
    assert (results_of(again) / "backtest.csv").is_file()
    assert again["scores"]["intervals"].keys() == {"0.5", "0.9"}


def test_no_backtest_and_no_sums_of_before_stand_beside_a_newer_forecast(flags: Flags) -> None:
    (record,) = succeed(flags(backtest=3, aggregate="sum", minimum=99))
    sums = (results_of(record) / "forecast_sums.csv").read_text()
    assert "Sums of the forecast" in (results_of(record) / "report.html").read_text()
    succeed(flags(table=noisy_weeks().iloc[:-7]))
    (kept,) = results_of(record).glob("forecast_sums_until_*.csv")
    assert kept.read_text() == sums
    assert not {"backtest.csv", "backtest_scores.csv", "backtest.png", "forecast_sums.csv"} & {
        path.name for path in results_of(record).iterdir()
    }
    assert "past forecasts" not in (results_of(record) / "report.html").read_text()


def test_limits_have_an_effect_on_past_forecasts_alone(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    (record,) = succeed(flags(backtest=3, minimum=99, do_predict=0))
    assert pd.read_csv(results_of(record) / "backtest.csv")["forecast"].min() == 99
    assert "no effect without --do_predict: --minimum" not in caplog.text


@pytest.mark.parametrize("dates", ["none", "words"])
def test_past_forecasts_are_drawn_in_the_order_of_time(dates: str, flags: Flags, write_csv: WriteCsv) -> None:
    table = noisy_weeks().iloc[:110].drop(columns="date")
    if dates == "words":
        table.insert(0, "date", pd.date_range("2014-01-01", periods=110, freq="MS").strftime("%b-%y"))
    (record,) = succeed(flags(table=table, backtest=4, date_col="none" if dates == "none" else None))
    past = pd.read_csv(results_of(record) / "backtest.csv")
    assert past["origin"].nunique() == 4


def test_a_run_whose_checkpoint_is_gone_is_trained_anew(flags: Flags) -> None:
    (record,) = succeed(flags(model="DLinear", train_epochs=1))
    shutil.rmtree("checkpoints")
    succeed(flags(model="DLinear", train_epochs=1))
    assert (Path("checkpoints") / record["run"]["setting"] / "refit").is_dir()


def test_a_run_file_says_which_weights_forecast(flags: Flags) -> None:
    (record,) = succeed(flags(model="DLinear", train_epochs=1, refit=0))
    assert yaml.safe_load((results_of(record) / "run.yaml").read_text())["refit"] == 0


def test_the_target_is_drawn_first(flags: Flags, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr("exp.predict.plot_future", lambda *parts: drawn.extend(parts) or [])
    (record,) = succeed(flags())
    _, _, history, ahead, bands, columns, _ = drawn
    assert columns == ["weekly", "walk"]
    assert history[-1, 0] == pytest.approx(noisy_weeks()["weekly"].iloc[-1])
    table = pd.read_csv(results_of(record) / "forecast.csv").query("column == 'weekly'")
    for found, name in zip((ahead["forecast"], *bands[0.9]), ("forecast", "lower", "upper"), strict=True):
        np.testing.assert_allclose(found[:, 0], table[name], rtol=1e-6)


# --- the report ---


def embedded(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    return text


def test_every_forecast_leaves_a_report(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags(backtest=3))
    text = embedded(results_of(record) / "report.html")
    for part in ("weekly: typical miss", "SeasonalNaive", "Backtest", "2022-10-28", "run.yaml", "no gaps in time"):
        assert part in text, part
    assert "report: results/" in caplog.text


def test_a_report_of_many_series_has_a_chart_for_each(write_csv: WriteCsv, workplace: Path) -> None:
    path = write_csv(long_table(), "long.csv")
    (record,) = succeed(
        ["--model", "Naive", "--data_path", str(path), "--columns", "y", "--seq_len", "14", "--pred_len", "5"]
    )
    text = embedded(results_of(record) / "report.html")
    assert all(name in text for name in ("north", "south")) and "units of each series" in text


def test_a_report_of_published_data_is_written_too(workplace: Path) -> None:
    argv = ["--data", "sample", "--model", "Naive", "--do_predict", "--pred_len", "24", "--device", "cpu"]
    (record,) = succeed(argv)
    assert "Forecast" in embedded(results_of(record) / "report.html")


# --- splits ---


@pytest.mark.parametrize(
    ("rows", "pred_len", "borders"),
    [
        (1000, 14, (700, 800, 1000)),  # there is room
        (60, 12, (30, 45, 60)),  # 4 origins each
        (130, 8, (87, 104, 130)),  # 10 origins of validation
        (20, 12, (14, 16, 20)),  # there is no room: refused later, with the usual shares
    ],
)
def test_short_files_are_split_by_origins(rows: int, pred_len: int, borders: tuple[int, int, int]) -> None:
    assert borders_of(DATASETS["custom"], rows, "file", pred_len) == borders


def test_published_files_are_split_as_published() -> None:
    assert borders_of(DATASETS["illness"], 100, "file", 24) == (70, 80, 100)


def test_the_older_validation_windows_choose_the_epoch_and_the_newer_calibrate(flags: Flags) -> None:
    experiment = prepared(flags(table=noisy_weeks(1000), model="DLinear", do_predict=0))
    data = experiment.data
    choose, calibrate = experiment.validation_parts(data)
    count = len(data.windows[Split.VAL])
    assert (len(choose), choose.first) == (count // 2, data.windows[Split.VAL].first)
    assert calibrate.first == choose.first + count // 2
    assert int(calibrate.__getitems__([len(calibrate) - 1]).origins) == 799  # the last one before the test


def test_published_data_choose_the_epoch_on_all_validation_windows(workplace: Path) -> None:
    experiment = prepared(["--data", "sample", "--model", "DLinear", "--pred_len", "24", "--device", "cpu"])
    choose, _ = experiment.validation_parts(experiment.data)
    assert len(choose) == len(experiment.data.windows[Split.VAL])


def test_parts_and_thinned_windows_are_those_of_the_whole(flags: Flags) -> None:
    windows = prepared(flags(model="DLinear", do_predict=0)).data.windows[Split.TEST]
    whole = windows.__getitems__(range(len(windows))).origins
    assert windows.part(3, 9).__getitems__(range(6)).origins.tolist() == whole[3:9].tolist()
    thin = windows.thinned(7)
    assert len(thin) <= 7
    places = thin.__getitems__(range(len(thin))).origins
    assert places.tolist() == whole[:: thin.every].tolist()
    assert thin.part(1, 3).__getitems__(range(2)).origins.tolist() == places[1:3].tolist()
    assert len(thin.part(1, 3)) == 2


def test_flags_without_effect_on_many_series_are_named(
    write_csv: WriteCsv, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_csv(long_table(), "long.csv")
    argv = ["--model", "Naive", "--data_path", str(path), "--columns", "y", "--seq_len", "14", "--pred_len", "5"]
    with caplog.at_level(logging.INFO):
        assert run.main([*argv, "--backtest", "3", "--adaptive", "1"]) == 0
    assert "no effect with many series: --adaptive, --backtest" in caplog.text


def test_a_slow_model_is_scored_on_some_windows_and_says_so(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("statsforecast", reason="statsforecast is not installed")
    with caplog.at_level(logging.INFO), pytest.MonkeyPatch.context() as replaced:
        replaced.setattr("exp.long_term_forecast.FITS_OF_A_SLOW_MODEL", 12)
        replaced.setattr("exp.long_term_forecast.FEWEST_OF_A_SLOW_MODEL", 6)
        (record,) = succeed(flags(model="AutoTheta", history=30))
    assert "a forecast of AutoTheta takes long: 6 of the 54 windows of test are scored" in caplog.text
    assert record["scores"]["metrics"]["AutoTheta"]["windows"] == 6
    assert json.dumps(record)
