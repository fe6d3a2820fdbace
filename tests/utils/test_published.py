"""The published figures: complete, plausible, and each with its source."""

from utils.m4.scores import POOLS
from utils.published import read_published

HORIZONS = ["96", "192", "336", "720"]


def test_every_published_row_has_all_its_figures() -> None:
    published = read_published()
    for table, rows, metrics in (("long_term", 7, 2), ("few_shot", 4, 2), ("zero_shot", 4, 2)):
        pairs = published.pairs(table)
        assert len(pairs) == rows
        assert all(published.horizons(table, *pair) == HORIZONS for pair in pairs)
        assert sum(figure.table == table for figure in published.figures) == rows * len(HORIZONS) * metrics
    assert published.horizons("m4", "m4", "") == ["Yearly", "Quarterly", "Monthly", "Others", "Average"]
    assert sum(figure.table == "m4" for figure in published.figures) == 5 * 3
    assert set(published.horizons("m4", "m4", "")) <= set(POOLS)


def test_every_figure_names_its_source_and_stands_once() -> None:
    figures = read_published().figures
    assert all("arXiv 2403.07300" in figure.source for figure in figures)
    assert len({(f.table, f.data, f.target, f.horizon, f.metric) for f in figures}) == len(figures) == 135


def test_figures_are_found_by_their_place() -> None:
    published = read_published()
    assert published.value("long_term", "ETTh1", "", "96", "mse") == 0.369
    assert published.value("few_shot", "weather", "", "96", "mse") is None
    assert published.value("few_shot", "ETTh1", "", "720", "mae") == 0.685
    assert published.value("zero_shot", "ETTh2", "ETTm1", "336", "mse") == 0.816
    assert published.value("m4", "m4", "", "Average", "smape") == 11.770


def test_the_figure_that_the_paper_contradicts_has_a_note() -> None:
    (noted,) = [figure for figure in read_published().figures if figure.note]
    assert (noted.horizon, noted.metric, noted.value) == ("Quarterly", "owa", 0.882)
    assert "0.871" in noted.note
