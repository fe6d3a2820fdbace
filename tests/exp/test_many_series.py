"""One network for many series of a long file: from the file to scores and forecasts of each."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import models
import run
from exp.forecaster import Forecaster
from exp.many_series import SCORES
from exp.training import Training
from tests.conftest import WriteCsv
from tests.data_provider.test_many import load
from tests.helpers.commands import refused, small, succeed, written
from tests.helpers.long_files import LENGTHS, long_table
from utils.errors import UserError

L, H, AHEAD = 14, 5, 8
TRAINED = [name for name in models.MODELS if models.find_config(name).trains]
READERS = [name for name in TRAINED if models.find_config(name).takes_known]

Flags = Callable[..., list[str]]


@pytest.fixture
def flags(tiny_gpt2: Path, tiny_words: Path, write_csv: WriteCsv, workplace: Path) -> Flags:
    """Flags of a short run on the long table, or on another one."""

    def build(name: str = "DLinear", table: pd.DataFrame | None = None, **more: object) -> list[str]:
        values = {
            "model": name, "data_path": write_csv(long_table(ahead=AHEAD) if table is None else table, "long.csv"),
            "seq_len": L, "pred_len": H, "columns": "y", "train_epochs": 1, "batch_size": 32, "device": "cpu",
            "log": "none", **small(name, tiny_gpt2, tiny_words), **more,
        }  # fmt: skip
        return [part for flag, value in values.items() if value is not None for part in (f"--{flag}", str(value))]

    return build


def forecaster_of(record: dict) -> Forecaster:
    return Forecaster.load(Path("checkpoints") / record["run"]["setting"])


@pytest.fixture(scope="module")
def kept() -> dict[str, Path]:
    """Folders of checkpoints by the name of their model."""
    return {}


@pytest.fixture
def knowing(flags: Flags, workplace: Path, kept: dict[str, Path]) -> Callable[[str], Forecaster]:
    """Train a model that knows a column in advance, once for all tests that use it."""

    def knowing(name: str) -> Forecaster:
        if name not in kept:
            (record,) = succeed(flags(name, future_cols="promo"))
            kept[name] = workplace / "checkpoints" / record["run"]["setting"]
        return Forecaster.load(kept[name])

    return knowing


@pytest.mark.pictures
def test_a_run_leaves_scores_forecasts_and_pictures_of_its_series(flags: Flags, workplace: Path) -> None:
    (record,) = succeed(flags())
    setting = record["run"]["setting"]
    names = {path.removeprefix(f"results/{setting}/") for path in written(workplace) if f"results/{setting}/" in path}
    assert {"metrics.json", SCORES, "forecast.csv", "forecast.png", "errors.npy"} <= names
    assert (workplace / "test_results" / setting / "series.png").is_file()
    forecast = pd.read_csv(workplace / "results" / setting / "forecast.csv")
    assert list(forecast)[:6] == ["id", "date", "column", "forecast", "lower", "upper"]
    assert list(forecast["id"].unique()) == list(LENGTHS)
    assert (forecast.groupby("id").size() == H).all()
    assert forecast["date"].iloc[0] == "2024-07-01"
    for i, name in enumerate(LENGTHS):  # each in its own units
        own = forecast[forecast["id"] == name]["forecast"]
        assert own.between(0.5 * 100 * 10**i, 5 * 100 * 10**i).all()


def test_scores_over_all_are_those_of_every_window_and_stand_beside_those_of_each_series(
    flags: Flags, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags())
    folder = workplace / "results" / record["run"]["setting"]
    pred, true, errors = (np.load(folder / f"{name}.npy") for name in ("pred", "true", "errors"))
    assert record["scores"]["mse"] == pytest.approx(np.square(pred - true).mean(), rel=1e-5)
    assert errors[:, 0] == pytest.approx(np.square(pred - true).mean((1, 2)), rel=1e-5)
    assert record["scores"]["metrics"].keys() == {"DLinear", "naive", "seasonal_naive"}
    table = pd.read_csv(folder / SCORES)
    assert list(table["id"]) == list(LENGTHS)
    y = long_table(ahead=AHEAD).query("store == 'north'")["y"].dropna().to_numpy()
    test = len(y) - int(0.2 * len(y))
    naive = np.mean([np.abs(y[o : o + H] - y[o - 1]).mean() for o in range(test, len(y) - H + 1)])
    assert table["naive mae"][0] == pytest.approx(naive, rel=1e-6)
    season = np.mean([np.square(y[o : o + H] - y[o - 7 : o - 7 + H]).mean() for o in range(test, len(y) - H + 1)])
    assert table["seasonal_naive mse"][0] == pytest.approx(season, rel=1e-6)
    better = (table["DLinear mse"] < table["naive mse"]).sum()
    assert f"DLinear beats the naive forecast on {better} of 4 series." in caplog.messages


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_forecasts_many_series_and_is_read_back(flags: Flags, workplace: Path, name: str) -> None:
    (record,) = succeed(flags(name))
    saved = pd.read_csv(workplace / "results" / record["run"]["setting"] / "forecast.csv")
    table = long_table(ahead=AHEAD)
    again = forecaster_of(record).predict(table)
    assert again["forecast"].to_numpy() == pytest.approx(saved["forecast"].to_numpy(), rel=1e-5)
    argv = [*flags(name), "--is_training", "0", "--do_predict", "0"]
    (workplace / "results" / record["run"]["setting"] / "metrics.json").unlink()
    assert succeed(argv)[0]["scores"] == record["scores"]


def test_the_file_is_recognised_as_a_long_one(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert run.main([*flags(), "--dry_run"]) == 0
    assert "a long file: its series are told apart by store (--id_col)" in caplog.messages
    assert "4 series of 40 to 120 rows" in caplog.text


def test_a_series_never_seen_is_forecast_and_named(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    (record,) = succeed(flags())
    new = long_table({"south": 90, "harbour": 30}, seed=4)
    with caplog.at_level(logging.WARNING):
        forecast = forecaster_of(record).predict(new)
    assert list(forecast["id"].unique()) == ["south", "harbour"]
    assert "1 series were not in training (zero-shot): harbour" in caplog.messages
    assert forecast[forecast["id"] == "harbour"]["forecast"].between(500, 5000).all()


def test_a_forecast_of_a_series_does_not_depend_on_the_others(flags: Flags) -> None:
    (record,) = succeed(flags("CALF"))
    forecaster, table = forecaster_of(record), long_table()
    together = forecaster.predict(table)
    alone = forecaster.predict(table.query("store == 'east'"), id_col="store")
    own = together[together["id"] == "east"]["forecast"].to_numpy()
    assert alone["forecast"].to_numpy() == pytest.approx(own, rel=1e-5)


def test_several_values_are_channels_of_each_series(flags: Flags, workplace: Path) -> None:
    table = long_table()
    table["price"] = table["y"] / 7 + 1
    (record,) = succeed(flags("iTransformer", table, columns="y,price", target="y"))
    assert record["model"]["config"]["channels"] == 2
    forecast = pd.read_csv(workplace / "results" / record["run"]["setting"] / "forecast.csv")
    assert list(forecast["column"].unique()) == ["price", "y"]
    assert len(forecast) == 4 * 2 * H


@pytest.mark.parametrize("name", READERS)
def test_known_columns_of_each_series_move_its_forecast_and_no_other_future_does(
    knowing: Callable[[str], Forecaster], name: str
) -> None:
    forecaster, table = knowing(name), long_table(ahead=AHEAD, seed=2)
    assert forecaster.model.config.known == 1
    usual = forecaster.predict(table, interval=None).set_index("id")["forecast"]
    future = table["y"].isna()
    changed = table.copy()
    mine = future & (table["store"] == "south")
    changed.loc[mine, "promo"] = 1 - changed.loc[mine, "promo"]
    moved = forecaster.predict(changed, interval=None).set_index("id")["forecast"]
    assert (moved["south"] != usual["south"]).all()
    assert (moved.drop("south").to_numpy() == usual.drop("south").to_numpy()).all()
    other = forecaster.predict(table.assign(note=np.where(future, 1e3, 0.0)), interval=None)["forecast"]
    np.testing.assert_array_equal(other, usual)


@pytest.mark.parametrize("name", READERS)
def test_no_test_window_sees_the_future_of_its_series(
    knowing: Callable[[str], Forecaster], write_csv: WriteCsv, name: str
) -> None:
    model, table = knowing(name).model, long_table()
    usual = load(write_csv, table, future_cols="promo")
    windows = next(iter(reversed(usual.windows.values())))
    origin = int(windows.origins[3])
    changed = table.copy()
    end = int(usual.series.ends[windows.which[3]])
    changed.loc[origin : end - 1, "y"] += 50.0
    batches = [
        next(iter(reversed(one.windows.values()))).__getitems__([3])
        for one in (usual, load(write_csv, changed, future_cols="promo"))
    ]
    assert not torch.equal(batches[0].y, batches[1].y)
    assert torch.equal(*(model(batch.x, **batch.covariates).forecast for batch in batches))


def test_known_columns_may_stand_in_a_table_of_the_future(flags: Flags, workplace: Path, write_csv: WriteCsv) -> None:
    (record,) = succeed(flags("iTransformer", future_cols="promo"))
    folder = workplace / "results" / record["run"]["setting"]
    usual = (folder / "forecast.csv").read_text()
    table = long_table(ahead=AHEAD)
    ahead, past = table[table["y"].isna()], table[table["y"].notna()]
    forecaster = forecaster_of(record)
    pd.testing.assert_frame_equal(
        forecaster.predict(past, future=ahead[["promo", "store", "date"]]), forecaster.predict(table)
    )
    future = write_csv(ahead.drop(columns="y"), "future.csv")
    (folder / "forecast.csv").unlink()
    succeed(
        [
            *flags("iTransformer", past, future_cols="promo"),
            "--is_training",
            "0",
            "--do_predict",
            "--future_path",
            str(future),
        ]
    )
    assert [path.read_text() for path in workplace.glob("results/*/forecast.csv")] == [usual]


def test_a_table_of_the_future_without_series_is_of_all_of_them(
    flags: Flags, workplace: Path, write_csv: WriteCsv
) -> None:
    table = long_table(ahead=AHEAD)
    dates = table["date"].drop_duplicates().sort_values()
    holidays = pd.Series(np.random.default_rng(1).integers(0, 2, len(dates)), dates)
    table["promo"] = holidays[table["date"]].to_numpy()
    past = table[table["y"].notna()]
    future = pd.DataFrame({"date": dates, "promo": holidays.to_numpy()}).tail(AHEAD)
    path = write_csv(future, "future.csv")
    (record,) = succeed(flags("iTransformer", past, future_cols="promo", future_path=path))
    saved = pd.read_csv(workplace / "results" / record["run"]["setting"] / "forecast.csv")
    forecaster = forecaster_of(record)
    usual = forecaster.predict(table)
    pd.testing.assert_frame_equal(forecaster.predict(past, future=future), usual)
    assert saved["forecast"].to_numpy() == pytest.approx(usual["forecast"].to_numpy(), rel=1e-5)


def test_a_forecast_that_lacks_known_columns_names_series_column_and_date(
    knowing: Callable[[str], Forecaster],
) -> None:
    table = long_table(ahead=AHEAD)
    table = table.drop(index=table.index[(table["store"] == "east") & (table["date"] > "2024-07-02")])
    said = r"5 rows after the end of each series, .* of 'east'; 'promo' is missing at 2024-07-03"
    with pytest.raises(UserError, match=said):
        knowing("iTransformer").predict(table)


def test_a_file_without_their_future_is_trained_on_but_not_forecast(
    flags: Flags, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, workplace: Path
) -> None:
    argv = flags("iTransformer", long_table(), future_cols="promo")
    assert "'promo' is missing at 2024-07-01" in refused([*argv, "--do_predict"], capsys)
    with caplog.at_level(logging.INFO):
        succeed(argv)
    assert "no forecast beyond the file's end is made" in caplog.text
    assert not list(workplace.glob("results/*/forecast.csv"))


def test_calendar_and_marks_follow_the_dates_of_each_series(flags: Flags) -> None:
    (record,) = succeed(flags("iTransformer", calendar=1, marks=1))
    assert record["model"]["config"]["known"] == 3
    assert len(forecaster_of(record).predict(long_table(), predict_len=12)) == 4 * 12


def test_a_training_that_was_killed_goes_on_with_the_same_cuts(flags: Flags, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = flags(train_epochs=3, patience=3)
    (record,) = succeed(argv)
    folder = Path("checkpoints") / record["run"]["setting"]
    whole = (folder / "model.safetensors").read_bytes()
    seen = []
    original = Training._save

    def stop_after_two(self: Training, epoch: int, value: float, best: bool) -> None:
        original(self, epoch, value, best)
        seen.append(epoch)
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Training, "_save", stop_after_two)
    assert run.main([*argv, "--overwrite", "--resume", "never"]) == 130
    monkeypatch.setattr(Training, "_save", original)
    succeed([*argv, "--overwrite"])
    assert (folder / "model.safetensors").read_bytes() == whole


def test_a_damaged_checkpoint_of_many_series_is_refused(flags: Flags) -> None:
    (record,) = succeed(flags())
    path = Path("checkpoints") / record["run"]["setting"] / "config.json"
    content = json.loads(path.read_text())
    content["data"]["scaler"]["mean"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="its scaler does not have 4 rows, one for each series"):
        Forecaster.load(path.parent, refit=False)


def test_a_report_says_what_a_long_file_holds(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    table = long_table({**LENGTHS, "tiny": 6})
    with caplog.at_level(logging.INFO):
        assert run.main([*flags(table=table), "--check_data"]) == 0
    assert "series north: 120 rows, 2024-03-03 00:00:00 to 2024-06-30 00:00:00" in caplog.text
    assert "left out (fewer than 13 rows" in caplog.text and "tiny" in caplog.text
    assert caplog.messages[-1] == "The file can be used as it is."


def test_a_zero_shot_test_of_many_series_is_refused_with_what_to_do(
    flags: Flags, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused([*flags(id_col="store"), "--zero_shot", "1", "--target_data", "ETTh1"], capsys)
    assert "a network for many series takes others with --is_training 0 --load CHECKPOINT" in error


def test_a_newer_file_is_tested_and_forecast_from_the_checkpoint(
    flags: Flags, workplace: Path, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = succeed(flags())
    newer = write_csv(long_table({"north": 130, "harbour": 70}, seed=9), "newer.csv")
    load = ["--is_training", "0", "--load", f"checkpoints/{record['run']['setting']}", "--data_path", str(newer)]
    assert run.main([*load, "--device", "cpu"]) == 0
    assert run.main([*load, "--device", "cpu", "--do_predict"]) == 0
    (path,) = (path for path in workplace.glob("results/*_on_newer*/forecast.csv"))
    assert set(pd.read_csv(path)["id"]) == {"north", "harbour"}
    assert len(pd.read_csv(path.parent / SCORES)) == 2
    assert "1 series were not in training (zero-shot): harbour" in caplog.text


def test_a_value_beyond_all_measure_is_refused_with_its_place(flags: Flags, capsys: pytest.CaptureFixture[str]) -> None:
    table = long_table()
    table.loc[115, "y"] = 1e60
    error = refused(flags(table=table), capsys)
    assert "'north', column 'y', 2024-06-26 00:00:00: 1e+60 is more than 1e+15" in error


def test_a_series_that_ended_long_ago_without_known_columns_keeps_no_other_from_its_forecast(
    flags: Flags, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = long_table({**LENGTHS, "closed": 60}, ahead=AHEAD)
    closed = table["store"] == "closed"
    table = table[~(closed & table["y"].isna())]
    table.loc[closed, "date"] -= pd.Timedelta(days=50)
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags("iTransformer", table, future_cols="promo"))
    forecast = pd.read_csv(workplace / "results" / record["run"]["setting"] / "forecast.csv")
    assert list(forecast["id"].unique()) == list(LENGTHS)
    assert "not forecast (ended long ago, and their columns known in advance do not go on): closed" in caplog.text


def test_sums_over_series_have_intervals_of_their_own(
    flags: Flags, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    random = np.random.default_rng(0)
    dates = pd.date_range("2024-01-01", periods=200)
    noise = random.normal(0, 5, 200)  # what one series has more, the other has less
    level = 100 + 10 * np.sin(2 * np.pi * np.arange(200) / 7)
    table = pd.concat(
        pd.DataFrame({"id": name, "date": dates, "y": level + sign * noise}) for name, sign in (("a", 1), ("b", -1))
    )
    (record,) = succeed(flags("SeasonalNaive", table=table, aggregate="sum,week"))
    folder = Path("results") / record["run"]["setting"]
    forecast, sums = pd.read_csv(folder / "forecast.csv"), pd.read_csv(folder / "forecast_sums.csv")
    assert sums["forecast"].sum() == pytest.approx(forecast["forecast"].sum())
    assert re.search(r"standard deviations of a series, \d\.?\d* % of its mean size", caplog.text)
    width = (forecast["upper"] - forecast["lower"]).groupby(forecast["id"]).mean().sum()
    assert (sums["upper"] - sums["lower"]).max() < width / 10
    few = write_csv(table[table["id"] == "a"].assign(id="a"), "few.csv")
    argv = ["--is_training", "0", "--do_predict", "--load", str(Path("checkpoints") / record["run"]["setting"])]
    succeed([*argv, "--data_path", str(few), "--id_col", "id", "--aggregate", "sum", "--device", "cpu"])
    (other,) = (path for path in Path("results").glob("*_on_few*/forecast_sums.csv"))
    assert pd.read_csv(other)["upper"].isna().all()  # the sum of both is another one
    assert "the sum over series has no interval" in caplog.text
    succeed(flags("SeasonalNaive", table=table, aggregate="week"))
    of_series = pd.read_csv(folder / "forecast_sums.csv")
    assert list(of_series["id"].unique()) == ["a", "b"]
    assert (of_series["upper"] - of_series["lower"] > 10).all()
