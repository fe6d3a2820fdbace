"""Test that the published figures are complete, plausible, and name their source."""

import pandas as pd
import pytest

from data_provider.datasets import DATASETS
from utils.m4.patterns import M4
from utils.tables.tables import AVERAGE, read_published

HORIZONS = ["96", "192", "336", "720"]


@pytest.fixture(scope="module")
def printed() -> pd.DataFrame:
    figures = read_published()
    return figures[figures.horizon != AVERAGE]


@pytest.mark.parametrize(("table", "rows"), [("long_term", 7), ("few_shot", 4), ("zero_shot", 4)])
def test_every_published_row_has_all_its_figures(printed: pd.DataFrame, table: str, rows: int) -> None:
    by_row = printed[printed.table == table].groupby("protocol")
    assert len(by_row) == rows
    for _, row in by_row:
        assert list(zip(row.horizon, row.metric, strict=True)) == [(h, m) for h in HORIZONS for m in ("mse", "mae")]


def test_the_published_groups_of_m4_are_those_that_are_pooled(printed: pd.DataFrame) -> None:
    mine = printed[printed.table == "m4"]
    groups = ["Yearly", "Quarterly", "Monthly", "Others", "Average"]
    assert list(mine.horizon.unique()) == groups
    assert set(groups) <= set(M4.pools)
    assert set(mine.groupby("horizon").metric.agg(tuple)) == {("smape", "mase", "owa")}


def test_every_figure_names_its_source_and_stands_once(printed: pd.DataFrame) -> None:
    ours = printed[printed.model == "CALF"]
    assert ours.source.str.contains("arXiv 2403.07300").all()
    assert len(ours) == 135
    assert (printed.source != "").all()
    assert not printed.duplicated(["protocol", "model", "horizon", "metric"]).any()


def test_figures_of_further_tasks_are_of_data_sets_that_there_are(printed: pd.DataFrame) -> None:
    for table, metric in (("anomaly_detection", "pa_f1"), ("classification", "accuracy")):
        figures = printed[printed.table == table]
        assert len(figures) and set(figures.metric) == {metric} and figures.published.between(0, 1).all()
        assert set(figures.data) <= DATASETS.keys()


def test_figures_are_as_printed(printed: pd.DataFrame) -> None:
    figures = printed[printed.model == "CALF"]
    values = figures.set_index(["table", "data", "target", "horizon", "metric"]).published
    assert values["long_term", "ETTh1", "", "96", "mse"] == 0.369
    assert values["few_shot", "ETTh1", "", "720", "mae"] == 0.685
    assert values["zero_shot", "ETTh2", "ETTm1", "336", "mse"] == 0.816
    assert values["m4", "m4", "", "Average", "smape"] == 11.770


def test_the_figure_that_the_paper_contradicts_has_a_note(printed: pd.DataFrame) -> None:
    (noted,) = printed[printed.note != ""].itertuples()
    assert (noted.horizon, noted.metric, noted.published) == ("Quarterly", "owa", 0.882)
    assert "0.871" in noted.note
