"""Forecasts that need no model, worked out by hand."""

import numpy as np

from utils.baselines import naive, seasonal_naive

VALUES = np.stack([np.arange(8.0), 10 * np.arange(8.0)], axis=1)  # (T, C) = (8, 2)


def test_naive_repeats_the_row_before_the_origin() -> None:
    forecast = naive(VALUES, np.array([1, 5]), 3)
    assert forecast.shape == (2, 3, 2)
    assert forecast[:, :, 0].tolist() == [[0, 0, 0], [4, 4, 4]]
    assert forecast[:, :, 1].tolist() == [[0, 0, 0], [40, 40, 40]]


def test_seasonal_naive_repeats_the_last_season_beyond_its_length() -> None:
    forecast = seasonal_naive(VALUES, np.array([3, 6]), 5, season=3)
    assert forecast.shape == (2, 5, 2)
    assert forecast[:, :, 0].tolist() == [[0, 1, 2, 0, 1], [3, 4, 5, 3, 4]]
    assert forecast[1, :, 1].tolist() == [30, 40, 50, 30, 40]


def test_seasonal_naive_of_a_short_horizon_starts_at_the_seasons_start() -> None:
    assert seasonal_naive(VALUES, np.array([8]), 2, season=4)[0, :, 0].tolist() == [4, 5]


def test_a_season_of_one_step_is_the_naive_forecast() -> None:
    origins = np.array([1, 4, 8])
    assert np.array_equal(seasonal_naive(VALUES, origins, 4, season=1), naive(VALUES, origins, 4))


def test_a_periodic_series_is_forecast_without_error() -> None:
    series = np.tile(np.random.default_rng(0).normal(size=(6, 2)), (5, 1))
    assert np.array_equal(seasonal_naive(series, np.array([12]), 18, season=6)[0], series[12:])
