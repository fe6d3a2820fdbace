"""Which differences are certain: block bootstrap over windows, skill, win rate and rank over data sets."""

import numpy as np
import pandas as pd
import pytest

from utils.tables.statistics import difference_interval, in_a_word, summarize

MODELS = ["A", "B", "SeasonalNaive", "D"]
ERRORS = [
    [1.001, 1.196, 0.848, 0.586],
    [0.572, 0.572, 0.983, 1.518],
    [0.331, 0.868, 0.467, 0.0001],
    [1.099, 900.0, 0.221, 0.724],
    [0.981, 1.7, 0.705, 0.935],
    [2.26, 0.395, 1.675, 1.074],
]
# Of these errors, by the functions behind the leaderboard of the library fev 0.10.0.
FEV = {
    "skill": [-0.28704914684080696, -1.1039583031841, 0.0, 0.4434172883674482],
    "win_rate": [0.4166666666666667, 0.3055555555555555, 0.611111111111111, 0.6666666666666666],
    "mean_rank": [2.75, 3.0833333333333335, 2.1666666666666665, 2.0],
}


def table(errors: list[list[float]], horizons: tuple[int, ...] = (96,)) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([[f"data {i}" for i in range(len(errors))], horizons])
    return pd.DataFrame(np.repeat(errors, len(horizons), axis=0), index, MODELS)


@pytest.mark.parametrize("name", FEV)
def test_figures_equal_those_of_fev(name: str) -> None:
    assert summarize(table(ERRORS), "SeasonalNaive")[name].to_numpy() == pytest.approx(FEV[name], rel=1e-12)


def test_an_interval_of_skill_covers_its_figure_and_the_baseline_has_none() -> None:
    found = summarize(table(ERRORS), "SeasonalNaive")
    assert (found.skill_lower <= found.skill).all() and (found.skill <= found.skill_upper).all()
    assert found.loc["SeasonalNaive", ["skill_lower", "skill_upper"]].tolist() == [0, 0]
    assert found.loc["D", "skill_lower"] < found.loc["D", "skill_upper"]


def test_all_horizons_of_a_data_set_are_drawn_together() -> None:
    one, four = (summarize(table(ERRORS, horizons), "SeasonalNaive") for horizons in ((96,), (96, 192, 336, 720)))
    pd.testing.assert_frame_equal(one, four)


def test_few_data_sets_have_no_interval() -> None:
    found = summarize(table(ERRORS[:4]), "SeasonalNaive")
    assert found.filter(like="_lower").isna().all(axis=None) and found.filter(like="_upper").isna().all(axis=None)


def test_a_constant_difference_is_certain() -> None:
    interval = difference_interval(np.full(1000, -0.25), 100)
    assert interval == pytest.approx((-0.25, -0.25))
    assert in_a_word(interval) == "better"
    assert in_a_word(difference_interval(np.full(1000, 0.25), 100)) == "worse"


def test_an_interval_is_that_of_independent_values_where_blocks_are_of_one_window() -> None:
    difference = np.random.default_rng(0).normal(0.02, 1, 4000)
    lower, upper = difference_interval(difference, 1)
    assert upper - lower == pytest.approx(2 * 1.96 / np.sqrt(4000), rel=0.06)
    assert (lower + upper) / 2 == pytest.approx(difference.mean(), abs=0.004)


def test_blocks_widen_the_interval_where_neighbours_err_alike() -> None:
    noise = np.random.default_rng(0).normal(size=4100)
    difference = np.convolve(noise, np.full(101, 1 / 101), mode="valid")  # as windows that overlap by 100 steps
    narrow, wide = (difference_interval(difference, block) for block in (1, 200))
    assert wide[1] - wide[0] > 5 * (narrow[1] - narrow[0])


def test_an_interval_covers_the_truth_in_most_series() -> None:
    covered = 0
    for seed in range(60):
        noise = np.random.default_rng(seed).normal(size=4100)
        lower, upper = difference_interval(np.convolve(noise, np.full(101, 1 / 101), mode="valid"), 200)
        covered += lower <= 0 <= upper
    assert covered >= 50


def test_few_windows_say_nothing() -> None:
    assert difference_interval(np.full(499, -1.0), 100) is None
    assert in_a_word(None) == "too few windows"
