"""Test means over seeds and horizons, gaps, and the published figures beside them."""

import statistics
from typing import Any

import pandas as pd
import pytest

from tests.helpers.records import long_term, m4
from tests.utils.tables.test_cells import records
from utils.m4.patterns import PATTERNS
from utils.tables.tables import make_tables

HORIZONS = (96, 192, 336, 720)
IMPUTATION = ("imputation", "Imputation", ["mse", "mae"])

Rows = dict[tuple[str, str, str], pd.DataFrame]


def rows(table: str, *contents: dict[str, Any]) -> Rows:
    """Return the metrics of each row by title, by the backbone's init or the model's name, and by horizon."""
    found = make_tables(records(*contents)).rows
    grouped = found[found.table == table].groupby(["block", "horizon"], sort=False)
    by_place = {
        (block.title, block.init or block.model, horizon): row.set_index("metric") for (block, horizon), row in grouped
    }
    assert len(by_place) == len(grouped)
    return by_place


def test_a_cell_is_the_mean_and_the_sample_deviation_over_seeds() -> None:
    found = rows("long_term", long_term(seed=1, mse=0.4, mae=0.3), long_term(seed=2, mse=0.5, mae=0.3))
    row = found["ETTh1", "random", "96"]
    assert set(row.seeds) == {"1 2"}
    assert set(row.gap) == {""}
    assert row.loc["mse", "mean"] == pytest.approx(0.45)
    assert row.loc["mse", "std"] == pytest.approx(statistics.stdev([0.4, 0.5]))
    assert row.loc["mae", "std"] == 0


def test_a_single_seed_has_no_deviation() -> None:
    assert rows("long_term", long_term())["ETTh1", "random", "96"]["std"].isna().all()


def test_published_figures_difference_and_naive_stand_beside() -> None:
    mse = rows("long_term", long_term(mse=0.4, naive=1.2))["ETTh1", "random", "96"].loc["mse"]
    assert mse.published == 0.369
    assert mse.difference == pytest.approx(0.4 - 0.369)
    assert (mse.naive, mse.seasonal_naive) == (1.2, pytest.approx(0.3))


def test_a_baseline_that_was_not_scored_or_is_damaged_is_absent() -> None:
    content = long_term()
    del content["scores"]["metrics"]["seasonal_naive"]
    content["scores"]["metrics"]["naive"]["standardised"]["mae"] = "low"
    row = rows("long_term", content)["ETTh1", "random", "96"]
    assert row.seasonal_naive.isna().all()
    assert (row.loc["mse", "naive"], pd.isna(row.loc["mae", "naive"])) == (1.0, True)


def test_a_baseline_without_any_error_is_shown() -> None:
    assert rows("long_term", long_term(naive=0.0))["ETTh1", "random", "96"].loc["mse", "naive"] == 0


def test_a_model_that_is_a_baseline_stands_in_the_column_of_that_baseline() -> None:
    windows, pattern = long_term(model="SeasonalNaive", mse=0.3), m4("Hourly", model="SeasonalNaive", smape=14.0)
    del windows["scores"]["metrics"]["seasonal_naive"]
    assert rows("long_term", windows)["ETTh1", "SeasonalNaive", "96"].loc["mse", "seasonal_naive"] == 0.3
    assert rows("m4", pattern)["M4", "SeasonalNaive", "Hourly"].loc["smape", "seasonal_naive"] == 14.0


def test_a_metric_that_is_undefined_in_one_seed_has_no_mean() -> None:
    content = long_term(seed=2)
    content["scores"]["mae"] = None
    row = rows("long_term", long_term(seed=1), content)["ETTh1", "random", "96"]
    assert row["mean"].isna().to_dict() == {"mse": False, "mae": True}


