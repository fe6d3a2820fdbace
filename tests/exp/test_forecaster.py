"""The forecaster for notebooks: pandas in and out, in the table's units and on its clock."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

import run
from exp.forecaster import Forecaster
from tests.conftest import hourly_table
from tests.helpers.commands import tiny_run
from utils.errors import UserError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path, tiny_words: Path) -> Path:
    """A checkpoint of the hourly table, tested."""
    folder = tmp_path_factory.mktemp("forecaster")
    hourly_table().to_csv(folder / "data.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main(tiny_run(folder / "data.csv", tiny_gpt2, tiny_words)) == 0
    (found,) = (folder / "checkpoints").iterdir()
    return found


@pytest.fixture
def forecaster(checkpoint: Path) -> Forecaster:
    return Forecaster.load(checkpoint)


def test_it_goes_on_with_a_table_in_its_units_and_dates(forecaster: Forecaster) -> None:
    table = hourly_table(100)
    future = forecaster.predict(table)
    assert list(future)[:5] == ["date", "column", "forecast", "lower", "upper"]
    assert list(future["column"].unique()) == ["c0", "c1", "OT"] == list(forecaster.columns)
    assert list(future["date"].unique()) == list(pd.date_range("2024-01-05 04:00", periods=8, freq="h"))
    assert future["forecast"].between(8, 12).all()
    assert (future["lower"] < future["forecast"]).all()
    assert (future["forecast"] < future["upper"]).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[["OT", "date", "c1", "c0"]],
        lambda t: t.assign(extra="text"),
        lambda t: t.set_index("date"),
        lambda t: t.rename(columns={"date": "when"}),
        lambda t: t.assign(date=t["date"].astype(str)),
        lambda t: t.iloc[-24:],
    ],
)
def test_the_form_of_the_table_does_not_matter(
    forecaster: Forecaster, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    expected = forecaster.predict(hourly_table(100))
    pd.testing.assert_frame_equal(forecaster.predict(change(hourly_table(100))), expected)


def test_dates_stay_in_the_time_zone_of_the_table(forecaster: Forecaster) -> None:
    dates = pd.date_range("2024-10-26 00:00", periods=25, freq="h", tz="Europe/Berlin")
    future = forecaster.predict(hourly_table(25).assign(date=dates))
    assert list(future["date"].unique()) == list(pd.date_range(dates[-1], periods=9, freq="h")[1:])
    assert str(future["date"].dt.tz) == "Europe/Berlin"


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path, tiny_words: Path) -> Forecaster:
    """A forecaster of daily steps."""
    folder = tmp_path_factory.mktemp("daily")
    table = hourly_table()
    table["date"] = pd.date_range("2020-01-01", periods=len(table), freq="D")
    table.to_csv(folder / "data.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main(tiny_run(folder / "data.csv", tiny_gpt2, tiny_words)) == 0
    return Forecaster.load(next((folder / "checkpoints").iterdir()))


@pytest.mark.parametrize(
    ("zone", "end"),
    [
        ("Europe/Berlin", "2021-10-28"),
        ("Europe/Berlin", "2021-03-25 02:30"),
        ("Europe/Berlin", "2021-11-05"),
        ("America/Sao_Paulo", "2018-11-01"),
        ("Africa/Cairo", "2024-04-22"),
    ],
)
@pytest.mark.parametrize("name", ["date", "when", None])
def test_days_keep_the_time_of_the_clock_when_it_is_changed(
    daily: Forecaster, zone: str, end: str, name: str | None
) -> None:
    days = pd.date_range(end=pd.Timestamp(end) + pd.Timedelta(days=8), periods=38, freq="D")
    known = days[:30].tz_localize(zone, nonexistent="shift_forward", ambiguous=np.ones(30, bool))
    expected = days[30:].tz_localize(zone, nonexistent="shift_forward", ambiguous=np.ones(8, bool))
    table = hourly_table(30).drop(columns="date")
    table = table.set_axis(known) if name is None else table.assign(**{name: known})
    assert list(known.tz_localize(None)) == list(days[:30])
    future = daily.predict(table)
    assert list(future["date"].unique()) == list(expected)
    assert str(future["date"].dt.tz) == zone


def test_periods_are_dates_too(forecaster: Forecaster) -> None:
    expected = forecaster.predict(hourly_table(100))
    table = hourly_table(100).set_index(pd.period_range("2024-01-01", periods=100, freq="h")).drop(columns="date")
    pd.testing.assert_frame_equal(forecaster.predict(table), expected)


def test_several_intervals_have_a_row_each_and_none_can_be_wanted(forecaster: Forecaster) -> None:
    both = forecaster.predict(hourly_table(100), interval=[0.5, 0.9])
    narrow, wide = (both[both["level"] == level] for level in (0.5, 0.9))
    assert len(both) == 2 * 3 * 8
    assert (
        wide["upper"].to_numpy() - wide["lower"].to_numpy() > narrow["upper"].to_numpy() - narrow["lower"].to_numpy()
    ).all()
    none = forecaster.predict(hourly_table(100), interval=None)
    assert none[["lower", "upper"]].isna().all(axis=None)
    assert len(none) == 24


Paths = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def by_hand(checkpoint: Path) -> Paths:
    """The errors (n, H, C) of all windows after training over the scale of each, in order of time; and their floor."""
    table, forecaster = hourly_table(), Forecaster.load(checkpoint)
    values = (table[["c0", "c1", "OT"]].to_numpy() - forecaster.series.mean) / forecaster.series.scale
    origins, errors = range(280, 393), []
    for origin in origins:
        forecast = forecaster.predict(table.iloc[origin - 24 : origin])["forecast"].to_numpy().reshape(3, 8).T
        errors.append(values[origin : origin + 8] - (forecast - forecaster.series.mean) / forecaster.series.scale)
    variances = np.stack([values[origin - 24 : origin].var(axis=0) for origin in origins])
    floor = 0.1 * variances[:40].mean(axis=0)  # before the test
    return np.stack(errors) / np.sqrt(variances + floor)[:, None], floor


def check_bounds(
    future: pd.DataFrame, forecaster: Forecaster, end: int, ranks: tuple[int, int], by_hand: Paths
) -> None:
    """Compare the bounds after the first ``end`` rows with those of all errors that were known there."""
    paths, floor = by_hand
    known = np.sort(paths[: end - 280 - 8 + 1], axis=0)
    scale = forecaster.series.scale
    window = (hourly_table()[["c0", "c1", "OT"]].to_numpy()[end - 24 : end] - forecaster.series.mean) / scale
    unit = np.sqrt(window.var(axis=0) + floor) * scale
    for bound, rank, side in zip(("lower", "upper"), ranks, (np.minimum, np.maximum), strict=True):
        offset = (future[bound] - future["forecast"]).to_numpy().reshape(3, 8).T
        np.testing.assert_allclose(offset, side(known[rank - 1], 0) * unit, rtol=1e-4, atol=1e-6)


def test_bounds_are_those_of_the_errors_in_validation_and_test(forecaster: Forecaster, by_hand: Paths) -> None:
    check_bounds(forecaster.predict(hourly_table()), forecaster, 400, (5, 109), by_hand)


def test_bounds_of_a_backtest_know_nothing_of_what_came_later(forecaster: Forecaster, by_hand: Paths) -> None:
    found = forecaster.backtest(hourly_table(), origins=3)
    for end, ranks in ((376, (4, 86)), (384, (4, 94)), (392, (5, 101))):
        check_bounds(found[found["origin"] == hourly_table()["date"][end - 1]], forecaster, end, ranks, by_hand)


def test_a_table_that_was_not_trained_on_has_the_bounds_of_its_dates(forecaster: Forecaster) -> None:
    table = hourly_table()
    early = forecaster.backtest(table.iloc[:60], origins=1)
    assert early["forecast"].notna().all() and early["lower"].isna().all()
    later = table.assign(date=table["date"] + pd.Timedelta(days=50))
    pd.testing.assert_frame_equal(
        forecaster.backtest(later, origins=1)[["lower", "upper"]],
        forecaster.predict(later.iloc[:-8])[["lower", "upper"]],
    )


def test_a_checkpoint_that_does_not_tell_when_errors_were_known_shows_no_bounds_of_the_past(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    content = load_file(folder / "intervals.safetensors")
    del content["known_from"]
    save_file(content, folder / "intervals.safetensors")
    older = Forecaster.load(folder)
    assert older.predict(hourly_table())["lower"].notna().all()
    found = older.backtest(hourly_table(), origins=2)
    assert found["actual"].notna().all() and found[["lower", "upper"]].isna().all(axis=None)
    assert "holds no prediction intervals to show here: test it" in caplog.text


def test_longer_forecasts_are_rolled_on_their_own_output(
    forecaster: Forecaster, caplog: pytest.LogCaptureFixture
) -> None:
    table = hourly_table(100)
    long = forecaster.predict(table, predict_len=20)
    first = forecaster.predict(table).pivot(index="date", columns="column", values="forecast").reset_index()
    second = forecaster.predict(pd.concat([table, first])).pivot(index="date", columns="column", values="forecast")
    rolled = long.pivot(index="date", columns="column", values="forecast")
    assert len(rolled) == 20
    np.testing.assert_allclose(rolled.iloc[8:16], second, rtol=1e-5)
    assert long.groupby("column")["lower"].count().eq(8).all()
    warned = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert any("20 steps are more than the 8" in message for message in warned)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t.drop(columns="c1"), {}, r"the table lacks the column 'c1'"),
        (lambda t: t.iloc[:20], {}, r"the table has 20 rows, the model looks back 24"),
        (lambda t: t.drop(index=[90]), {"fill": "none"}, r"1 step\(s\) of h are missing"),
        (lambda t: t.assign(c0=np.nan), {"fill": "ffill"}, r"'c0' has no values at all"),
        (lambda t: t.assign(c0=1e40), {}, r"column 'c0', row 76: 1e\+40 is more than"),
        (lambda t: t.iloc[::2], {}, r"a row every 2h, the model was trained on one every h"),
        (lambda t: t, {"predict_len": 0}, r"predict_len"),
        (lambda t: t, {"predict_len": 2.5}, r"predict_len"),
        (lambda t: t, {"interval": 90}, r"interval"),
        (lambda t: t, {"interval": [0.5, "a"]}, r"interval"),
        (lambda t: t, {"fill": "zeros"}, r"fill"),
        (lambda t: t, {"date_col": "when"}, r"no column 'when'"),
        (lambda t: t.to_numpy(), {}, r"DataFrame"),
        (lambda t: t.set_index(["date", "c0"]), {}, r"several levels"),
        (lambda t: t, {"predict_len": True}, r"predict_len True"),
        (lambda t: t, {"predict_len": 10**7}, r"beyond the year 2262"),
        (lambda t: t.assign(date=t["date"].iloc[0]), {}, r"is a duplicate"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(
    forecaster: Forecaster, change: Callable[[pd.DataFrame], Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        forecaster.predict(change(hourly_table(100)), **options)


def tampered(checkpoint: Path, folder: Path, path: tuple[str, ...], value: object) -> Path:
    """Copy a checkpoint with one value of its configuration changed."""
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("data",), None),
        (("data", "columns"), ["c0", "c1"]),
        (("data", "columns"), ["c0", "c0", "c0"]),
        (("data", "columns"), [1, 2, 3]),
        (("data", "columns"), [["c0"], ["c1"], ["OT"]]),
        (("data", "columns"), "abc"),
        (("data", "columns"), None),
        (("data", "scaler"), {}),
        (("data", "scaler"), []),
        (("data", "scaler", "mean"), [0.0, 0.0, float("nan")]),
        (("data", "scaler", "mean"), [0.0, 0.0, 10**400]),
        (("data", "scaler", "scale"), [1.0, 0.0, 1.0]),
        (("data", "scaler", "scale"), [1.0, 1.0]),
        (("data", "scaler", "scale"), ["1", "1", "1"]),
        (("data", "scaler", "scale"), [True, True, True]),
        (("data", "frequency"), "often"),
        (("data", "frequency"), 3),
        (("data", "features"), "X"),
        (("data", "features"), ["M"]),
        (("data", "date_column"), ["date"]),
        (("run",), []),
        (("run", "config"), []),
        (("run", "config", "precision"), "fp8"),
        (("run", "config", "precision"), {}),
    ],
)
def test_a_tampered_configuration_is_refused(
    checkpoint: Path, tmp_path: Path, path: tuple[str, ...], value: object
) -> None:
    folder = tampered(checkpoint, tmp_path / "checkpoint", path, value)
    with pytest.raises(UserError, match=r"config\.json"):
        Forecaster.load(folder)


@pytest.mark.parametrize("action", [[], ["--do_predict"]], ids=["test", "forecast"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "model.safetensors does not fit config.json: head.weight holds NaN"),
        (np.inf, "model.safetensors does not fit config.json: head.weight holds NaN"),
        (3e38, "The model forecasts NaN or infinite values for "),
    ],
)
def test_weights_that_give_no_numbers_are_refused_and_nothing_is_overwritten(
    checkpoint: Path, workplace: Path, capsys: pytest.CaptureFixture[str], action: list[str], value: float, message: str
) -> None:
    folder = workplace / "checkpoint"
    shutil.copytree(checkpoint, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["head.weight"][:] = value
    save_file(tensors, folder / "model.safetensors")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run.main(["--is_training", "0", "--load", str(folder), "--device", "cpu", *action]) == 2
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert {path.parent for path in workplace.rglob("*") if path.is_file()} == {folder}


@pytest.mark.parametrize("action", [[], ["--do_predict"]], ids=["test", "forecast"])
def test_an_edited_scaler_is_told_in_one_line(
    checkpoint: Path, workplace: Path, caplog: pytest.LogCaptureFixture, action: list[str]
) -> None:
    folder = tampered(checkpoint, workplace / "checkpoint", ("data", "scaler", "mean"), [0.0, 0.0, 0.0])
    assert run.main(["--is_training", "0", "--load", str(folder), "--device", "cpu", *action]) == 0
    assert caplog.text.count(f"note: {folder}/config.json was changed after it was saved") == 1


@pytest.mark.parametrize("action", [[], ["--do_predict"]], ids=["test", "forecast"])
def test_a_bug_inside_a_model_ends_with_its_traceback(
    checkpoint: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, action: list[str]
) -> None:
    monkeypatch.setattr("layers.cross_modal_match.CrossModalMatch.__init__", lambda self, *args: self.wrods)
    with pytest.raises(AttributeError, match="wrods"):
        run.main(["--is_training", "0", "--load", str(checkpoint), "--device", "cpu", *action])


def test_intervals_of_another_size_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    content = {"paths": np.ones((5, 9, 3), np.float32), "floor": np.ones(3), "windows": np.array([5])}
    save_file(content, folder / "intervals.safetensors")
    with pytest.raises(UserError, match=r"intervals\.safetensors"):
        Forecaster.load(folder)


def test_without_intervals_there_is_a_forecast_all_the_same(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    (folder / "intervals.safetensors").unlink()
    future = Forecaster.load(folder).predict(hourly_table(100))
    assert future["forecast"].notna().all()
    assert future["lower"].isna().all()
    assert "holds no prediction intervals" in caplog.text
