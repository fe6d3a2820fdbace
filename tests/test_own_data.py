"""Forecasting one's own CSV: the two commands, what they leave behind, and files that do not quite fit."""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
from exp.forecaster import Forecaster
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import tiny_run, written
from tests.helpers.forked import call
from tests.helpers.places import DATASETS

ROOT = Path(__file__).resolve().parent.parent


def daily_table(rows: int = 400) -> pd.DataFrame:
    """Daily sales with a weekly season."""
    random = np.random.default_rng(3)
    days = np.arange(rows)
    table = pd.DataFrame({"date": pd.date_range("2023-02-01", periods=rows, freq="D")})
    table["visitors"] = 500 + 80 * np.sin(2 * np.pi * days / 7) + random.normal(0, 5, rows)
    table["revenue"] = 12_000 + 2_500 * np.sin(2 * np.pi * (days - 1) / 7) + random.normal(0, 200, rows)
    return table


def with_daylight_saving(rows: int = 400) -> pd.DataFrame:
    """Hourly values over the night when clocks are put forward in Berlin, with the offsets from UTC."""
    table = hourly_table(rows)
    table["date"] = pd.date_range("2024-03-20", periods=rows, freq="h", tz="Europe/Berlin").astype(str)
    return table


def forecast_of(folder: Path = Path("results")) -> pd.DataFrame:
    """The one forecast.csv below a folder."""
    (path,) = folder.rglob("forecast.csv")
    return pd.read_csv(path)


def checkpoint() -> Path:
    """The one checkpoint in the working directory."""
    (folder,) = Path("checkpoints").iterdir()
    return folder


def predict(*flags: object) -> int:
    """Forecast from the one checkpoint in the working directory."""
    argv = ["--is_training", "0", "--do_predict", "--load", str(checkpoint()), "--device", "cpu"]
    return run.main([*argv, *map(str, flags)])


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path, tiny_words: Path) -> Path:
    """A folder with a daily file, and all that one command made of it."""
    folder = tmp_path_factory.mktemp("sales")
    path = folder / "sales.csv"
    daily_table().to_csv(path, index=False)
    (folder / "work").mkdir()
    with contextlib.chdir(folder / "work"):
        assert run.main([*tiny_run(path, tiny_gpt2, tiny_words, target="revenue"), "--do_predict"]) == 0
    return folder


@pytest.fixture
def trained(sales: Path, workplace: Path) -> Path:
    """The daily file; all that was made of it lies in the working directory."""
    shutil.copytree(sales / "work", workplace, dirs_exist_ok=True)
    return sales / "sales.csv"


# --- the first command ---


def test_one_command_trains_tests_and_forecasts(trained: Path) -> None:
    (folder,) = Path("results").iterdir()
    assert {"forecast.csv", "forecast.npy", "forecast.png", "metrics.json"} <= set(written(folder))
    table = forecast_of()
    assert list(table)[:5] == ["date", "column", "forecast", "lower", "upper"]
    assert list(table["column"].unique()) == ["visitors", "revenue"]
    for _, own in table.groupby("column"):
        assert list(own["date"]) == [f"2024-03-{day:02}" for day in range(7, 15)]
    assert (table["lower"] < table["forecast"]).all()
    assert (table["forecast"] < table["upper"]).all()
    array = np.load(folder / "forecast.npy")
    assert array.shape == (8, 2)
    np.testing.assert_allclose(table["forecast"].to_numpy().reshape(2, 8).T, array, rtol=1e-7)


def test_the_forecast_is_in_the_units_of_the_file(trained: Path) -> None:
    means = forecast_of().groupby("column")["forecast"].mean()
    assert 300 < means["visitors"] < 700
    assert 8_000 < means["revenue"] < 16_000