def test_the_average_is_taken_for_each_seed_first() -> None:
    contents = [long_term(pred_len=h, seed=s, mse=h / 1000 + s) for h in HORIZONS for s in (1, 2, 4)]
    mse = rows("long_term", *contents)["ETTh1", "random", "average"].loc["mse"]
    per_seed = [sum(HORIZONS) / 4000 + s for s in (1, 2, 4)]
    assert mse.seeds == "1 2 4"
    assert mse["mean"] == pytest.approx(statistics.mean(per_seed))
    assert mse["std"] == pytest.approx(statistics.stdev(per_seed))
    assert mse.published == pytest.approx((0.369 + 0.427 + 0.456 + 0.479) / 4)
    assert mse.naive == 1.0


def test_the_average_takes_only_seeds_that_have_all_horizons() -> None:
    contents = [long_term(pred_len=h, seed=1, mse=1.0) for h in HORIZONS] + [long_term(seed=2, mse=9.0)]
    found = rows("long_term", *contents)
    assert found["ETTh1", "random", "96"].loc["mse", "seeds"] == "1 2"
    assert found["ETTh1", "random", "average"].loc["mse", "seeds"] == "1"
    assert found["ETTh1", "random", "average"].loc["mse", "mean"] == 1.0


def test_the_average_says_which_part_it_lacks() -> None:
    some = [long_term(pred_len=h) for h in HORIZONS[:3]]
    mse = rows("long_term", *some)["ETTh1", "random", "average"].loc["mse"]
    assert (mse.gap, pd.isna(mse.seeds), pd.isna(mse["mean"])) == ("3 of 4 horizons", True, True)
    all_with_another_seed = [*some, long_term(pred_len=720, seed=1)]
    row = rows("long_term", *all_with_another_seed)["ETTh1", "random", "average"]
    assert set(row.gap) == {"no seed has all horizons"}


def test_another_horizon_gets_a_row_and_stays_out_of_the_average() -> None:
    contents = [long_term(pred_len=h, mse=1.0) for h in HORIZONS] + [long_term(pred_len=48, mse=9.0)]
    found = rows("long_term", *contents)
    assert [horizon for title, _, horizon in found if title == "ETTh1"] == ["48", "96", "192", "336", "720", "average"]
    assert found["ETTh1", "random", "48"].published.isna().all()
    assert found["ETTh1", "random", "average"].loc["mse", "mean"] == 1.0


def test_what_is_published_and_was_not_run_is_missing() -> None:
    found = rows("long_term", long_term())
    for place, published in ((("ETTh1", "random", "192"), 0.427), (("traffic", "", "720"), 0.477)):
        assert set(found[place].gap) == {"missing"}
        assert found[place].loc["mse", "published"] == published


@pytest.mark.parametrize(("table", "count"), [("long_term", 35), ("few_shot", 20), ("zero_shot", 20), ("m4", 8)])
def test_without_any_run_every_published_row_is_there(table: str, count: int) -> None:
    found = rows(table)
    assert len(found) == count
    assert all(row.gap.all() for row in found.values())


def test_each_backbone_has_its_own_rows() -> None:
    found = rows("long_term", long_term(mse=1.0), long_term(init="pretrained", mse=2.0))
    assert found["ETTh1", "random", "96"].loc["mse", "mean"] == 1.0
    assert found["ETTh1", "pretrained", "96"].loc["mse", "mean"] == 2.0
    assert found["ETTh1", "pretrained", "96"].loc["mse", "published"] == 0.369
    assert not any(title == "ETTh1" and not init for title, init, _ in found)


def test_other_models_stand_beside_calf_without_its_published_figures() -> None:
    found = rows("long_term", long_term(), *(long_term(pred_len=h, model="DLinear") for h in (96, 192)))
    places = [(model, horizon) for title, model, horizon in found if title == "ETTh1"]
    assert places[:4] == [("random", "96"), ("DLinear", "96"), ("random", "192"), ("DLinear", "192")]
    assert places[4:] == [("random", "336"), ("random", "720"), ("random", "average"), ("DLinear", "average")]
    assert found["ETTh1", "DLinear", "96"][["published", "difference"]].isna().all(axis=None)
    assert found["ETTh1", "DLinear", "96"].loc["mse", "naive"] == 1.0
    assert set(found["ETTh1", "DLinear", "average"].gap) == {"2 of 4 horizons"}


