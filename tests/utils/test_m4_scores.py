"""Test M4's scores on numbers worked out by hand and against another implementation."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from utilsforecast import losses

from models import MODELS, find_config
from models.config import SIZES
from tests.helpers.records import long_term, m4
from utils.flags import flags_of
from utils.m4 import scores as m4_scores
from utils.m4.patterns import M3, PATTERNS
from utils.m4.scores import Group, Scores, pool_records, score, seasonal_scale

# Two series: 1 2 4 8 and 10 7 10.
VALUES = np.array([1.0, 2, 4, 8, 10, 7, 10])
OFFSETS = np.array([0, 4, 7])


def scores_of(series: int, smape: float, mase: float | None, mape: float = 1.0, without_scale: int = 0) -> Scores:
    return Scores(series, smape, mase, mape, without_scale=without_scale)


def pool(by_pattern: Mapping[str, Mapping[str, Scores]], data: str = "m4") -> dict[str, Group]:
    """Return the groups from scores by pattern and forecaster."""
    return pool_records(
        {
            "data": {"name": data, "config": {"seasonal_patterns": pattern}},
            "scores": {"metrics": {name: asdict(one) for name, one in scores.items()}},
        }
        for pattern, scores in by_pattern.items()
    )


def test_the_scale_is_the_mean_step_inside_each_series() -> None:
    assert seasonal_scale(VALUES, OFFSETS, 1) == pytest.approx([(1 + 2 + 4) / 3, 3])


def test_the_seasonal_scale_looks_a_season_back_and_never_into_the_series_before() -> None:
    assert seasonal_scale(VALUES, OFFSETS, 2) == pytest.approx([(3 + 6) / 2, 0])


def test_series_no_longer_than_a_season_have_no_scale() -> None:
    assert seasonal_scale(VALUES, OFFSETS, 3).tolist() == [7, 0]
    assert seasonal_scale(VALUES, OFFSETS, 9).tolist() == [0, 0]


def test_a_constant_series_has_no_scale() -> None:
    assert seasonal_scale(np.full(5, 0.1), np.array([0, 5]), 1).tolist() == [0]


def test_scores_of_two_series_follow_from_the_formulas() -> None:
    forecast, target = np.array([[2.0, 6], [1, 1]]), np.array([[2.0, 4], [3, 1]])
    scores = score(forecast, target, np.array([2.0, 4.0]))
    assert scores.series == 2
    assert scores.smape == pytest.approx(200 * (0 + 2 / 10 + 2 / 4 + 0) / 4)
    assert scores.mape == pytest.approx(100 * (0 + 2 / 4 + 2 / 3 + 0) / 4)
    assert scores.mase == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert (scores.owa, scores.without_scale) == (None, 0)


def test_nothing_forecast_as_nothing_is_no_error() -> None:
    scores = score(np.zeros((1, 2)), np.zeros((1, 2)), np.ones(1))
    assert (scores.smape, scores.mape, scores.mase) == (0, 0, 0)


def test_a_target_of_zero_counts_in_smape_and_not_in_mape() -> None:
    scores = score(np.array([[1.0, 3]]), np.array([[0.0, 4]]), np.ones(1))
    assert scores.smape == pytest.approx(200 * (1 + 1 / 7) / 2)
    assert scores.mape == pytest.approx(100 * (0 + 1 / 4) / 2)


def test_negative_values_are_measured_by_their_size() -> None:
    scores = score(np.array([[-1.0]]), np.array([[-3.0]]), np.ones(1))
    assert scores.smape == pytest.approx(200 * 2 / 4)
    assert scores.mape == pytest.approx(100 * 2 / 3)


def test_series_without_a_scale_are_counted_and_left_out_of_mase_alone() -> None:
    forecast, target = np.array([[2.0], [5], [3]]), np.array([[1.0], [9], [9]])
    scores = score(forecast, target, np.array([4.0, 0, 2]))
    assert scores.mase == pytest.approx((1 / 4 + 6 / 2) / 2)
    assert scores.smape == pytest.approx(200 * (1 / 3 + 4 / 14 + 6 / 12) / 3)
    assert (scores.series, scores.without_scale) == (3, 1)


def test_without_any_scale_there_is_no_mase_and_no_owa() -> None:
    scores = score(np.ones((2, 1)), np.zeros((2, 1)), np.zeros(2), naive2=scores_of(2, 10, 1))
    assert (scores.mase, scores.owa, scores.without_scale) == (None, None, 2)


def test_owa_is_the_mean_of_both_scores_relative_to_naive2() -> None:
    scores = score(np.array([[3.0]]), np.array([[1.0]]), np.ones(1), naive2=scores_of(1, 50, 8))
    assert scores.owa == pytest.approx((100 / 50 + 2 / 8) / 2)


def test_naive2_measured_by_itself_is_one() -> None:
    rng = np.random.default_rng(0)
    arrays = rng.uniform(1, 9, (5, 3)), rng.uniform(1, 9, (5, 3)), rng.uniform(1, 2, 5)
    assert score(*arrays, naive2=score(*arrays)).owa == 1


def test_a_faultless_naive2_gives_no_owa() -> None:
    assert score(np.array([[3.0]]), np.array([[1.0]]), np.ones(1), naive2=scores_of(1, 0, 0)).owa is None


def test_scores_become_json() -> None:
    scores = score(np.array([[3.0]]), np.array([[1.0]]), np.ones(1))
    written = {"series": 1, "smape": 100, "mase": 2, "mape": 200, "owa": None, "without_scale": 0}
    assert json.loads(json.dumps(asdict(scores))) == written


WEEKLY = {"CALF": scores_of(1, 10, 2, 7), "naive2": scores_of(1, 20, 1, 9)}
HOURLY = {"CALF": scores_of(3, 30, 6, 3), "naive2": scores_of(3, 40, 4, 5)}


def test_others_weighs_its_patterns_by_their_series() -> None:
    others = pool({"Weekly": WEEKLY, "Hourly": HOURLY})["Others"].scores["CALF"]
    assert (others.series, others.smape, others.mase, others.mape) == (4, 25, 5, 4)


def test_pooled_owa_is_computed_once_from_the_pooled_scores() -> None:
    others = pool({"Weekly": WEEKLY, "Hourly": HOURLY})["Others"].scores
    assert others["CALF"].owa == pytest.approx((25 / 35 + 5 / 3.25) / 2)
    averaged = (1 * (10 / 20 + 2 / 1) / 2 + 3 * (30 / 40 + 6 / 4) / 2) / 4
    assert others["CALF"].owa != pytest.approx(averaged)
    assert others["naive2"].owa == 1


def test_patterns_that_were_not_scored_are_named() -> None:
    groups = pool({"Weekly": WEEKLY, "Hourly": HOURLY})
    assert {name: group.missing for name, group in groups.items()} == {
        "Weekly": (),
        "Hourly": (),
        "Others": ("Daily",),
        "Average": ("Yearly", "Quarterly", "Monthly", "Daily"),
    }


def test_a_group_without_any_pattern_is_left_out() -> None:
    assert list(pool({"Yearly": WEEKLY})) == ["Yearly", "Average"]
    assert pool({}) == {}


def test_all_six_patterns_give_the_table_of_the_competition() -> None:
    groups = pool({name: {"CALF": scores_of(PATTERNS[name].series, 10, 2)} for name in reversed(PATTERNS)})
    assert list(groups) == ["Yearly", "Quarterly", "Monthly", "Weekly", "Daily", "Hourly", "Others", "Average"]
    assert all(group.missing == () for group in groups.values())
    assert (groups["Others"].scores["CALF"].series, groups["Average"].scores["CALF"].series) == (5_000, 100_000)


def test_the_average_counts_series_and_not_patterns() -> None:
    average = pool({"Yearly": HOURLY, "Daily": WEEKLY, "Hourly": WEEKLY})["Average"].scores["CALF"]
    assert average.smape == pytest.approx((3 * 30 + 10 + 10) / 5)


def test_a_pattern_alone_keeps_its_scores_and_gets_its_owa() -> None:
    groups = pool({"Hourly": HOURLY})
    assert groups["Hourly"].scores["CALF"] == replace(HOURLY["CALF"], owa=(30 / 40 + 6 / 4) / 2)
    assert groups["Others"].scores == groups["Average"].scores == groups["Hourly"].scores


def test_without_naive2_there_is_no_pooled_owa() -> None:
    groups = pool({"Weekly": {"CALF": scores_of(1, 10, 2)}, "Hourly": {"CALF": scores_of(1, 10, 2)}})
    assert groups["Others"].scores["CALF"].owa is None


def test_mase_is_weighted_by_the_series_that_have_a_scale() -> None:
    weekly = {"CALF": scores_of(9, 10, 2, without_scale=8)}
    hourly = {"CALF": scores_of(3, 10, 6)}
    daily = {"CALF": scores_of(5, 10, None, without_scale=5)}
    others = pool({"Weekly": weekly, "Hourly": hourly, "Daily": daily})["Others"].scores["CALF"]
    assert (others.mase, others.series, others.without_scale) == (5, 17, 13)


def test_only_forecasters_that_every_pattern_has_are_pooled() -> None:
    others = pool({"Weekly": WEEKLY, "Hourly": {**HOURLY, "naive": scores_of(3, 1, 1)}})["Others"]
    assert list(others.scores) == ["CALF", "naive2"]


def test_smape_and_mase_equal_those_of_utilsforecast() -> None:
    rng = np.random.default_rng(3)
    lengths, horizon, season = np.array([9, 14, 30, 11]), 6, 4
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.uniform(1, 9, offsets[-1])
    forecast, target = rng.uniform(1, 9, (4, horizon)), rng.uniform(1, 9, (4, horizon))

    steps = np.concatenate([np.arange(length) for length in lengths])
    train = pd.DataFrame({"unique_id": np.repeat(np.arange(4), lengths), "ds": steps, "y": values})
    test = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(4), horizon),
            "ds": np.concatenate([np.arange(length, length + horizon) for length in lengths]),
            "y": target.ravel(),
            "CALF": forecast.ravel(),
        }
    )
    ours = score(forecast, target, seasonal_scale(values, offsets, season))
    # Theirs is |f - y| / (|f| + |y|), from 0 to 1.
    assert ours.smape == pytest.approx(200 * losses.smape(test, ["CALF"])["CALF"].mean())
    assert ours.mape == pytest.approx(100 * losses.mape(test, ["CALF"])["CALF"].mean())
    theirs = losses.mase(test, ["CALF"], seasonality=season, train_df=train)["CALF"]
    assert ours.mase == pytest.approx(theirs.mean())


def family_of(record: dict[str, Any]) -> tuple[Any, ...]:
    flags = [one for name in MODELS for one in flags_of(find_config(name)).values()]
    return m4_scores.family_of(record, {*SIZES, *(one.name for one in flags if one.metadata["training"])})


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
    assert family_of(m4("Daily")) != family_of(other)


def test_runs_on_other_files_do_not_belong_together() -> None:
    other = m4("Weekly")
    other["data"]["target_data"] = "Weekly-train_12345678"
    assert family_of(m4("Daily")) != family_of(other)


def test_runs_that_were_trained_otherwise_do() -> None:
    other = m4("Weekly", learning_rate=1e-4, task_loss="smape", feature_w=0.1)
    assert family_of(m4("Daily")) == family_of(other)
    assert family_of(m4("Daily", model="DLinear")) == family_of(m4("Weekly", model="DLinear"))


def test_of_several_runs_of_a_pattern_the_last_counts() -> None:
    groups = pool_records([m4(name, smape=s, series=100) for name, s in (("Daily", 1), ("Weekly", 20), ("Daily", 30))])
    assert groups["Daily"].scores["CALF"].smape == 30.0
    assert groups["Others"].scores["CALF"].smape == pytest.approx(25.0)
    assert groups["Others"].scores["CALF"].owa == pytest.approx((25 / 16 + 2 / 2.5) / 2)
    assert groups["Others"].missing == ("Hourly",)


def test_the_average_of_m3_counts_forecast_steps_as_the_competition_did() -> None:
    reports = {
        name: {who: scores_of(pattern.series, smape[name], 1.0) for who, smape in M3.published.items()}
        for name, pattern in M3.patterns.items()
    }
    average = pool(reports, "m3")["Average"].scores
    for who, smape in M3.published.items():
        assert average[who].smape == pytest.approx(smape["Average"], abs=0.006)
    assert average["Theta"].series == 3003
