"""Test that runs of single patterns make one table, if they belong together."""

from typing import Any

import pytest

from tests.helpers.records import long_term, m4
from utils.m4.records import pool_records, same_family


@pytest.mark.parametrize(
    "other",
    [
        m4("Weekly", seed=2),
        m4("Weekly", model="DLinear"),
        m4("Weekly", selected_on="test"),
        m4("Weekly", init="pretrained"),
        m4("Weekly", llm="gpt2-medium"),
        m4("Weekly", gpt_layers=3),
        m4("Weekly", lora=0),
        long_term(),
    ],
)
def test_runs_of_another_kind_do_not_belong_together(other: dict[str, Any]) -> None:
    assert not same_family(m4("Daily"), other)


def test_runs_on_other_files_do_not_belong_together() -> None:
    other = m4("Weekly")
    other["data"]["target_data"] = "Weekly-train_12345678"
    assert not same_family(m4("Daily"), other)


def test_runs_that_were_trained_otherwise_do() -> None:
    assert same_family(m4("Daily"), m4("Weekly", learning_rate=1e-4, task_loss="smape", feature_w=0.1))
    assert same_family(m4("Daily", model="DLinear"), m4("Weekly", model="DLinear"))


def test_of_several_runs_of_a_pattern_the_last_counts() -> None:
    groups = pool_records([m4(name, smape=s, series=100) for name, s in (("Daily", 1), ("Weekly", 20), ("Daily", 30))])
    assert groups["Daily"].scores["CALF"].smape == 30.0
    assert groups["Others"].scores["CALF"].smape == pytest.approx(25.0)
    assert groups["Others"].scores["CALF"].owa == pytest.approx((25 / 16 + 2 / 2.5) / 2)
    assert groups["Others"].missing == ("Hourly",)