def test_what_only_another_model_has_run_is_missing_from_the_published_rows() -> None:
    found = rows("long_term", long_term(model="DLinear", mse=0.3))
    assert set(found["ETTh1", "", "96"].gap) == {"missing"}
    assert found["ETTh1", "", "96"].loc["mse", "published"] == 0.369
    assert found["ETTh1", "DLinear", "96"].loc["mse", "mean"] == 0.3


def test_data_without_published_figures_are_averaged_over_what_was_run() -> None:
    found = rows("long_term", long_term("illness", 24, mse=1.0), long_term("illness", 36, mse=2.0))
    mse = found["illness", "random", "average"].loc["mse"]
    assert (mse["mean"], pd.isna(mse.published)) == (1.5, True)
    assert list(found)[-3:] == [("illness", "random", horizon) for horizon in ("24", "36", "average")]


def test_an_own_file_with_one_horizon_is_one_row() -> None:
    found = rows("long_term", long_term("custom", 24))
    assert [place for place in found if place[0] == "custom/custom.csv"] == [("custom/custom.csv", "random", "24")]


def test_another_protocol_is_not_compared_with_the_paper() -> None:
    found = rows("long_term", long_term(seq_len=336), long_term(features="MS"))
    for title in ("ETTh1, seq_len 336", "ETTh1, MS OT"):
        assert found[title, "random", "96"].published.isna().all()
    assert set(found["ETTh1", "", "96"].gap) == {"missing"}


def test_few_shot_with_another_share_is_not_compared_with_the_paper() -> None:
    found = rows("few_shot", long_term(percent=10), long_term(percent=5))
    assert found["ETTh1, 10 %", "random", "96"].loc["mse", "published"] == 0.468
    assert found["ETTh1, 5 %", "random", "96"].published.isna().all()


def test_zero_shot_rows_go_from_source_to_target() -> None:
    found = rows("zero_shot", long_term(target="ETTm1"), long_term(target="ETTh2"))
    assert found["ETTh1 → ETTm1", "random", "96"].loc["mse", "published"] == 0.767
    assert found["ETTh1 → ETTh2", "random", "96"].published.isna().all()
    assert set(found["ETTh2 → ETTm1", "", "96"].gap) == {"missing"}
    assert all(row.seeds.isna().all() for row in rows("long_term", long_term(target="ETTm1")).values())


def test_a_task_without_published_figures_has_a_table_of_its_own() -> None:
    contents = [long_term(task=IMPUTATION, pred_len=h, mse=h, model=m) for h in (48, 96) for m in ("CALF", "DLinear")]
    found = rows("imputation", *contents)
    assert [place[1:] for place in found] == [
        (model, horizon) for horizon in ("48", "96", "average") for model in ("random", "DLinear")
    ]
    assert found["ETTh1", "DLinear", "average"].loc["mse", "mean"] == 72
    assert found["ETTh1", "random", "96"].published.isna().all()
    assert all(row.seeds.isna().all() for row in rows("long_term", *contents).values())


def test_hidden_values_have_a_row_for_each_rate_and_the_published_mean_beside_that_of_all_four() -> None:
    contents = []
    for rate in (0.125, 0.25, 0.375, 0.5):
        content = long_term(task=IMPUTATION, model="DLinear", mse=rate)
        content["data"]["variant"] = f"mask {rate}"
        contents.append(content)
    found = rows("imputation", *contents)
    assert [horizon for _, _, horizon in found] == ["mask 0.125", "mask 0.25", "mask 0.375", "mask 0.5", "average"]
    average = found["ETTh1", "DLinear", "average"].loc["mse"]
    assert average[["mean", "published"]].tolist() == [0.3125, 0.201]
    assert found["ETTh1", "DLinear", "mask 0.5"].published.isna().all()
    three = rows("imputation", *contents[1:])["ETTh1", "DLinear", "average"]
    assert set(three.gap) == {"3 of 4 rates"}


