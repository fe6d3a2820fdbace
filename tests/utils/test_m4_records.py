"""Runs of single patterns make one table, if they belong together."""

from dataclasses import asdict
from typing import Any

import pytest

from utils.m4.records import pool_records, same_family
from utils.m4.scores import Scores


def record(pattern: str, smape: float = 10.0, **changes: Any) -> dict[str, Any]:
    scores = {
        "CALF": asdict(Scores(series=100, smape=smape, mase=1.0, mape=5.0, owa=0.9)),
        "naive2": asdict(Scores(series=100, smape=12.0, mase=2.0, mape=5.0, owa=1.0)),
    }
    return {
        "task_name": "short_term_forecast", "model": "CALF", "seed": 1, "selected_on": "validation",
        "seasonal_patterns": pattern, "metrics": scores, "backbone": {"name": "gpt2", "init": "random"},
        "config": {"gpt_layers": 6, "schedule": {"learning_rate": 1e-3}}, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"model": "other"},
        {"selected_on": "test"},
        {"task_name": "long_term_forecast"},
        {"backbone": {"name": "gpt2", "init": "pretrained"}},
        {"config": {"gpt_layers": 3}},
    ],
)
def test_runs_of_another_kind_do_not_belong_together(changes: dict[str, Any]) -> None:
    assert not same_family(record("Daily"), record("Weekly", **changes))


def test_runs_that_were_trained_otherwise_do() -> None:
    config = {"gpt_layers": 6, "schedule": {"learning_rate": 1e-4}}
    assert same_family(record("Daily"), record("Weekly", config=config))


def test_of_several_runs_of_a_pattern_the_last_counts() -> None:
    groups = pool_records([record("Daily", 10.0), record("Weekly", 20.0), record("Daily", 30.0)])
    assert groups["Daily"].scores["CALF"].smape == 30.0
    assert groups["Others"].scores["CALF"].smape == pytest.approx(25.0)
    assert groups["Others"].scores["CALF"].owa == pytest.approx((25 / 12 + 1 / 2) / 2)
    assert groups["Others"].missing == ("Hourly",)
