"""Test M4's Naive2 on series worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest

from utils.m4.naive2 import is_seasonal, naive2, seasonal_figure

SEASONS = {4: np.array([0.5, 1.5, 1.2, 0.8]), 5: np.array([0.4, 1.6, 1.0, 1.3, 0.7])}


def seasonal_series(season: int, length: int) -> np.ndarray:
    """Return a series of level 10 with a season of mean 1."""
    return 10 * np.resize(SEASONS[season], length)


def naive2_of(series: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Return the forecast of one series."""
    return naive2(series, np.array([0, len(series)]), horizon, season)[0]


def test_without_a_season_it_is_the_naive_forecast() -> None:
    assert naive2_of(np.array([3.0, 5, 4]), 2, 1).tolist() == [4, 4]


@pytest.mark.parametrize("season", [4, 5])
@pytest.mark.parametrize("extra", [0, 1, 3])
def test_a_pure_season_goes_on_whatever_phase_the_series_ends_in(season: int, extra: int) -> None:
    series = seasonal_series(season, 6 * season + extra + 9)
    history, future = series[:-9], series[-9:]
    assert naive2_of(history, 9, season) == pytest.approx(future)


@pytest.mark.parametrize("season", [4, 5])
def test_the_figure_of_a_pure_season_is_that_season(season: int) -> None:
    series = np.stack([seasonal_series(season, 4 * season), 7 * seasonal_series(season, 4 * season)])
    assert seasonal_figure(series, season) == pytest.approx(np.stack([SEASONS[season]] * 2))


def test_the_figure_follows_from_an_even_moving_average() -> None:
    series = np.array([[2.0, 6, 4, 8, 3]])
    # Trends at steps 1 to 3: (2 + 2·6 + 4) / 4, (6 + 2·4 + 8) / 4, (4 + 2·8 + 3) / 4.
    even, odd = 4 / 5.5, (6 / 4.5 + 8 / 5.75) / 2
    assert seasonal_figure(series, 2)[0] == pytest.approx(np.array([even, odd]) * 2 / (even + odd))


def test_the_figure_follows_from_an_odd_moving_average() -> None:
    series = np.array([[2.0, 6, 4, 8, 3]])
    raw = np.array([8 / 5, 6 / 4, 4 / 6])  # at phases 0 to 2: steps 3, 1 and 2, trends 5, 4 and 6
    assert seasonal_figure(series, 3)[0] == pytest.approx(raw * 3 / raw.sum())


def test_the_last_value_is_adjusted_before_the_season_is_put_back() -> None:
    series = seasonal_series(4, 40)
    series[-1] *= 2
    figure = seasonal_figure(series[None], 4)[0]
    assert naive2_of(series, 4, 4) == pytest.approx(series[-1] / figure[3] * figure)


def limit_and_correlation(series: np.ndarray, season: int) -> tuple[float, float]:
    """Return the two sides of the test of seasonality, term by term."""
    n, mean = len(series), series.mean()
    r = [
        sum((series[t] - mean) * (series[t - k] - mean) for t in range(k, n)) / sum((series - mean) ** 2)
        for k in range(1, season + 1)
    ]
    return 1.645 * ((1 + 2 * sum(x * x for x in r[:-1])) / n) ** 0.5, abs(r[-1])


def test_the_seasonality_test_compares_the_seasonal_lag_with_its_limit() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 24))
    series = 20 + seasonal_series(4, 24) * rng.uniform(0, 0.3, (200, 1)) + noise
    sides = [limit_and_correlation(x, 4) for x in series]
    expected = [correlation > limit for limit, correlation in sides]
    assert is_seasonal(series, 4).tolist() == expected
    assert 20 < sum(expected) < 180


def test_fewer_than_three_seasons_show_no_season() -> None:
    series = seasonal_series(4, 12)
    assert is_seasonal(series[None], 4).tolist() == [True]
    assert is_seasonal(series[None, :11], 4).tolist() == [False]
    assert naive2_of(series[:11], 2, 4).tolist() == [series[10]] * 2


def test_a_season_longer_than_the_lags_looked_at_does_not_show() -> None:
    # 10 · log10(72) is 18.6, and 10 · log10(252) is 24.01.
    season = np.linspace(1, 9, 24)
    assert is_seasonal(np.resize(season, 72)[None], 24).tolist() == [False]
    assert is_seasonal(np.resize(season, 251)[None], 24).tolist() == [False]
    assert is_seasonal(np.resize(season, 252)[None], 24).tolist() == [True]


@pytest.mark.parametrize("level", [0.0, 0.1, 5.0, -3.0])
def test_constant_series_stay_constant(level: float) -> None:
    series = np.full(40, level)
    assert is_seasonal(series[None], 4).tolist() == [False]
    assert naive2_of(series, 3, 4).tolist() == [level] * 3


@pytest.mark.parametrize("low", [0.0, -2.0])
def test_values_of_zero_or_below_give_the_naive_forecast(low: float) -> None:
    series = seasonal_series(4, 40)
    series[0] = low
    assert naive2_of(series, 3, 4).tolist() == [series[-1]] * 3


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_very_small_and_very_large_values_keep_their_season(size: float) -> None:
    series = size * seasonal_series(4, 40)
    assert naive2_of(series, 4, 4) == pytest.approx(series[:4], rel=1e-12, abs=0)


def test_all_series_together_are_forecast_as_each_alone() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 40, 60)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.concatenate([seasonal_series(4, n) + rng.normal(0, 3, n) for n in lengths])
    together = naive2(values, offsets, 7, 4)
    assert together.shape == (60, 7)
    alone = [naive2_of(values[a:b], 7, 4) for a, b in pairwise(offsets)]
    assert together == pytest.approx(np.stack(alone))
    assert 0 < (np.ptp(together, axis=1) > 0).sum() < 60
