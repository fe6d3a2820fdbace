"""Means over seeds and horizons, gaps, and the published figures beside them."""

import statistics
from typing import Any

import pytest

from tests.helpers.records import long_term, m4
from tests.utils.test_table_cells import records
from utils.m4.patterns import PATTERNS
from utils.published import read_published
from utils.table_cells import group
from utils.table_rows import Row, rows_of_table

HORIZONS = (96, 192, 336, 720)


def rows(table: str, *contents: dict[str, Any]) -> dict[tuple[str, str, str], Row]:
    """By title, backbone's initialisation and horizon."""
    cells, _ = group(records(*contents))
    found = rows_of_table(table, cells, read_published())
    by_place = {(row.block.title, row.block.init, row.horizon): row for row in found}
    assert len(by_place) == len(found)
    return by_place


def test_a_cell_is_the_mean_and_the_sample_deviation_over_seeds() -> None:
    found = rows("long_term", long_term(seed=1, mse=0.4, mae=0.3), long_term(seed=2, mse=0.5, mae=0.3))
    row = found["ETTh1", "random", "96"]
    assert row.seeds == (1, 2)
    assert row.gap == ""
    assert row.figures["mse"].mean == pytest.approx(0.45)
    assert row.figures["mse"].std == pytest.approx(statistics.stdev([0.4, 0.5]))
    assert row.figures["mae"].std == 0


def test_a_single_seed_has_no_deviation() -> None:
    assert rows("long_term", long_term())["ETTh1", "random", "96"].figures["mse"].std is None


def test_published_figures_difference_and_naive_stand_beside() -> None:
    figure = rows("long_term", long_term(mse=0.4, naive=1.2))["ETTh1", "random", "96"].figures["mse"]
    assert figure.published == 0.369
    assert figure.difference == pytest.approx(0.4 - 0.369)
    assert figure.baselines == {"naive": 1.2, "seasonal_naive": 0.3}


def test_a_baseline_that_was_not_scored_or_is_damaged_is_absent() -> None:
    content = long_term()
    del content["metrics"]["seasonal_naive"]
    content["metrics"]["naive"]["standardised"]["mae"] = None
    figures = rows("long_term", content)["ETTh1", "random", "96"].figures
    assert figures["mse"].baselines == figures["mae"].baselines == {}


def test_the_average_is_taken_for_each_seed_first() -> None:
    contents = [long_term(pred_len=h, seed=s, mse=h / 1000 + s) for h in HORIZONS for s in (1, 2, 4)]
    row = rows("long_term", *contents)["ETTh1", "random", "average"]
    per_seed = [sum(HORIZONS) / 4000 + s for s in (1, 2, 4)]
    assert row.seeds == (1, 2, 4)
    assert row.figures["mse"].mean == pytest.approx(statistics.mean(per_seed))
    assert row.figures["mse"].std == pytest.approx(statistics.stdev(per_seed))
    assert row.figures["mse"].published == pytest.approx((0.369 + 0.427 + 0.456 + 0.479) / 4)
    assert row.figures["mse"].baselines["naive"] == 1.0


def test_the_average_takes_only_seeds_that_have_all_horizons() -> None:
    contents = [long_term(pred_len=h, seed=1, mse=1.0) for h in HORIZONS] + [long_term(seed=2, mse=9.0)]
    found = rows("long_term", *contents)
    assert found["ETTh1", "random", "96"].seeds == (1, 2)
    assert found["ETTh1", "random", "average"].seeds == (1,)
    assert found["ETTh1", "random", "average"].figures["mse"].mean == 1.0


def test_the_average_says_which_part_it_lacks() -> None:
    some = [long_term(pred_len=h) for h in HORIZONS[:3]]
    row = rows("long_term", *some)["ETTh1", "random", "average"]
    assert (row.gap, row.seeds, row.figures["mse"].mean) == ("3 of 4 horizons", (), None)
    all_with_another_seed = [*some, long_term(pred_len=720, seed=1)]
    assert rows("long_term", *all_with_another_seed)["ETTh1", "random", "average"].gap == "no seed has all horizons"


def test_another_horizon_gets_a_row_and_stays_out_of_the_average() -> None:
    contents = [long_term(pred_len=h, mse=1.0) for h in HORIZONS] + [long_term(pred_len=48, mse=9.0)]
    found = rows("long_term", *contents)
    assert [horizon for title, _, horizon in found if title == "ETTh1"] == ["48", "96", "192", "336", "720", "average"]
    assert found["ETTh1", "random", "48"].figures["mse"].published is None
    assert found["ETTh1", "random", "average"].figures["mse"].mean == 1.0


def test_what_is_published_and_was_not_run_is_missing() -> None:
    found = rows("long_term", long_term())
    assert found["ETTh1", "random", "192"].gap == "missing"
    assert found["ETTh1", "random", "192"].figures["mse"].published == 0.427
    assert found["traffic", "", "720"].gap == "missing"
    assert found["traffic", "", "720"].figures["mae"].published == 0.300


@pytest.mark.parametrize(("table", "count"), [("long_term", 35), ("few_shot", 20), ("zero_shot", 20), ("m4", 8)])
def test_without_any_run_every_published_row_is_there(table: str, count: int) -> None:
    found = rows(table)
    assert len(found) == count
    assert all(row.gap for row in found.values())