def test_a_task_may_have_other_metrics_and_no_horizon() -> None:
    content = long_term("Heart", task=("classification", "Classification", ["accuracy"]))
    content["data"]["config"] = {"data": "Heart"}
    content["scores"] = {"accuracy": 0.9, "metrics": {"CALF": {"accuracy": 0.9}, "naive": {"accuracy": 0.4}}}
    ((_, row),) = rows("classification", content).items()
    assert row.loc["accuracy", ["mean", "naive"]].tolist() == [0.9, 0.4]


def test_m4_is_pooled_over_patterns_weighted_by_series() -> None:
    series = {"Weekly": 359, "Daily": 4227, "Hourly": 414}
    contents = [m4(name, smape=float(i), series=n) for i, (name, n) in enumerate(series.items(), start=1)]
    found = rows("m4", *contents)
    row = found["M4", "random", "Others"]
    smape = (359 + 2 * 4227 + 3 * 414) / 5000
    assert list(row["mean"]) == pytest.approx([smape, 2.0, (smape / 16 + 2 / 2.5) / 2])
    assert row.loc["owa", "published"] == 0.990
    assert row.loc["owa", "naive2"] == pytest.approx(1.0)
    assert found["M4", "random", "Weekly"].loc["smape", "mean"] == 1.0
    assert found["M4", "random", "Weekly"].published.isna().all()
    assert set(found["M4", "random", "Average"].gap) == {"3 of 6 patterns"}


def test_m4_is_pooled_within_each_seed() -> None:
    contents = [m4(name, seed, smape=float(seed)) for name in PATTERNS for seed in (1, 3)] + [m4("Hourly", 9)]
    smape = rows("m4", *contents)["M4", "random", "Average"].loc["smape"]
    assert smape.seeds == "1 3"
    assert smape["mean"] == pytest.approx(2.0)
    assert smape["std"] == pytest.approx(statistics.stdev([1, 3]))


def test_m4_pools_patterns_that_were_trained_differently() -> None:
    contents = [m4(name, batch_size=size) for name, size in zip(("Weekly", "Daily", "Hourly"), (1, 2, 3), strict=True)]
    assert not rows("m4", *contents)["M4", "random", "Others"].gap.any()


def test_m4_without_a_common_seed_says_so() -> None:
    contents = [m4("Weekly", 1), m4("Daily", 1), m4("Hourly", 2)]
    assert set(rows("m4", *contents)["M4", "random", "Others"].gap) == {"no seed has all patterns"}


def test_m4_selected_on_test_is_pooled_apart() -> None:
    contents = [m4("Weekly"), m4("Daily"), m4("Hourly", selected_on="test")]
    found = rows("m4", *contents)
    assert set(found["M4", "random", "Others"].gap) == {"2 of 3 patterns"}
    assert set(found["M4, selected on test", "random", "Others"].gap) == {"1 of 3 patterns"}
    assert set(found["M4, selected on test", "random", "Hourly"].seeds) == {"2021"}


def test_m4_on_part_of_the_series_is_not_compared_with_the_paper() -> None:
    found = rows("m4", *(m4(name, series=40) for name in ("Weekly", "Daily", "Hourly")))
    assert found["M4, not all series", "random", "Others"].loc["smape", "mean"] == pytest.approx(10.0)
    assert found["M4, not all series", "random", "Others"].published.isna().all()
    assert found["M4", "", "Others"].loc["smape", "published"] == 4.773


def test_m4_without_naive2_has_no_owa() -> None:
    row = rows("m4", m4("Hourly", naive2=False))["M4", "random", "Hourly"]
    assert (row.loc["smape", "mean"], pd.isna(row.loc["owa", "mean"])) == (10.0, True)
    assert row.naive2.isna().all()


def test_m4_patterns_stand_in_the_order_of_the_competition() -> None:
    assert [horizon for _, _, horizon in rows("m4")] == [*PATTERNS, "Others", "Average"]
