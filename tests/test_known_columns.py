"""Columns known in advance: what a model may see of them, what it never sees of others, and what is refused."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import models
import run
from data_provider.config import DataConfig
from data_provider.factory import ForecastData, load_data
from data_provider.windows import Split
from exp.forecaster import Forecaster
from tests.conftest import WriteCsv, hourly_table
from tests.helpers.commands import refused, small, succeed
from utils.errors import UserError

ROWS, AHEAD, L, H = 240, 12, 24, 6
READERS = [name for name in models.MODELS if models.find_config(name).takes_known]
OTHERS = [name for name in models.MODELS if name not in READERS]
every_reader = pytest.mark.parametrize("name", READERS)

Flags = Callable[..., list[str]]


def driven_table(seed: int = 0) -> pd.DataFrame:
    """A target that follows a switch at once, beside another column; the last rows have the switch alone."""
    random = np.random.default_rng(seed)
    table = hourly_table(ROWS + AHEAD, channels=2, seed=seed)
    table.insert(1, "promo", random.integers(0, 2, len(table)))
    table.insert(2, "heat", 20 + 5 * random.normal(size=len(table)))
    table["OT"] += 3 * table["promo"]
    table.loc[ROWS:, ["c0", "OT"]] = np.nan
    return table


@pytest.fixture
def flags(tiny_gpt2: Path, tiny_words: Path, write_csv: WriteCsv, workplace: Path) -> Flags:
    """Flags of a short run on the driven table, or on another one."""

    def build(name: str = "CALF", table: pd.DataFrame | None = None, **more: object) -> list[str]:
        values = {
            "model": name, "data_path": write_csv(driven_table() if table is None else table), "seq_len": L,
            "pred_len": H, "future_cols": "promo,heat", "train_epochs": 1, "batch_size": 32, "device": "cpu",
            "log": "none", **small(name, tiny_gpt2, tiny_words), **more,
        }  # fmt: skip
        return [part for flag, value in values.items() if value is not None for part in (f"--{flag}", str(value))]

    return build


def load(table: pd.DataFrame, write_csv: WriteCsv, **more: Any) -> ForecastData:
    path = write_csv(table, name="loaded.csv")
    config = {"data": "custom", "data_path": str(path), "seq_len": L, "pred_len": H, "future_cols": "promo,heat"}
    return load_data(DataConfig(**config | more))


@pytest.fixture(scope="module")
def kept() -> dict[tuple[object, ...], Path]:
    """Folders of checkpoints that were trained on the driven table."""
    return {}


@pytest.fixture
def trained(flags: Flags, workplace: Path, kept: dict[tuple[object, ...], Path]) -> Callable[..., Forecaster]:
    """Train a model on the driven table, once for all tests, or on another table."""

    def train(name: str, table: pd.DataFrame | None = None, **more: object) -> Forecaster:
        key = (name, *more.items())
        if table is None and key in kept:
            return Forecaster.load(kept[key])
        (record,) = succeed(flags(name, table, **more))
        folder = workplace / "checkpoints" / record["run"]["setting"]
        if table is None:
            kept[key] = folder
        return Forecaster.load(folder)

    return train


def numbers(forecast: pd.DataFrame) -> np.ndarray:
    return forecast["forecast"].to_numpy()


@pytest.mark.parametrize("steps", [None, 4, 9])
def test_a_backtest_takes_known_columns_from_the_rows_after_an_origin(
    trained: Callable[..., Forecaster], steps: int | None
) -> None:
    table = driven_table().iloc[:ROWS]
    forecaster = trained("iTransformer", refit=0)
    found = forecaster.backtest(table, origins=2, predict_len=steps)
    for origin, part in found.groupby("origin"):
        known = table["date"] <= origin
        expected = forecaster.predict(table[known], steps, future=table[~known].drop(columns=["c0", "OT"]))
        np.testing.assert_allclose(part["forecast"], expected["forecast"], rtol=1e-6)
        came = table[~known].head(steps or H)
        np.testing.assert_allclose(part["actual"], [*came["c0"], *came["OT"]])


def test_known_columns_keep_the_value_before_in_a_gap_after_an_origin(trained: Callable[..., Forecaster]) -> None:
    table, forecaster = driven_table().iloc[:ROWS], trained("iTransformer")
    found = forecaster.backtest(table.drop(index=ROWS - 3), origins=1)
    table.loc[ROWS - 3, ["promo", "heat"]] = table.loc[ROWS - 4, ["promo", "heat"]]
    np.testing.assert_allclose(found["forecast"], forecaster.backtest(table, origins=1)["forecast"], rtol=1e-6)
    assert found["actual"].isna().sum() == 2


@every_reader
def test_the_future_of_a_known_column_moves_a_forecast_and_that_of_no_other_column_does(
    trained: Callable[..., Forecaster], name: str
) -> None:
    forecaster = trained(name)
    table = driven_table(seed=3)
    usual = numbers(forecaster.predict(table, interval=None))
    others, known = table.copy(), table.copy()
    others.loc[ROWS:, "c0"] = 1e3
    known.loc[ROWS:, "promo"] = 1 - known.loc[ROWS:, "promo"]
    np.testing.assert_array_equal(numbers(forecaster.predict(others, interval=None)), usual)
    assert np.abs(numbers(forecaster.predict(known, interval=None)) - usual).min() > 0


@every_reader
def test_no_window_sees_the_future_of_a_column_that_is_not_known(
    trained: Callable[..., Forecaster], write_csv: WriteCsv, name: str
) -> None:
    model = trained(name).model
    table = driven_table()
    usual = load(table, write_csv)
    for split in (Split.VAL, Split.TEST):
        origin = int(usual.windows[split].__getitems__([2]).origins)
        changed = table.copy()
        changed.loc[origin : ROWS - 1, ["c0", "OT"]] += np.linspace(1, 2, ROWS - origin)[:, None]
        batches = [data.windows[split].__getitems__([2]) for data in (usual, load(changed, write_csv))]
        assert not torch.equal(batches[0].y, batches[1].y)
        forecasts = [model(batch.x, **batch.covariates).forecast for batch in batches]
        assert torch.equal(*forecasts)


def test_windows_hold_the_true_past_and_future_of_known_columns_and_no_more(write_csv: WriteCsv) -> None:
    table = driven_table()
    data = load(table, write_csv)
    train = table.iloc[: int(0.7 * ROWS)]
    scaled = np.stack([table["promo"], (table["heat"] - train["heat"].mean()) / train["heat"].std(ddof=0)], axis=1)
    for windows in data.windows.values():
        batch = windows.__getitems__([0, len(windows) - 1])
        assert batch.known.shape == (2, L + H, 2)
        for known, origin in zip(batch.known, batch.origins.tolist(), strict=True):
            np.testing.assert_allclose(known, scaled[origin - L : origin + H], rtol=1e-5, atol=1e-6)
    assert set(data.columns) == {"c0", "OT"}


@every_reader
def test_known_columns_are_never_forecast_and_never_scored(flags: Flags, workplace: Path, name: str) -> None:
    (record,) = succeed(flags(name))
    assert record["scores"]["metrics"][name]["standardised"]["per_channel"].keys() == {"c0", "OT"}
    forecast = pd.read_csv(workplace / "results" / record["run"]["setting"] / "forecast.csv")
    assert set(forecast["column"]) == {"c0", "OT"}
    assert record["model"]["config"]["known"] == 2


def test_a_model_learns_from_a_known_column(flags: Flags) -> None:
    scores = {}
    for ignored in (None, "promo,heat"):
        argv = flags(
            "iTransformer", train_epochs=8, patience=8, batch_size=8, learning_rate=0.01, tmax=16,
            ignore=ignored, future_cols=None if ignored else "promo,heat",
        )  # fmt: skip
        (record,) = [one for one in succeed(argv) if bool(one["model"]["config"]["known"]) != bool(ignored)]
        scores[ignored] = record["scores"]["metrics"]["iTransformer"]["standardised"]["per_channel"]["OT"]["mse"]
    assert scores[None] < 0.8 * scores["promo,heat"]


@every_reader
def test_every_parameter_of_a_model_with_known_columns_gets_a_gradient(
    tiny_gpt2: Path, tiny_words: Path, name: str
) -> None:
    kind = models.find_model(name)
    model = kind.build(kind.Config(L, H, 3, 24, 2, **small(name, tiny_gpt2, tiny_words)), write=False).train()
    model.training_loss(torch.randn(4, L, 3), torch.randn(4, H, 3), known=torch.randn(4, L + H, 2)).backward()
    for parameter in (p for group in model.parameter_groups() for p in group.parameters):
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


@every_reader
def test_a_forecast_with_known_columns_depends_on_no_other_window(
    trained: Callable[..., Forecaster], name: str
) -> None:
    model = trained(name).model
    x, known = torch.randn(5, L, 2), torch.randn(5, L + H, 2)
    with torch.inference_mode():
        together = model(x, known=known).forecast
        alone = torch.cat([model(x[i : i + 1], known=known[i : i + 1]).forecast for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_causal_attention_lets_every_channel_of_calf_see_the_known_columns(tiny_gpt2: Path, tiny_words: Path) -> None:
    kind = models.find_model("CALF")
    model = kind.build(kind.Config(L, H, 3, 24, 2, **small("CALF", tiny_gpt2, tiny_words)), write=False).eval()
    x, known = torch.randn(1, L, 3), torch.randn(1, L + H, 2, requires_grad=True)
    forecast = model(x, known=known).forecast
    for channel in range(3):
        (gradient,) = torch.autograd.grad(forecast[..., channel].sum(), known, retain_graph=True)
        assert (gradient != 0).any(dim=1).all()


def test_features_of_calf_are_of_the_channels_alone(tiny_gpt2: Path, tiny_words: Path) -> None:
    kind = models.find_model("CALF")
    model = kind.build(kind.Config(L, H, 3, 24, 2, **small("CALF", tiny_gpt2, tiny_words)), write=False)
    output = model.branches(torch.randn(4, L, 3), torch.randn(4, L + H, 2))
    assert {feature.shape[1] for feature in (*output.time_features, *output.text_features)} == {3}
    assert output.text_forecast.shape == (4, H, 3)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("wanted", [{"future_cols": "promo"}, {"calendar": 1}, {"holidays": "DE"}], ids=str)
def test_a_model_that_cannot_use_them_is_refused_by_name(
    flags: Flags, capsys: pytest.CaptureFixture[str], name: str, wanted: dict[str, object]
) -> None:
    error = refused(flags(name, **{"future_cols": None, **wanted}), capsys)
    assert f"--{next(iter(wanted))}: {name} cannot use columns known in advance" in error
    assert all(reader in error for reader in READERS)


def test_the_future_may_stand_in_a_file_of_its_own(
    flags: Flags, trained: Callable[..., Forecaster], workplace: Path, write_csv: WriteCsv
) -> None:
    table = driven_table()
    (record,) = succeed(flags("iTransformer"))
    folder = workplace / "results" / record["run"]["setting"]
    usual = (folder / "forecast.csv").read_text()
    (folder / "forecast.csv").unlink()
    future = write_csv(table.loc[ROWS - 3 :, ["heat", "date", "promo"]], name="future.csv")
    succeed(
        [*flags("iTransformer", table.iloc[:ROWS]), "--is_training", "0", "--do_predict", "--future_path", str(future)]
    )
    again = [path.read_text() for path in (workplace / "results").glob("*/forecast.csv")]
    assert again == [usual]


def test_a_forecaster_takes_the_future_as_a_table(trained: Callable[..., Forecaster]) -> None:
    forecaster, table = trained("iTransformer"), driven_table()
    usual = forecaster.predict(table)
    future = table.loc[ROWS:, ["date", "promo", "heat"]]
    pd.testing.assert_frame_equal(forecaster.predict(table.iloc[:ROWS], future=future), usual)
    pd.testing.assert_frame_equal(forecaster.predict(table.iloc[:ROWS], future=future.set_index("date")), usual)


def test_a_rolled_forecast_asks_for_no_known_values_beyond_its_end(trained: Callable[..., Forecaster]) -> None:
    forecaster, table = trained("iTransformer"), driven_table()
    rolled = forecaster.predict(table, predict_len=AHEAD - 2, interval=None)
    assert len(rolled) == 2 * (AHEAD - 2)
    beyond = table.copy()
    beyond.loc[ROWS + AHEAD - 2 :, "promo"] = 1 - beyond.loc[ROWS + AHEAD - 2 :, "promo"]
    pd.testing.assert_frame_equal(forecaster.predict(beyond, predict_len=AHEAD - 2, interval=None), rolled)
    first = forecaster.predict(table, interval=None)
    own = rolled["column"] == "OT"
    np.testing.assert_array_equal(rolled[own]["forecast"][:H], first[first["column"] == "OT"]["forecast"])


def test_a_forecast_that_lacks_them_is_refused_with_the_rows_needed(trained: Callable[..., Forecaster]) -> None:
    forecaster, table = trained("iTransformer"), driven_table()
    needed = r"needs promo, heat, .* for the 6 rows after its end, 2024-01-11 00:00:00 to 2024-01-11 05:00:00"
    with pytest.raises(UserError, match=f"{needed}; 'promo' is missing at 2024-01-11 00:00:00"):
        forecaster.predict(table.iloc[:ROWS])
    with pytest.raises(UserError, match=f"{needed}; 'promo' is missing at 2024-01-11 04:00:00"):
        forecaster.predict(table.iloc[: ROWS + 4])
    with pytest.raises(UserError, match="lacks the column 'heat' that the network was trained on"):
        forecaster.predict(table.iloc[:ROWS], future=table.loc[ROWS:, ["date", "promo"]])
    with pytest.raises(UserError, match="has no column 'promo', which is known in advance"):
        forecaster.predict(table.drop(columns="promo"))


def test_a_file_without_their_future_is_trained_on_but_not_forecast(
    flags: Flags, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, workplace: Path
) -> None:
    short = driven_table().iloc[:ROWS]
    error = refused(flags("iTransformer", short, do_predict=1), capsys)
    assert "'promo' is missing at 2024-01-11 00:00:00" in error
    with caplog.at_level(logging.INFO):
        succeed(flags("iTransformer", short))
    assert "no forecast beyond the file's end is made" in caplog.text
    assert not list(workplace.glob("results/*/forecast.csv"))


def empty(row: int, column: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[row, column] = np.nan
        return table

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (empty(5, "heat"), r"column 'heat', line 7 \(2024-01-01 05:00:00\): a value is missing"),
        (empty(ROWS + 2, "promo"), rf"column 'promo', line {ROWS + 4} .*: a value is missing"),
        (lambda t: t.drop(columns="heat"), "has no column 'heat', which is known in advance"),
    ],
)  # fmt: skip
def test_missing_values_among_them_are_refused_with_the_place(
    flags: Flags, capsys: pytest.CaptureFixture[str], change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    error = refused(flags("iTransformer", change(driven_table())), capsys)
    assert pd.Series([error]).str.contains(said).all(), error


def test_a_row_that_the_file_lacks_keeps_the_known_values_before_it(write_csv: WriteCsv) -> None:
    table = driven_table()
    data = load(table.drop(index=[50]), write_csv)
    assert data.series.known[50].tolist() == data.series.known[49].tolist()


def test_the_target_and_the_dates_cannot_be_known_columns(flags: Flags, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'OT' is named by --target and by --future_cols" in refused(flags(future_cols="OT"), capsys)
    assert "'date' tells dates or series apart" in refused(flags(future_cols="date"), capsys)
    assert "'heat' is named by --ignore and by --future_cols" in refused(flags(ignore="heat"), capsys)
    assert "'heat' is named by --columns and by --future_cols" in refused(flags(columns="heat,OT"), capsys)


@pytest.mark.parametrize("names", ["promo,promo", ",", "promo,"])
def test_names_that_repeat_or_are_empty_are_refused(
    flags: Flags, capsys: pytest.CaptureFixture[str], names: str
) -> None:
    assert "names of columns with commas between, each once" in refused(flags(future_cols=names), capsys)
    assert "codes of countries" in refused(flags(future_cols=None, holidays="DE,DE"), capsys)


def test_a_future_file_without_known_columns_is_refused(
    flags: Flags, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(name="future.csv")
    assert "name them with --future_cols" in refused(flags(future_cols=None, future_path=path), capsys)


def test_a_checkpoint_keeps_its_known_columns_and_a_damaged_one_is_refused(
    trained: Callable[..., Forecaster], workplace: Path
) -> None:
    forecaster = trained("iTransformer", calendar=1)
    known = forecaster.series.known
    assert known.names == (
        "promo",
        "heat",
        "calendar hour",
        "calendar weekday",
        "calendar month",
        "calendar day of year",
    )
    assert (known.mean[0], known.scale[0]) == (0, 1)
    path = forecaster.model.stored.folder / "config.json"
    content = json.loads(path.read_text())
    content["data"]["known"]["scale"] = [1.0]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="has not one mean and scale for each column"):
        Forecaster.load(path.parent)


def test_several_data_sets_share_a_calendar(
    flags: Flags, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_csv(hourly_table(seed=5, channels=2), name="other.csv")
    own = write_csv(hourly_table(seed=6, channels=2), name="own.csv")
    both = ["--data", "custom,custom", "--data_path", f"{own},{other}"]
    assert run.main([*flags("iTransformer", future_cols=None, calendar=1), *both]) == 0
    records = [json.loads(path.read_text()) for path in Path("results").glob("*/*/metrics.json")]
    assert [record["model"]["config"]["known"] for record in records] == [4, 4]
    daily = hourly_table(seed=6, channels=2)
    daily["date"] = pd.date_range("2020-01-01", periods=len(daily), freq="D")
    both[-1] = f"{own},{write_csv(daily, name='daily.csv')}"
    error = refused([*flags("iTransformer", future_cols=None, calendar=1), *both], capsys)
    assert "the columns known in advance differ" in error


def test_no_known_columns_leave_a_network_as_it_was(tiny_gpt2: Path, tiny_words: Path) -> None:
    for name in READERS:
        kind, states = models.find_model(name), []
        for known in (0, 2):
            torch.manual_seed(0)
            config = kind.Config(L, H, 3, 24, known, **small(name, tiny_gpt2, tiny_words))
            states.append(kind.build(config, write=False).state_dict())
        assert set(states[1]) - set(states[0]) == {n for n in states[1] if n.startswith("known_embedding")}
        assert not [n for n in states[0] if n.startswith("known_embedding")]


def test_the_command_says_what_is_known_in_advance(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert run.main([*flags(), "--dry_run"]) == 0
    assert "known in advance: promo, heat" in caplog.text


def test_a_future_that_cannot_be_used_is_refused_before_training(
    flags: Flags, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
) -> None:
    table = driven_table()
    past, future = table.iloc[:ROWS], table.loc[ROWS:, ["date", "promo", "heat"]]
    lacking = write_csv(future.drop(columns="heat"), name="lacking.csv")
    short = write_csv(future.head(H - 1), name="short.csv")
    for path, said in (
        ("nofile.csv", "nofile.csv: there is no such file"),
        (lacking, "lacks the column 'heat'"),
        (short, "'promo' is missing at 2024-01-11 05:00:00, in"),
    ):
        assert said in refused(flags("iTransformer", past, future_path=path), capsys)
    calendar = flags("iTransformer", past, future_cols=None, calendar=1, future_path=short)
    assert "name them with --future_cols" in refused(calendar, capsys)


def test_a_future_beyond_all_measure_is_refused_with_its_place(trained: Callable[..., Forecaster]) -> None:
    table = driven_table()
    future = table.loc[ROWS:, ["date", "promo", "heat"]].assign(heat=1e30)
    said = r"column 'heat', known in advance, 2024-01-11 00:00:00: 1e\+30 is more than"
    with pytest.raises(UserError, match=said):
        trained("iTransformer").predict(table.iloc[:ROWS], future=future)


def test_the_future_may_be_written_with_another_offset_from_utc(trained: Callable[..., Forecaster]) -> None:
    table = driven_table()
    aware = table.assign(date=table["date"].dt.tz_localize("UTC"))
    forecaster = trained("iTransformer", table=aware)
    usual = forecaster.predict(aware)
    past, future = aware.iloc[:ROWS], aware.loc[ROWS - 5 :, ["date", "promo", "heat"]]
    berlin = future.assign(date=future["date"].dt.tz_convert("Europe/Berlin"))
    pd.testing.assert_frame_equal(forecaster.predict(past, future=berlin), usual)
    plain = future.assign(date=future["date"].dt.tz_localize(None))
    with pytest.raises(UserError, match="only the dates of the table have offsets from UTC"):
        forecaster.predict(past, future=plain)


@pytest.mark.parametrize("first", [ROWS - 40, ROWS, 0])
def test_rows_that_are_counted_are_joined_by_their_number_or_follow_the_end(
    trained: Callable[..., Forecaster], first: int
) -> None:
    table = driven_table()
    counted = table.assign(date=np.arange(1, len(table) + 1)).rename(columns={"date": "t"})
    forecaster = trained("iTransformer", table=counted)
    usual = forecaster.predict(counted, interval=None)
    past, future = counted.iloc[:ROWS], counted.loc[first:, ["t", "promo", "heat"]]
    pd.testing.assert_frame_equal(forecaster.predict(past, future=future, interval=None), usual)
    anew = counted.loc[ROWS:, ["t", "promo", "heat"]].assign(t=np.arange(1, AHEAD + 1))
    pd.testing.assert_frame_equal(forecaster.predict(past, future=anew, interval=None), usual)


def test_a_column_that_is_constant_in_training_never_moves_a_forecast(trained: Callable[..., Forecaster]) -> None:
    table = driven_table().assign(heat=20.0, promo=0)
    forecaster = trained("iTransformer", table=table)
    usual = numbers(forecaster.predict(table, interval=None))
    table.loc[ROWS:, ["heat", "promo"]] = 1000.0, 1
    np.testing.assert_array_equal(numbers(forecaster.predict(table, interval=None)), usual)


def test_numbers_of_the_future_are_read_like_those_of_the_data(flags: Flags, workplace: Path, tmp_path: Path) -> None:
    table = driven_table()
    table["heat"] = (table["heat"] * 100).round() + 0.5
    past, future = table.iloc[:ROWS], table.loc[ROWS:, ["date", "promo", "heat"]]
    future["heat"] = future["heat"].round()

    def european(part: pd.DataFrame, digits: int) -> pd.DataFrame:
        heat = part["heat"].map(lambda value: f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,")))
        return part.assign(heat=heat)

    argv = flags("iTransformer", future_path=tmp_path / "future.csv")
    european(past, 1).to_csv(tmp_path / "data.csv", sep=";", index=False, decimal=",")
    european(future, 0).to_csv(tmp_path / "future.csv", sep=";", index=False)  # like 2.001, which alone is about 2
    (record,) = succeed(argv)
    (folder,) = (workplace / "checkpoints").iterdir()
    forecast = Forecaster.load(folder).predict(past, future=future)
    saved = pd.read_csv(workplace / "results" / record["run"]["setting"] / "forecast.csv")
    assert saved["forecast"].to_numpy() == pytest.approx(forecast["forecast"].to_numpy(), rel=1e-4)