def test_each_backbone_has_its_own_rows() -> None:
    found = rows("long_term", long_term(mse=1.0), long_term(init="pretrained", mse=2.0))
    assert found["ETTh1", "random", "96"].figures["mse"].mean == 1.0
    assert found["ETTh1", "pretrained", "96"].figures["mse"].mean == 2.0
    assert found["ETTh1", "pretrained", "96"].figures["mse"].published == 0.369
    assert not any(title == "ETTh1" and not init for title, init, _ in found)


def test_data_without_published_figures_are_averaged_over_what_was_run() -> None:
    found = rows("long_term", long_term("illness", 24, mse=1.0), long_term("illness", 36, mse=2.0))
    row = found["illness", "random", "average"]
    assert (row.figures["mse"].mean, row.figures["mse"].published) == (1.5, None)
    assert list(found)[-3:] == [("illness", "random", horizon) for horizon in ("24", "36", "average")]


def test_an_own_file_with_one_horizon_is_one_row() -> None:
    found = rows("long_term", long_term("custom", 24))
    assert [place for place in found if place[0] == "custom/custom.csv"] == [("custom/custom.csv", "random", "24")]


def test_another_protocol_is_not_compared_with_the_paper() -> None:
    found = rows("long_term", long_term(seq_len=336), long_term(features="MS"))
    for title in ("ETTh1, seq_len 336", "ETTh1, MS OT"):
        assert found[title, "random", "96"].figures["mse"].published is None
    assert found["ETTh1", "", "96"].gap == "missing"


def test_few_shot_with_another_share_is_not_compared_with_the_paper() -> None:
    found = rows("few_shot", long_term(percent=10), long_term(percent=5))
    assert found["ETTh1, 10 %", "random", "96"].figures["mse"].published == 0.468
    assert found["ETTh1, 5 %", "random", "96"].figures["mse"].published is None


def test_zero_shot_rows_go_from_source_to_target() -> None:
    found = rows("zero_shot", long_term(target="ETTm1"), long_term(target="ETTh2"))
    assert found["ETTh1 → ETTm1", "random", "96"].figures["mse"].published == 0.767
    assert found["ETTh1 → ETTh2", "random", "96"].figures["mse"].published is None
    assert found["ETTh2 → ETTm1", "", "96"].gap == "missing"
    assert not any(row.seeds for row in rows("long_term", long_term(target="ETTm1")).values())


def test_m4_is_pooled_over_patterns_weighted_by_series() -> None:
    series = {"Weekly": 359, "Daily": 4227, "Hourly": 414}
    contents = [m4(name, smape=float(i), series=n) for i, (name, n) in enumerate(series.items(), start=1)]
    found = rows("m4", *contents)
    row = found["M4", "random", "Others"]
    smape = (359 + 2 * 4227 + 3 * 414) / 5000
    assert row.figures["smape"].mean == pytest.approx(smape)
    assert row.figures["mase"].mean == pytest.approx(2.0)
    assert row.figures["owa"].mean == pytest.approx((smape / 16 + 2 / 2.5) / 2)
    assert row.figures["owa"].published == 0.990
    assert row.figures["owa"].baselines["naive2"] == pytest.approx(1.0)
    assert found["M4", "random", "Weekly"].figures["smape"].mean == 1.0
    assert found["M4", "random", "Weekly"].figures["smape"].published is None
    assert found["M4", "random", "Average"].gap == "3 of 6 patterns"


def test_m4_is_pooled_within_each_seed() -> None:
    contents = [m4(name, seed, smape=float(seed)) for name in PATTERNS for seed in (1, 3)] + [m4("Hourly", 9)]
    row = rows("m4", *contents)["M4", "random", "Average"]
    assert row.seeds == (1, 3)
    assert row.figures["smape"].mean == pytest.approx(2.0)
    assert row.figures["smape"].std == pytest.approx(statistics.stdev([1, 3]))


def test_m4_pools_patterns_that_were_trained_differently() -> None:
    contents = [m4(name, batch_size=size) for name, size in zip(("Weekly", "Daily", "Hourly"), (1, 2, 3), strict=True)]
    assert rows("m4", *contents)["M4", "random", "Others"].gap == ""


def test_m4_without_a_common_seed_says_so() -> None:
    contents = [m4("Weekly", 1), m4("Daily", 1), m4("Hourly", 2)]
    assert rows("m4", *contents)["M4", "random", "Others"].gap == "no seed has all patterns"


def test_m4_selected_on_test_is_pooled_apart() -> None:
    contents = [m4("Weekly"), m4("Daily"), m4("Hourly", selected_on="test")]
    found = rows("m4", *contents)
    assert found["M4", "random", "Others"].gap == "2 of 3 patterns"
    assert found["M4, selected on test", "random", "Others"].gap == "1 of 3 patterns"
    assert found["M4, selected on test", "random", "Hourly"].seeds == (2021,)


def test_m4_without_naive2_has_no_owa() -> None:
    figures = rows("m4", m4("Hourly", naive2=False))["M4", "random", "Hourly"].figures
    assert (figures["smape"].mean, figures["owa"].mean) == (10.0, None)
    assert "naive2" not in figures["smape"].baselines


def test_m4_patterns_stand_in_the_order_of_the_competition() -> None:
    assert [horizon for _, _, horizon in rows("m4")] == [*PATTERNS, "Others", "Average"]
