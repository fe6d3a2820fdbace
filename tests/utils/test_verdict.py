"""Test what is said of a model beside forecasts that need no training."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.records import long_term
from tests.utils.test_results import report
from utils.results import TEST, save_skill, skill_lines, verdict


@pytest.mark.parametrize(
    ("model", "naive", "relation"),
    [(0.5, 1.0, "beats"), (1.0, 1.0, "equals"), (1.5, 1.0, "does NOT beat"), (math.nan, 1.0, "does NOT beat")],
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


@pytest.mark.parametrize(
    ("own", "other", "sentence"),
    [
        (1.2e-4, 3.4e-4, "CALF beats the naive forecast: MSE 0.00012 against 0.00034."),
        (2e-9, 1e-9, "CALF does NOT beat the naive forecast: MSE 2e-09 against 1e-09."),
        (0.0, 0.0, "CALF equals the naive forecast: MSE 0.0000 against 0.0000."),
        (0.159512, 0.159514, "CALF equals the naive forecast: MSE 0.1595 against 0.1595."),
        (0.159512, 1.685313, "CALF beats the naive forecast: MSE 0.1595 against 1.6853."),
    ],
)
def test_the_verdict_never_shows_two_equal_numbers_as_unequal(own: float, other: float, sentence: str) -> None:
    lines = list(verdict({"CALF": with_columns(a=own), "naive": with_columns(a=other)}, "CALF"))
    assert lines[0] == sentence


def test_a_simple_forecast_that_is_as_good_is_named() -> None:
    reports = {
        "SeasonalNaive": with_columns(a=0.5),
        "naive": with_columns(a=1.0),
        "seasonal_naive": with_columns(a=0.5),
    }
    assert list(verdict(reports, "SeasonalNaive"))[-1] == (
        "For these data the seasonal naive forecast (repeat the last season) is as good as SeasonalNaive."
    )


def keep_test(folder: Path) -> dict[str, Any]:
    """Save what a test found next to a checkpoint, and return it."""
    record = long_term()
    for values in record["scores"]["metrics"].values():
        values["standardised"]["per_channel"] = {"a": {"mse": values["standardised"]["mse"]}}
    save_skill(folder, record, {})
    return json.loads((folder / TEST).read_text())


def test_the_verdict_is_kept_with_the_checkpoint(tmp_path: Path) -> None:
    keep_test(tmp_path)
    assert skill_lines(tmp_path)[:2] == [
        "On the 10 windows of the test split:",
        "  CALF beats the naive forecast: MSE 0.4000 against 1.0000.",
    ]


def test_a_checkpoint_without_a_test_says_so(tmp_path: Path) -> None:
    assert skill_lines(tmp_path) == [
        f"{tmp_path} has not been tested: whether it beats a naive forecast is not known."
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"windows": None}, {"windows": "many"}, {"windows": float("inf")}, {"metrics": []}, {"model": "other"},
        {"model": []}, {"metrics": {"CALF": {"standardised": {"mse": "low"}}}},
        {"metrics": {name: {"standardised": {"mse": 0, "per_channel": {}}} for name in ("CALF", "best_possible")}},
    ],
)  # fmt: skip
def test_a_damaged_test_is_told_without_a_traceback(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / TEST).write_text(json.dumps({**keep_test(tmp_path), **change}))
    (line,) = skill_lines(tmp_path)
    assert line.startswith(f"{tmp_path / TEST} cannot be read")


def test_a_name_from_a_file_cannot_command_the_terminal(tmp_path: Path) -> None:
    content = keep_test(tmp_path)
    for name, mse in (("CALF", 1.0), ("naive", 0.5), ("seasonal_naive", 2.0)):
        content["metrics"][name]["standardised"]["per_channel"] = {"\x1b[2Ja": {"mse": mse}}
    (tmp_path / TEST).write_text(json.dumps(content))
    assert not any("\x1b" in line for line in skill_lines(tmp_path))