def test_skill_is_told_after_the_forecast(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert predict() == 0
    said = caplog.text
    assert "test windows of 8 steps" in said
    assert "seasonal naive (season 7)" in said
    assert said.index("Forecast of 8 steps (D)") < said.index("revenue: typical miss")


def test_a_loss_against_a_simple_forecast_is_said_clearly(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = checkpoint() / "test.json"
    record = json.loads(path.read_text())
    record["answer"]["columns"]["revenue"]["seasonal_naive"] = 1e-9
    path.write_text(json.dumps(record))
    assert predict() == 0
    said = caplog.text
    assert "use the seasonal naive forecast (repeat the last season), not CALF" in said
    assert forecast_of()["reference"].notna().any()


def test_a_finished_run_is_not_trained_again_for_a_forecast(
    tiny: Tiny, trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = (checkpoint() / "model.safetensors").stat().st_mtime_ns
    assert run.main([*tiny(data_path=trained, target="revenue"), "--do_predict"]) == 0
    assert run.main([*tiny(data_path=trained, target="revenue", interval="0.5,0.8"), "--do_predict"]) == 0
    assert "is finished" in caplog.text
    assert (checkpoint() / "model.safetensors").stat().st_mtime_ns == before
    assert list(forecast_of()["level"].unique()) == [0.5, 0.8]


def test_the_test_prints_coverage_beside_the_nominal_level(
    tiny: Tiny, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_csv(daily_table())
    assert run.main([*tiny(data_path=path, target="revenue", interval="0.5,0.9"), "--verbose"]) == 0
    said = caplog.text
    assert "nominal 0.5" in said
    assert "nominal 0.9" in said
    (record,) = (json.loads(path.read_text()) for path in Path("results").glob("*/metrics.json"))
    for level, figures in record["scores"]["intervals"].items():
        assert abs(figures["coverage"] - float(level)) < 0.2
        assert figures["per_channel"]["revenue"]["width"] > figures["per_channel"]["visitors"]["width"] > 0
    assert f"coverage of 0.9: {record['scores']['intervals']['0.9']['coverage']:.4f}" in Path(
        "results_long_term_forecast.txt"
    ).read_text(encoding="utf-8")


def test_on_exchangeable_data_the_coverage_is_the_nominal_one(tiny: Tiny, write_csv: WriteCsv) -> None:
    random = np.random.default_rng(0)
    table = hourly_table(6000)
    table.iloc[:, 1:] = random.normal(size=(6000, 3)) * [1, 10, 100]
    path = write_csv(table, "noise.csv")
    assert run.main(tiny(data_path=path, interval="0.5,0.9", batch_size=256, save_arrays=0)) == 0
    (record,) = (json.loads(path.read_text()) for path in Path("results").glob("*/metrics.json"))
    for level, figures in record["scores"]["intervals"].items():
        assert figures["coverage"] == pytest.approx(float(level), abs=0.02)


def test_too_few_windows_give_no_interval_and_say_so(
    tiny: Tiny, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_csv(daily_table(130), "short.csv")  # 36 windows after the training rows
    assert run.main([*tiny(data_path=path, target="revenue", interval="0.5,0.99"), "--do_predict"]) == 0
    assert "36 windows are too few for a 99 % interval" in caplog.text
    table = forecast_of()
    assert table[table["level"] == 0.99][["lower", "upper"]].isna().all(axis=None)
    assert table[table["level"] == 0.5][["lower", "upper"]].notna().all(axis=None)


# --- the second command ---


def run_without_peft(argv: list[str]) -> None:
    assert run.main(argv) == 0
    assert "peft" not in sys.modules


def test_a_checkpoint_forecasts_alone_in_another_process_and_place(
    trained: Path, tiny_gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "another machine"
    elsewhere.mkdir()
    shutil.copytree(checkpoint(), elsewhere / "checkpoint")
    newer = daily_table(450).iloc[-60:]
    newer.to_csv(elsewhere / "newer.csv", index=False)
    command = ["--is_training", "0", "--do_predict", "--load", "checkpoint", "--data_path", "newer.csv"]
    was = trained.rename(trained.with_suffix(".away"))  # the training data are not there
    call(elsewhere, run_without_peft, command)
    was.rename(trained)
    table = forecast_of(elsewhere / "results")
    assert table["date"].iloc[0] == "2024-04-26"
    assert table["forecast"].notna().all()


@pytest.mark.parametrize("kind", ["daily", "hourly with daylight saving", "ETTh1"])
def test_a_known_continuation_scores_as_in_the_test(kind: str, tiny: Tiny, write_csv: WriteCsv, tmp_path: Path) -> None:
    if kind == "ETTh1":
        if not (DATASETS / "ETT-small" / "ETTh1.csv").is_file():
            pytest.skip("ETTh1.csv is not there")
        table, target = pd.read_csv(DATASETS / "ETT-small" / "ETTh1.csv").iloc[:1500], "OT"
    else:
        table, target = (daily_table(), "revenue") if kind == "daily" else (with_daylight_saving(), "OT")
    path = write_csv(table, "whole.csv")
    assert run.main([*tiny(data_path=path, target=target), "--inverse"]) == 0
    pred, true = (np.load(next(Path("results").glob(f"*/{name}.npy")))[-1] for name in ("pred", "true"))
    shutil.rmtree("results")
    held_back = tmp_path / "held_back.csv"
    table.iloc[:-8].to_csv(held_back, index=False)
    assert predict("--data_path", held_back) == 0
    future = forecast_of()
    columns = [name for name in table if name not in ("date", target)] + [target]
    assert list(future["column"].unique()) == columns
    assert list(future["date"].unique()) == list(table["date"].astype(str).iloc[-8:])
    forecast = future["forecast"].to_numpy().reshape(len(columns), 8).T
    scale = table[columns].iloc[: int(len(table) * 0.7)].to_numpy().std(axis=0)
    known = table[columns].iloc[-8:].to_numpy()
    assert np.square((forecast - known) / scale).mean() == pytest.approx(
        np.square((pred - true) / scale).mean(), abs=1e-6
    )


def test_what_goes_with_a_checkpoint_is_measured_on_its_own_data_alone(trained: Path) -> None:
    own = {name: (checkpoint() / name).read_bytes() for name in ("intervals.safetensors", "test.json")}
    load = ["--is_training", "0", "--load", str(checkpoint()), "--device", "cpu"]
    before = trained.read_bytes()
    try:  # the same file, in other units
        daily_table().assign(revenue=daily_table()["revenue"] * 1000).to_csv(trained, index=False)
        assert run.main(load) == 0
    finally:
        trained.write_bytes(before)
    assert {name: (checkpoint() / name).read_bytes() for name in own} == own
    assert run.main(load) == 0
    assert {name: (checkpoint() / name).read_bytes() for name in own} == own


@pytest.mark.parametrize("fill", ["auto", "ffill"])
def test_empty_rows_at_the_end_of_a_newer_file_are_not_invented(
    trained: Path, caplog: pytest.LogCaptureFixture, fill: str
) -> None:
    assert predict() == 0
    expected = forecast_of()
    future = pd.DataFrame({"date": pd.date_range("2024-03-07", periods=30), "visitors": 500.0})
    pd.concat([daily_table(), future]).to_csv("promised.csv", index=False)
    shutil.rmtree("results")
    assert predict("--data_path", "promised.csv", "--fill", fill) == 0
    pd.testing.assert_frame_equal(forecast_of(), expected)
    assert "30 row(s) at the end have no 'revenue': the forecast begins after 2024-03-06" in caplog.text


def test_a_column_that_ends_before_the_target_is_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = daily_table()
    table.loc[390:, "visitors"] = np.nan
    table.to_csv("ended.csv", index=False)
    assert predict("--data_path", "ended.csv", "--fill", "ffill") == 2
    assert "column 'visitors' has no value after 2024-02-25" in capsys.readouterr().err


def test_columns_may_be_reordered_and_more(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert predict() == 0
    expected = forecast_of()
    table = daily_table()[["revenue", "date", "visitors"]].assign(note="rain", visitors2=1.0)
    table.to_csv("reordered.csv", index=False)
    shutil.rmtree("results")
    assert predict("--data_path", "reordered.csv") == 0
    pd.testing.assert_frame_equal(forecast_of(), expected)
    said = caplog.text
    assert "note" in said
    assert "visitors2" in said


@pytest.mark.parametrize(
    ("table", "messages"),
    [
        (daily_table().rename(columns={"visitors": "guests"}), ["'visitors'", "guests"]),
        (daily_table(20), ["20 rows"]),
        (daily_table(60).assign(date=pd.date_range("2024-01-01", periods=60, freq="h")), ["a row every h"]),
        (daily_table(60).assign(date=pd.date_range("2024-01-01", periods=60, freq="W")), ["a row every W-SUN"]),
        (daily_table().drop(index=range(380, 387)), ["7 step(s) of D are missing", "--fill"]),
    ],
    ids=["a missing column", "too few rows", "hours", "weeks", "a gap"],
)
def test_a_file_that_does_not_fit_the_network_is_refused(
    trained: Path, capsys: pytest.CaptureFixture[str], table: pd.DataFrame, messages: list[str]
) -> None:
    table.to_csv("other.csv", index=False)
    assert predict("--data_path", "other.csv") == 2
    error = capsys.readouterr().err
    assert all(message in error for message in ["other.csv", *messages])
    assert error.count("\n") == 1


def test_a_local_clock_is_forecast_in_its_time_zone(
    tiny: Tiny, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
) -> None:
    dates = pd.date_range("2024-10-15 09:00", periods=414, freq="h", tz="Europe/Berlin")
    table = hourly_table(414).assign(date=dates.tz_localize(None))
    flags = [*tiny(data_path=write_csv(table[:400])), "--do_predict"]
    assert run.main(flags) == 2
    assert "back at 2024-10-27 02:00:00 (line 284)" in capsys.readouterr().err
    assert run.main([*flags, "--tz", "Europe/Berlin"]) == 0
    assert list(forecast_of()["date"].unique()) == [str(date) for date in dates[400:408]]
    write_csv(table[6:406], "newer.csv")
    assert predict("--data_path", "../newer.csv") == 0  # the checkpoint knows the time zone
    newer = pd.read_csv(next(Path("results").glob("*newer*/forecast.csv")))
    assert list(newer["date"].unique()) == [str(date) for date in dates[406:]]
    future = Forecaster.load(checkpoint()).predict(table[6:406])
    assert list(future["date"].unique()) == list(dates[406:])


def test_a_newer_file_is_also_found_beside_the_one_trained_on(trained: Path) -> None:
    daily_table(420).to_csv(trained.parent / "beside.csv", index=False)
    shutil.rmtree("results")
    assert predict("--data_path", "beside.csv") == 0
    assert forecast_of()["date"].iloc[0] == "2024-03-27"


def test_more_steps_than_trained_are_rolled_and_it_is_said(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    short = forecast_of()
    assert predict("--predict_len", 30) == 0
    assert "rolled" in caplog.text
    table = forecast_of()
    assert len(table) == 2 * 30
    own, first = (t[t["column"] == "revenue"].reset_index() for t in (table, short))
    np.testing.assert_allclose(own["forecast"][:8], first["forecast"], rtol=1e-6)
    assert own["lower"][:8].notna().all()
    assert own["lower"][8:].isna().all()
    assert own["date"].iloc[-1] == "2024-04-05"


def test_fewer_steps_than_trained_are_the_first_of_them(trained: Path) -> None:
    whole = forecast_of()
    assert predict("--predict_len", 3) == 0
    expected = whole.groupby("column", sort=False).head(3).reset_index(drop=True)
    pd.testing.assert_frame_equal(forecast_of(), expected)


def test_a_later_forecast_can_have_any_level(trained: Path) -> None:
    assert predict("--interval", "0.5,0.917") == 0
    narrow, wide = (forecast_of().query(f"level == {level}") for level in (0.5, 0.917))
    assert (wide["upper"].to_numpy() > narrow["upper"].to_numpy()).all()


def test_gaps_are_filled_where_asked(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    daily_table().drop(index=[380, 381]).to_csv("gaps.csv", index=False)
    assert predict("--data_path", "gaps.csv", "--fill", "linear") == 0
    assert "filled" in caplog.text


def test_without_its_name_the_checkpoints_there_are_are_listed(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--is_training", "0", "--do_predict", "--data_path", str(trained)]) == 2
    assert f"--load {checkpoint()}" in capsys.readouterr().err


def test_pages_of_an_earlier_forecast_do_not_stay(trained: Path) -> None:
    (folder,) = Path("results").iterdir()
    (folder / "forecast_2.png").touch()
    assert predict() == 0
    assert not (folder / "forecast_2.png").exists()
    assert (folder / "forecast.png").exists()


def test_what_was_filled_is_not_scored(tiny: Tiny, write_csv: WriteCsv) -> None:
    table = daily_table()
    table.loc[340:349, "revenue"] = np.nan
    path = write_csv(table, "missing.csv")
    flags = tiny(data_path=path, target="revenue", fill="linear")
    assert run.main(flags) == 0
    (folder,) = Path("results").iterdir()
    record = json.loads((folder / "metrics.json").read_text())
    pred, true = (np.load(folder / f"{name}.npy").astype(np.float64) for name in ("pred", "true"))
    rows = 320 + np.arange(len(pred))[:, None] + np.arange(8)  # of the file, for each window and step
    known = np.ones(pred.shape, bool)
    known[:, :, 1] = (rows < 340) | (rows > 349)
    assert record["scores"]["mse"] == pytest.approx(np.square(pred - true)[known].mean(), rel=1e-6)
    assert record["scores"]["mse"] != pytest.approx(np.square(pred - true).mean(), rel=1e-6)


@pytest.mark.parametrize("name", [b"d\xe4ta.csv", b"f\xe4/data.csv"])
def test_a_file_whose_name_is_no_utf_8_is_a_file_like_others(
    name: bytes, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(os.fsdecode(name))
    path.parent.mkdir(exist_ok=True)
    daily_table().to_csv(path, index=False)
    flags = ["--model", "DLinear", "--seq_len", "24", "--pred_len", "8", "--train_epochs", "1", "--device", "cpu"]
    for _ in range(2):
        assert run.main([*flags, "--target", "revenue", "--data_path", str(path), "--do_predict"]) == 0
    assert "is finished" in caplog.text
    assert Path(json.loads((checkpoint() / "config.json").read_text())["data"]["config"]["file"]) == path.resolve()
    assert predict() == 0
    assert len(forecast_of()) == 16


@pytest.mark.parametrize("features", ["S", "MS"])
def test_only_what_was_learnt_is_forecast(tiny: Tiny, write_csv: WriteCsv, features: str) -> None:
    path = write_csv(daily_table())
    assert run.main([*tiny(data_path=path, target="revenue", features=features), "--do_predict"]) == 0
    assert list(forecast_of()["column"].unique()) == ["revenue"]


def test_a_network_of_one_target_is_not_rolled_on_what_it_did_not_learn(
    tiny: Tiny, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(daily_table())
    assert run.main([*tiny(data_path=path, target="revenue", features="MS", predict_len=9), "--do_predict"]) == 2
    assert "--predict_len 9" in capsys.readouterr().err


def test_the_embedded_sample_can_be_forecast(tiny_gpt2: Path, tiny_words: Path, workplace: Path) -> None:
    argv = ["--data", "sample", "--llm", str(tiny_gpt2), "--word_embedding_path", str(tiny_words), "--gpt_layers", "1"]
    small = ["--seq_len", "24", "--pred_len", "4", "--train_epochs", "1", "--batch_size", "512", "--device", "cpu"]
    assert run.main([*argv, *small, "--do_predict"]) == 0
    assert forecast_of()["date"].iloc[0] == "2024-10-27 00:00:00"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--data", "m4", "--task_name", "short_term_forecast", "--do_predict"],
            "--do_predict is for --task_name long_term_forecast",
        ),
        (["--data", "m4", "--task_name", "short_term_forecast", "--check_data"], "--check_data is for series"),
        (["--check_data"], "--check_data needs a file"),
        (["--do_predict", "--zero_shot", "1", "--target_data", "ETTh2"], "leave out --zero_shot"),
        (["--do_predict", "--interval", "90"], "--interval 90"),
        (["--do_predict", "--features", "MS", "--predict_len", "97"], "cannot go beyond --pred_len 96"),
        (["--is_training", "0", "--load", ""], "--load : choose a path in UTF-8, not empty."),
        (["--is_training", "0", "--load", __file__], "is a file; name the folder"),
        (["--fill", "zeros"], "--fill zeros: choose one of auto, linear, ffill, none"),
    ],
)
def test_contradictions_are_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert run.main(flags) == 2
    assert message in capsys.readouterr().err
    assert written(workplace) == []


def test_a_name_that_is_no_utf_8_goes_all_the_way(
    tiny: Tiny, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = os.fsdecode(b"d\xe4ta.csv")
    daily_table().to_csv(name, index=False)
    assert run.main([*tiny(data_path=name, target="revenue"), "--do_predict"]) == 0
    assert predict() == 0
    assert predict("--data_path", name) == 0
    assert r"after the end of d\xe4ta.csv" in caplog.text
