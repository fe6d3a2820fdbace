"""Statistical forecasters of the package statsforecast, fitted on each window and channel anew: nothing is trained.

AutoETS: Hyndman and Khandakar, "Automatic Time Series Forecasting: The forecast Package for R", 2008.
AutoTheta: Fiorucci et al., "Models for Optimising the Theta Method and Their Relationship to State Space Models", 2016.
MSTL: Bandara, Hyndman and Bergmeir, arXiv 2107.13462.

Shapes: B batch, L steps of the windows, H pred_len, C channels, T the steps of one series that are fitted on.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.base import Model, Output
from models.config import StatisticalConfig
from models.seasons import plausible_seasons

SEASONS, FEWEST, MOST = 10, 100, 1000  # seasons to fit on, and at least and at most so many rows
HELD = 2  # seasons that a series must hold to show them
LONGEST = 12  # steps of a season of exponential smoothing: with a state for each of 24, its search ends before its goal
LEVEL = 3.0  # mean of a series in standard deviations, while it is fitted: the search begins with steps of 5 % of it
KNOTS = 4  # points of a season at which STL smooths what varies slowly; between them it draws lines, as in R
FLAT = 1e-12  # deviation, relative to the largest value, that is rounding


class WindowFitted(Model):
    """Fit a model of statsforecast on each channel of each window.

    Every series is brought to one mean and deviation before it is fitted: the search for the best parameters depends on
    both, and forecasts must not depend on units. For the same reason errors and seasons are added: as factors they need
    values above 0 in units of their own, which a standardized series does not have. ``--multiplicative`` allows them
    for data that are not standardized.

    A series that is constant, or that no model can be fitted on, goes on with its last season, if it holds one that is
    shorter than itself, else with its last value.
    """

    Config = StatisticalConfig

    def method(self, library: ModuleType, seasons: list[int], factors: bool) -> Any:
        """Return the model of ``library`` to fit on a series.

        Args:
            seasons: those that the series holds, in rising order; empty for none.
            factors: whether errors and seasons may be factors.
        """
        raise NotImplementedError

    @property
    def seasons(self) -> tuple[int, ...]:
        """Return the seasons that the model knows; those are used that a series holds twice."""
        return (self.config.season,) if self.config.season > 1 else ()

    @property
    def lookback(self) -> int:
        """Return how many rows to fit on at most: ``--history``, or ten seasons in bounds, and the whole window."""
        longest = max(self.seasons, default=1)
        chosen = max(min(max(SEASONS * longest, FEWEST), MOST), (HELD + 1) * longest, self.config.seq_len)
        return self.config.history or chosen

    @property
    def least_lookback(self) -> int:
        """Return 1: where there are fewer rows, it makes do with them."""
        return 1

    def describe(self) -> list[str]:
        """Return what it is fitted on, and how."""
        listed = ", ".join(map(str, self.seasons))
        seasons = f"seasons of {listed} steps, where the rows hold {HELD} of them" if listed else "no season"
        return [
            f"fitted on each window and channel anew, on up to {self.lookback:,} rows before its forecast (--history); "
            f"{seasons}; errors and seasons are "
            f"{'added, or factors where all values are above 0' if self.config.multiplicative else 'added'}"
        ]

    def forward(self, x: Tensor) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C), each channel of each on its own, in float64 on the CPU."""
        import statsforecast.models as library

        windows = x[:, -self.lookback :].detach().double().cpu().numpy()
        largest = torch.finfo(x.dtype).max
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [self._forecast(library, series, largest) for window in windows for series in _begun(window)]
        forecasts = torch.from_numpy(np.array(found)).view(len(x), x.shape[2], -1)  # (B, C, H)
        return Output(forecasts.transpose(1, 2).to(x))

    def _forecast(self, library: ModuleType, series: np.ndarray, largest: float) -> np.ndarray:
        """Return the forecast (H,) of a series (T,), without values beyond the ``largest``."""
        steps, rows = self.config.pred_len, len(series)
        seasons = [season for season in self.seasons if rows >= HELD * season]
        factors = bool(self.config.multiplicative) and series.min() > 0
        exponent = 0 if factors else np.frexp(np.abs(series).max())[1]
        near_one = np.ldexp(series, -exponent)  # exact, and whatever follows neither overflows nor underflows
        deviation = near_one.std()
        if deviation > FLAT:
            zero, one = (0, 1) if factors else (near_one.mean() - LEVEL * deviation, deviation)
            method = self.method(library, seasons, factors)
            try:
                found = method.forecast((near_one - zero) / one, steps)["mean"]
            except Exception:  # each method has others for a series that is too short or cannot be fitted
                found = np.full(steps, np.nan)
            forecast = np.ldexp(found * one + zero, exponent)
            if (np.abs(forecast) <= largest).all():
                return forecast
        shorter = [season for season in self.seasons if season < rows]
        return np.resize(series[-shorter[0] :] if shorter else series[-1:], steps)


