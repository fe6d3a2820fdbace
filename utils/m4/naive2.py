"""Compute Naive2, the forecast that M4 compares all others with: the naive one of the seasonally adjusted series.

Written from the formulas in the M4 Competitor's Guide ("Naive 2") and the definitions of R's ``acf`` and
``decompose``, which the competition used. Shapes: N series, G of them of one length n; H horizon, m steps of a season.
"""

import math

import numpy as np

NORMAL_90 = 1.645  # two-sided 90 % of the normal distribution
FEWEST_SEASONS = 3


def naive2(values: np.ndarray, offsets: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Return the forecasts (N, H) of all series, in float64.

    A series without a significant season gets the plain naive forecast. So does a constant series, and one with a value
    of 0 or below, which a multiplicative season cannot describe. A season of 1 step is none.

    Series i is ``values[offsets[i] : offsets[i + 1]]``, of finite numbers.
    """
    forecast = np.repeat(values[offsets[1:] - 1, None].astype(np.float64), horizon, axis=1)
    if season == 1:
        return forecast
    lengths = np.diff(offsets)
    for length in np.unique(lengths):
        group = np.flatnonzero(lengths == length)
        series = values[offsets[group, None] + np.arange(length)].astype(np.float64)
        seasonal = is_seasonal(series, season)
        if seasonal.any():
            figure = seasonal_figure(series[seasonal], season)
            adjusted = series[seasonal, -1:] / figure[:, (length - 1) % season, None]
            forecast[group[seasonal]] = adjusted * figure[:, (length + np.arange(horizon)) % season]
    return forecast


def is_seasonal(series: np.ndarray, season: int) -> np.ndarray:
    """Return (G,) of bool: whether the autocorrelation of series (G, n) at the seasonal lag differs from 0 at 90 %.

    Its limit is 1.645 · sqrt((1 + 2 · sum of the squared autocorrelations at shorter lags) / n). Always False for fewer
    than three seasons, for a lag beyond the 10 · log10(n) up to which R computes the autocorrelation, for constant
    series, and for series with values of 0 or below.
    """
    length = series.shape[1]
    if length < FEWEST_SEASONS * season or season > math.floor(10 * math.log10(length)):
        return np.zeros(len(series), dtype=bool)
    usable = (series.min(axis=1) > 0) & (np.ptp(series, axis=1) > 0)
    deviation = series - series.mean(axis=1, keepdims=True)
    # Brought to 1 at most, so that no square leaves float64's range.
    deviation /= np.where(usable, np.abs(deviation).max(axis=1), 1)[:, None]
    lags = [np.einsum("gt,gt->g", deviation[:, k:], deviation[:, : length - k]) for k in range(season + 1)]
    correlation = np.stack(lags[1:], axis=1) / np.where(usable, lags[0], 1)[:, None]  # (G, m)
    limit = NORMAL_90 * np.sqrt((1 + 2 * np.square(correlation[:, :-1]).sum(axis=1)) / length)
    return usable & (np.abs(correlation[:, -1]) > limit)


def seasonal_figure(series: np.ndarray, season: int) -> np.ndarray:
    """Return the multiplicative season (G, m) of a classical decomposition of positive series (G, n), n ≥ 2 m.

    The trend is a moving average over one season, centered with half weights at both ends where m is even. The season
    is the mean of series / trend at each phase, divided by the mean over all phases; phase 0 is that of the first step.
    """
    half = season // 2
    weights = np.full(2 * half + 1, 1 / season)
    if season % 2 == 0:
        weights[[0, -1]] /= 2
    inner = series.shape[1] - 2 * half  # steps that have a whole season around them
    trend = sum(weight * series[:, k : k + inner] for k, weight in enumerate(weights))
    ratio = series[:, half : half + inner] / trend
    # ratio[:, 0] has the phase of step ``half``
    figure = np.stack([ratio[:, (phase - half) % season :: season].mean(axis=1) for phase in range(season)], axis=1)
    return figure / figure.mean(axis=1, keepdims=True)
