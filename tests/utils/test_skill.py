"""What is said of a model beside the forecasts that need none."""

import math
from typing import Any

import pytest

from tests.utils.test_results import report
from utils.skill import verdict


@pytest.mark.parametrize(
    ("model", "naive", "relation"), [(0.5, 1.0, "beats"), (1.0, 1.0, "does NOT beat"), (math.nan, 1.0, "does NOT beat")]
)
def test_the_verdict_says_whether_the_model_beats_the_forecasts_without_one(
    model: float, naive: float, relation: str
) -> None:
    reports = {"CALF": report(model), "naive": report(naive), "seasonal_naive": report(naive)}
    lines = list(verdict(reports, "CALF"))
    assert [line.split(":")[0] for line in lines[:2]] == [
        f"CALF {relation} the naive forecast",
        f"CALF {relation} the seasonal naive forecast",
    ]
    assert f"MSE {model**2:.4f} against {naive**2:.4f}" in lines[0]


def test_the_verdict_says_how_far_the_best_possible_forecast_is() -> None:
    (line,) = verdict({"CALF": report(1.0), "best_possible": report(0.5)}, "CALF")
    assert "has MSE 0.2500; CALF is at 4.00 times that" in line


def with_columns(**mse: float) -> dict[str, Any]:
    """A report of columns with these errors."""
    figures = {name: {"mse": value, "mae": value} for name, value in mse.items()}
    return {"standardised": {"mse": sum(mse.values()) / len(mse), "per_channel": figures}}


@pytest.mark.parametrize(
    ("naive", "seasonal", "better"),
    [
        (0.9, 1.5, "naive forecast (repeat the last value)"),
        (1.5, 0.9, "seasonal naive forecast (repeat the last season)"),
        (0.9, 0.8, "seasonal naive forecast (repeat the last season)"),
    ],
)
def test_a_model_that_loses_is_not_recommended(naive: float, seasonal: float, better: str) -> None:
    reports = {"CALF": with_columns(a=1.0), "naive": with_columns(a=naive), "seasonal_naive": with_columns(a=seasonal)}
    assert list(verdict(reports, "CALF"))[-1] == (
        f"The better choice for these data is the {better}: use that, not CALF."
    )


def test_columns_on_which_a_winning_model_loses_are_named() -> None:
    reports = {
        "CALF": with_columns(a=0.1, b=1.0, revenue=1.0),
        "naive": with_columns(a=9.0, b=0.9, revenue=2.0),
        "seasonal_naive": with_columns(a=9.0, b=2.0, revenue=0.5),
    }
    assert list(verdict(reports, "CALF"))[-1] == (
        "On single columns a simple forecast is the better choice: b (naive), revenue (seasonal naive)."
    )


def test_a_model_that_wins_everywhere_is_only_praised() -> None:
    reports = {"CALF": with_columns(a=0.1, b=0.2), "naive": with_columns(a=1.0, b=1.0)}
    assert list(verdict(reports, "CALF")) == ["CALF beats the naive forecast: MSE 0.1500 against 1.0000."]


def test_a_column_without_figures_is_passed_over() -> None:
    reports = {"CALF": with_columns(a=0.1), "naive": with_columns(a=1.0)}
    for one in reports.values():
        one["standardised"]["per_channel"]["filled"] = {"mse": None, "mae": None}
    assert len(list(verdict(reports, "CALF"))) == 1


def test_without_anything_to_compare_there_is_no_verdict() -> None:
    assert list(verdict({"CALF": report(1.0)}, "CALF")) == []
