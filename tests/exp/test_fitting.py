"""A forecaster from a pandas table: fit, predict and backtest with the flags of the command line as arguments."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calf import Forecaster
from tests.conftest import hourly_table
from tests.exp.test_answer import noisy_weeks
from utils.errors import UserError

OPTIONS = {"model": "DLinear", "seq_len": 14, "pred_len": 7, "train_epochs": 2, "device": "cpu", "log": "none"}


def test_a_table_is_trained_on_and_forecast(workplace: Path) -> None:
    table = noisy_weeks()
    forecaster = Forecaster.fit(table, **OPTIONS)
    future = forecaster.predict(table, interval=[0.5, 0.9], quantiles=[0.1], minimum=0, maximum=120)
    assert future["date"].min() == pd.Timestamp("2022-10-28")
    assert {"q0.1", "level"} <= set(future) and future["upper"].max() <= 120
    assert forecaster.model.stored.folder.name == "refit"
    assert forecaster.answer["column"] == "weekly" and forecaster.answer["windows"] == 54


def test_an_index_of_dates_serves_as_the_column_of_dates(workplace: Path) -> None:
    forecaster = Forecaster.fit(noisy_weeks().set_index("date"), **OPTIONS, refit=0)
    assert forecaster.columns == ("walk", "weekly")
    assert forecaster.model.stored.folder.name != "refit"


def test_the_same_table_is_not_trained_on_twice(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Forecaster.fit(noisy_weeks(), **OPTIONS)
    monkeypatch.setattr("exp.training.Training.run", lambda self: pytest.fail("it trains again"))
    again = Forecaster.fit(noisy_weeks(), **OPTIONS)
    assert again.model.stored.folder == first.model.stored.folder
    assert len(list(Path().glob("table-*.csv"))) == 1
    Forecaster.fit(noisy_weeks(), **OPTIONS, overwrite=False, output=None)
    with pytest.raises(pytest.fail.Exception, match="it trains again"):
        Forecaster.fit(noisy_weeks(), **OPTIONS, overwrite=True)


def test_options_without_effect_are_told_of(workplace: Path, caplog: pytest.LogCaptureFixture) -> None:
    Forecaster.fit(noisy_weeks(), **OPTIONS, gpu=0, lora=1)
    assert [record.message for record in caplog.records if "no effect" in record.message] == [
        "no effect on DLinear: --lora",
        "no effect with --device cpu: --gpu",
    ]


def test_gaps_are_filled_as_the_option_says(workplace: Path) -> None:
    table = noisy_weeks().drop(index=range(100, 130))
    with pytest.raises(UserError, match="fill"):
        Forecaster.fit(table, **OPTIONS, fill="none")
    assert Forecaster.fit(table, **OPTIONS, fill="linear").answer is not None


def test_a_backtest_puts_past_forecasts_beside_what_came(workplace: Path) -> None:
    table = noisy_weeks()
    forecaster = Forecaster.fit(table, **{**OPTIONS, "model": "SeasonalNaive"})
    found = forecaster.backtest(table, origins=3)
    assert list(found)[:5] == ["origin", "date", "column", "forecast", "lower"]
    assert found["origin"].nunique() == 3 and len(found) == 3 * 2 * 7
    weekly = found[found["column"] == "weekly"]
    np.testing.assert_allclose(weekly["actual"], table["weekly"].iloc[-21:])
    np.testing.assert_allclose(weekly["forecast"], table["weekly"].iloc[-28:-7], rtol=1e-5)


def test_a_backtest_takes_the_weights_that_were_tested(workplace: Path) -> None:
    table = noisy_weeks()
    both = Forecaster.fit(table, **OPTIONS)
    honest = Forecaster.load(both.model.stored.folder.parent, refit=False)
    expected = honest.predict(table.iloc[:-7])["forecast"].to_numpy()
    np.testing.assert_allclose(both.backtest(table, origins=1)["forecast"], expected, rtol=1e-6)


@pytest.fixture
def weekly(workplace: Path) -> Forecaster:
    """A forecaster of days that repeats the last week."""
    return Forecaster.fit(noisy_weeks(), **{**OPTIONS, "model": "SeasonalNaive"})


def truth_beside(found: pd.DataFrame) -> pd.Series:
    """Return the true values of the rows of a backtest on ``noisy_weeks``."""
    truth = noisy_weeks().melt("date", var_name="column").set_index(["date", "column"])["value"]
    return truth.loc[list(zip(found["date"], found["column"], strict=True))].reset_index(drop=True)


@pytest.mark.parametrize(
    ("change", "options", "unknown"),
    [
        (lambda table: table.drop(index=[288, 295]), {}, [288, 295]),
        (lambda table: table.replace(table.loc[288, ["walk", "weekly"]].tolist(), -9), {"missing": [-9]}, [288]),
        (lambda table: table.drop(index=[292]), {}, [292]),  # where an origin would be
        (lambda table: table.drop(index=[288, 295]).iloc[::-1], {}, [288, 295]),
        (lambda table: table.drop(index=[288]).assign(date=lambda one: one["date"].astype(str)), {}, [288]),
        (lambda table: table.drop(index=[288]).set_index("date"), {}, [288]),
    ],
    ids=["rows", "codes", "at an origin", "newest first", "texts", "index"],
)
def test_the_truth_of_a_backtest_is_that_of_the_date_and_nothing_where_it_was_filled(
    weekly: Forecaster, change: Callable[[pd.DataFrame], pd.DataFrame], options: dict[str, object], unknown: list[int]
) -> None:
    found = weekly.backtest(change(noisy_weeks()), origins=2, **options)
    gone = found["date"].isin(noisy_weeks()["date"][unknown])
    assert len(found) == 2 * 2 * 7
    np.testing.assert_array_equal(found["actual"].isna(), gone)
    np.testing.assert_allclose(found["actual"][~gone], truth_beside(found)[~gone])
    assert (found["origin"] < found["date"]).all()


def test_a_gap_before_an_origin_is_not_filled_from_what_came_after(weekly: Forecaster) -> None:
    whole, table = noisy_weeks(), noisy_weeks().drop(index=[291, 292])
    found = weekly.backtest(table, origins=1)
    assert found["origin"].unique() == [whole["date"][290]]
    np.testing.assert_allclose(found["actual"].iloc[:2], [np.nan, np.nan])
    np.testing.assert_allclose(found.loc[found["column"] == "weekly", "forecast"], whole["weekly"][284:291], rtol=1e-5)


def test_dates_and_origins_stay_in_the_time_zone_of_the_table(weekly: Forecaster) -> None:
    table = noisy_weeks().assign(date=lambda one: one["date"].dt.tz_localize("Europe/Berlin"))
    found = weekly.backtest(table, origins=1)
    assert found["origin"].unique() == [table["date"][292]]
    assert list(found["date"].unique()) == list(table["date"][293:])


@pytest.mark.parametrize("steps", [5, 10])
def test_a_backtest_of_another_horizon_has_its_origins_that_far_apart(weekly: Forecaster, steps: int) -> None:
    found = weekly.backtest(noisy_weeks(), origins=3, predict_len=steps, interval=[0.5, 0.9], quantiles=[0.1])
    assert len(found) == 2 * 3 * 2 * steps and {"level", "q0.1"} <= set(found)
    assert list(found["origin"].unique()) == list(
        noisy_weeks()["date"].iloc[[-3 * steps - 1, -2 * steps - 1, -steps - 1]]
    )
    np.testing.assert_allclose(found["actual"], truth_beside(found))


def test_gaps_before_the_look_back_leave_a_column_at_0_or_above(workplace: Path) -> None:
    table = noisy_weeks().assign(sales=np.random.default_rng(0).poisson(1, 300).astype(float))
    forecaster = Forecaster.fit(table, **{**OPTIONS, "model": "SeasonalNaive"}, refit=0)
    expected = forecaster.predict(table)
    assert expected.loc[expected["column"] == "sales", "lower"].min() == 0
    table.loc[100:102, "sales"] = np.nan
    pd.testing.assert_frame_equal(forecaster.predict(table), expected)


def test_gaps_before_the_look_back_are_filled_for_the_reference(workplace: Path) -> None:
    forecaster = Forecaster.fit(noisy_weeks(), **{**OPTIONS, "model": "Naive", "seq_len": 2})
    table = noisy_weeks().drop(index=295)
    expected = table["weekly"].reindex(range(293, 300)).interpolate()
    found = forecaster.predict(table)
    np.testing.assert_allclose(found.loc[found["column"] == "weekly", "reference"], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 7}, r"horizon: there is no such option; did you mean .*pred_len"),
        ({"pred_len": "many"}, "pred_len"),
        ({"data_path": "a.csv"}, "data_path is not for a fit on a table; leave it out"),
        ({"output": "x.csv"}, "output is not for a fit on a table; write what predict returns with to_csv"),
        ({"config": "nothing.yaml"}, "config is not for a fit on a table; give the flags of the file as arguments"),
        ({"predict_len": 5}, "predict_len is not for a fit on a table; give it to predict"),
        ({"quantiles": "0.1,0.9"}, "quantiles is not for a fit on a table; give it to predict"),
        ({"minimum": 0}, "minimum is not for a fit on a table; give it to predict"),
        ({"maximum": 9}, "maximum is not for a fit on a table; give it to predict"),
        ({"future_path": "x.csv"}, "future_path is not for a fit on a table; give predict the table of the future"),
        ({"aggregate": "sum"}, "aggregate is not for a fit on a table; leave it out"),
        ({"do_predict": 0}, "do_predict is not for a fit on a table; call predict"),
        ({"target": "profit"}, "no column 'profit'"),
    ],
)
def test_what_is_not_possible_is_named(workplace: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Forecaster.fit(hourly_table(200), **OPTIONS | options)


def test_no_table_and_too_few_rows_are_refused(workplace: Path) -> None:
    with pytest.raises(UserError, match="A pandas DataFrame is needed, not a list"):
        Forecaster.fit([1, 2], **OPTIONS)
    forecaster = Forecaster.fit(noisy_weeks(), **{**OPTIONS, "model": "Naive"})
    with pytest.raises(UserError, match="too few for 50 origins"):
        forecaster.backtest(noisy_weeks(), origins=50)