def _begun(window: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the series (T,) of a window (L, C), without rows before its beginning, which are 0 in all channels."""
    begin = int((window != 0).any(axis=1).argmax())
    yield from window[begin:].T


def _smoothing(library: ModuleType, factors: bool) -> Any:
    """Return exponential smoothing without season."""
    return library.AutoETS(model="ZZN" if factors else "AZN")


def _decomposition(library: ModuleType, seasons: list[int], factors: bool) -> Any:
    """Return exponential smoothing of what STL leaves without the seasons, and the last of each, repeated."""
    jump = max(1, seasons[0] // (KNOTS if len(seasons) == 1 else KNOTS // 2))  # one for all seasons, the slow ones, too
    return library.MSTL(seasons, _smoothing(library, factors), {"trend_jump": jump, "low_pass_jump": jump})


class AutoETS(WindowFitted):
    """Choose among models of exponential smoothing, with or without trend and season, by AICc.

    A season of more than 12 steps is taken out first by STL, and put back by repeating its last one.
    """

    @dataclass(frozen=True)
    class Config(StatisticalConfig):
        """Sizes and history."""

    def method(self, library: ModuleType, seasons: list[int], factors: bool) -> Any:
        """Return exponential smoothing, on what STL leaves where the season is long."""
        if not seasons:
            return _smoothing(library, factors)
        if seasons[0] > LONGEST:
            return _decomposition(library, seasons, factors)
        return library.AutoETS(seasons[0], model="ZZZ" if factors else "AZZ")

    def describe(self) -> list[str]:
        """Return what it is fitted on, and what becomes of a long season."""
        long = f"a season of {self.config.season} steps is too long for exponential smoothing: STL takes it out first"
        return [*super().describe(), *([long] if self.config.season > LONGEST else [])]


class AutoTheta(WindowFitted):
    """Choose among four Theta models by their error; a season is taken out where a test finds one."""

    @dataclass(frozen=True)
    class Config(StatisticalConfig):
        """Sizes and history."""

    def method(self, library: ModuleType, seasons: list[int], factors: bool) -> Any:
        """Return Theta models."""
        kind = "multiplicative" if factors else "additive"
        return library.AutoTheta(max(seasons, default=1), decomposition_type=kind)


class MSTL(WindowFitted):
    """Take out all seasons by STL, forecast the rest by exponential smoothing, and repeat the last of each season."""

    @dataclass(frozen=True)
    class Config(StatisticalConfig):
        """Sizes and history."""

    @property
    def seasons(self) -> tuple[int, ...]:
        """Return all seasons that go with that of the data: a day and a week, a week and a year."""
        return plausible_seasons(self.config.season)

    def method(self, library: ModuleType, seasons: list[int], factors: bool) -> Any:
        """Return the decomposition, or exponential smoothing alone where there is no season."""
        return _decomposition(library, seasons, factors) if seasons else _smoothing(library, factors)
