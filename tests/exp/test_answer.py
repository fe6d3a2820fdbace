"""What a run on a file of the user's says at its end, and the past forecasts that it keeps."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import WriteCsv
from tests.helpers.commands import succeed
from utils.answer import TargetErrors, answer_lines, better_simple

Flags = Callable[..., list[str]]


def noisy_weeks(rows: int = 300) -> pd.DataFrame:
    """Days with a weekly season, and a random walk; the target is the last column."""
    random = np.random.default_rng(0)
    days = np.arange(rows)
    walk = 200 + np.cumsum(random.normal(0, 1, rows))
    weekly = 100 + 30 * np.sin(2 * np.pi * days / 7) + random.normal(0, 3, rows)
    return pd.DataFrame({"date": pd.date_range("2022-01-01", periods=rows), "walk": walk, "weekly": weekly})


@pytest.fixture
def flags(write_csv: WriteCsv, workplace: Path) -> Flags:
    """Flags of a run of a simple model."""

    def build(**more: object) -> list[str]:
        values = {
            "model": "SeasonalNaive", "data_path": write_csv(noisy_weeks(), "weeks.csv"), "seq_len": 14, "pred_len": 7,
            "device": "cpu", **more,
        }  # fmt: skip
        return [
            part
            for flag, value in values.items()
            for part in ([f"--{flag}"] if value is True else (f"--{flag}", str(value)))
        ]

    return build


def results_of(record: dict) -> Path:
    return Path("results") / record["run"]["setting"]


def test_a_run_ends_with_the_answer_and_no_tables(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags())
    text = caplog.text
    assert "Test errors in the standardised scale" not in text
    end = text[text.index("weekly: typical miss") :]
    mae = record["scores"]["metrics"]["SeasonalNaive"]["original_units"]["per_channel"]["weekly"]["mae"]
    assert f"{mae:.4g}" in end and "% of its mean size, MASE" in end and "54 test windows of 7 steps" in end
    assert "use SeasonalNaive: it misses" in end and "of the windows" in end
    assert "a simple forecast is the better choice for walk (naive forecast)" in end
    assert "decided: model: SeasonalNaive, columns: 2 (M), target: weekly, season: 7 steps" in end
    assert "forecast.csv" in end


def test_verbose_prints_the_tables_too(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        succeed(flags(verbose=True))
    assert "Test errors in the standardised scale" in caplog.text and "typical miss" in caplog.text


def test_mase_divides_by_the_seasonal_change_of_the_training_rows(flags: Flags) -> None:
    (record,) = succeed(flags())
    folder = Path("checkpoints") / record["run"]["setting"]
    answer = json.loads((folder / "test.json").read_text())["answer"]
    values = noisy_weeks()["weekly"].to_numpy()
    step = np.abs(values[7:210] - values[:203]).mean()
    assert answer["mase"] == pytest.approx(answer["columns"]["weekly"]["SeasonalNaive"] / step, rel=1e-5)
    origins = range(240, 294)
    size = np.mean([np.abs(values[origin : origin + 7]).mean() for origin in origins])
    assert answer["percent"] == pytest.approx(100 * answer["columns"]["weekly"]["SeasonalNaive"] / size, rel=1e-5)


def test_a_lost_column_has_the_simple_forecast_beside_it(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags())
    forecast = pd.read_csv(results_of(record) / "forecast.csv")
    assert (forecast[forecast["column"] == "walk"]["reference"] - noisy_weeks()["walk"].iloc[-1]).abs().max() < 1e-6
    assert forecast[forecast["column"] == "weekly"]["reference"].isna().all()
    assert "the naive forecast was at least as good for walk: it stands in the column reference" in caplog.text


def test_a_forecast_alone_repeats_the_answer(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    (record,) = succeed(flags())
    caplog.clear()
    with caplog.at_level(logging.INFO):
        folder = str(Path("checkpoints") / record["run"]["setting"])
        succeed(["--is_training", "0", "--do_predict", "--load", folder, "--device", "cpu"])
    assert "weekly: typical miss" in caplog.text


# --- backtest ---


@pytest.mark.pictures
def test_a_backtest_holds_past_forecasts_as_they_would_have_been(flags: Flags) -> None:
    (record,) = succeed(flags(backtest=4))
    table = pd.read_csv(results_of(record) / "backtest.csv")
    assert list(table) == ["origin", "date", "column", "forecast", "lower", "upper", "actual"]
    assert table["origin"].nunique() == 4 and len(table) == 4 * 2 * 7
    data = noisy_weeks().assign(date=lambda one: one["date"].dt.strftime("%Y-%m-%d")).set_index("date")
    assert table["date"].iloc[-1] == data.index[-1]
    for origin, rows in table[table["column"] == "weekly"].groupby("origin"):
        place = data.index.get_loc(origin)
        np.testing.assert_allclose(rows["forecast"], data["weekly"].iloc[place - 6 : place + 1], rtol=1e-5)
        np.testing.assert_allclose(rows["actual"], data["weekly"].iloc[place + 1 : place + 8], rtol=1e-6)
    scores = pd.read_csv(results_of(record) / "backtest_scores.csv")
    first = table[(table["column"] == "weekly") & (table["origin"] == table["origin"].min())]
    expected = (first["forecast"] - first["actual"]).abs().mean()
    found = scores[(scores["column"] == "weekly") & (scores["origin"] == table["origin"].min())]["mae"]
    assert found.item() == pytest.approx(expected, rel=1e-6)
    assert (results_of(record) / "backtest.png").stat().st_size > 5000


def test_more_origins_than_there_are_windows_are_all_there_are(flags: Flags) -> None:
    (record,) = succeed(flags(backtest=1000))
    assert pd.read_csv(results_of(record) / "backtest.csv")["origin"].nunique() == 54


# --- the parts ---


def answer(own: float, naive: float, seasonal: float) -> dict:
    """An answer of a model with these errors."""
    columns = {"sales": {"CALF": own, "naive": naive, "seasonal_naive": seasonal}}
    return {"model": "CALF", "column": "sales", "windows": 10, "steps": 5, "season": 7, "in_units": True,
            "columns": columns, "percent": 10.0, "mase": 0.5, "won": {"naive": 0.9, "seasonal_naive": 0.6},
            "coverage": {"0.9": 0.7}}  # fmt: skip


@pytest.mark.parametrize(
    ("errors", "advice"),
    [
        ((5.0, 10.0, 8.0), "use CALF: it misses 38% less than the seasonal naive forecast and is closer in 60%"),
        ((9.0, 10.0, 8.0), "use the seasonal naive forecast (repeat the last season), not CALF: it misses 11% less"),
        ((8.0, 10.0, 8.0), "CALF is as good as the seasonal naive forecast"),
    ],
)
def test_the_advice_follows_the_error_of_the_target(errors: tuple[float, float, float], advice: str) -> None:
    assert advice in "\n".join(answer_lines(answer(*errors)))


@pytest.mark.parametrize(
    ("held", "warning"),
    [(0.7, ": far from nominal, do not rely on them"), (0.97, ": wider than they need be"), (0.88, "")],
)
def test_intervals_far_from_nominal_are_warned_of(held: float, warning: str) -> None:
    lines = list(answer_lines({**answer(5.0, 10.0, 8.0), "coverage": {"0.9": held}}))
    assert f"  90 % intervals held {held:.0%} of the truth{warning}" in lines


def test_a_tie_counts_for_the_simple_forecast() -> None:
    assert better_simple(answer(8.0, 10.0, 8.0)) == {"sales": "seasonal_naive"}
    assert better_simple(answer(7.9, 10.0, 8.0)) == {}


def test_windows_are_won_by_the_smaller_error_of_the_target() -> None:
    import torch

    errors = TargetErrors(4)
    truth = torch.zeros(4, 2, 1)
    own, other = torch.tensor([1.0, 1, 1, 5]), torch.tensor([2.0, 2, 0.5, 6])
    observed = torch.ones(4, 2, 1, dtype=torch.bool)
    observed[3] = False
    forecasts = {"a": own[:, None, None].expand(4, 2, 1), "b": other[:, None, None].expand(4, 2, 1)}
    errors.add(forecasts, truth, observed, np.array([2.0]), np.array([10.0]))
    assert errors.won("a") == {"b": pytest.approx(2 / 3)}
    assert errors.percent("a") == pytest.approx(100 * 2 / 10)
    assert errors.percent("b") == pytest.approx(100 * 3 / 10)
