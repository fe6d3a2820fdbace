"""A forecaster from a pandas table: fit, predict and backtest with the flags of the command line as arguments."""

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


def test_gaps_are_filled_as_the_option_says(workplace: Path) -> None:
    table = noisy_weeks().drop(index=range(100, 130))
    with pytest.raises(UserError, match="fill"):
        Forecaster.fit(table, **OPTIONS, fill="none")
    assert Forecaster.fit(table, **OPTIONS, fill="linear").answer is not None


def test_an_option_without_effect_is_named(workplace: Path, caplog: pytest.LogCaptureFixture) -> None:
    Forecaster.fit(noisy_weeks(), **{**OPTIONS, "model": "Naive", "learning_rate": 0.1})
    assert "no effect on Naive, which does not train: --learning_rate" in caplog.text


def test_a_backtest_puts_past_forecasts_beside_what_came(workplace: Path) -> None:
    table = noisy_weeks()
    forecaster = Forecaster.fit(table, **{**OPTIONS, "model": "SeasonalNaive"})
    found = forecaster.backtest(table, origins=3)
    assert list(found)[:5] == ["origin", "date", "column", "forecast", "lower"]
    assert found["origin"].nunique() == 3 and len(found) == 3 * 2 * 7
    weekly = found[found["column"] == "weekly"]
    np.testing.assert_allclose(weekly["actual"], table["weekly"].iloc[-21:])
    np.testing.assert_allclose(weekly["forecast"], table["weekly"].iloc[-28:-7], rtol=1e-5)


def test_a_backtest_finds_what_came_by_its_date(workplace: Path) -> None:
    whole = noisy_weeks()
    table = whole.drop(index=[290, 292])
    table.loc[295, "weekly"] = np.nan
    forecaster = Forecaster.fit(whole, **{**OPTIONS, "model": "SeasonalNaive"})
    found = forecaster.backtest(table, origins=2, predict_len=5, fill="linear").query("column == 'weekly'")
    expected = whole.set_index("date")["weekly"]
    known = found[found["actual"].notna()].set_index("date")["actual"]
    assert len(found) == 10 and len(known) == 7  # a row each, and one value, is not in the table
    np.testing.assert_allclose(known, expected[known.index])


def test_a_backtest_takes_the_weights_that_were_tested(workplace: Path) -> None:
    table = noisy_weeks()
    both = Forecaster.fit(table, **OPTIONS)
    honest = Forecaster.load(both.model.stored.folder.parent, refit=False)
    expected = honest.predict(table.iloc[:-7])["forecast"].to_numpy()
    np.testing.assert_allclose(both.backtest(table, origins=1)["forecast"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 7}, r"horizon: there is no such option; did you mean .*pred_len"),
        ({"pred_len": "many"}, "pred_len"),
        ({"data_path": "a.csv"}, "data_path is not for a fit on a table"),
        ({"output": "a.csv"}, "output is not for a fit on a table"),
        ({"quantiles": "0.1,0.9"}, "quantiles is not for a fit but for a forecast: give it to predict"),
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
