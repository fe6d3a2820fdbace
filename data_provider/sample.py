"""Generate an embedded data set whose best possible forecast is known.

Seven hourly channels: level, trend, daily and weekly season, plus noise. The noise is one hidden AR(1) process, which
the first channel shows at once and the others show hours later, and an AR(1) process of each channel's own. The
conditional mean, given this recipe, is the best forecast: no model has a lower error on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from data_provider.config import DataConfig
from data_provider.datasets import DatasetSpec
from data_provider.reading import Frame

ROWS = 7200  # 300 days
SEED = 20240301
HIDDEN_STEP = 0.3  # standard deviation of the innovations of the hidden process
SHARED_MEMORY = 0.95  # AR(1) coefficient of the hidden process
OWN_MEMORY = 0.7  # AR(1) coefficient of each channel's own noise


@dataclass(frozen=True)
class Channel:
    """Recipe of a channel: value = level + trend + seasons + gain · hidden(t - lag) + own noise."""

    name: str
    level: float
    trend_per_day: float
    daily: float
    weekly: float
    phase: float
    lag: int
    gain: float
    own_noise: float


CHANNELS = (
    Channel("leader", 20.0, 0.01, 3.0, 0.5, 0.0, 0, 1.0, 0.0),
    Channel("follows_6h", 35.0, 0.00, 4.0, 0.8, 0.8, 6, 1.2, 0.2),
    Channel("follows_12h", 12.0, -0.01, 2.0, 0.3, 1.6, 12, 0.8, 0.2),
    Channel("mirrors_18h", 50.0, 0.02, 5.0, 1.0, 2.4, 18, -1.5, 0.3),
    Channel("follows_24h", 8.0, 0.00, 1.5, 0.3, 3.2, 24, 0.6, 0.1),
    Channel("alone", 100.0, 0.03, 8.0, 1.5, 4.0, 0, 0.0, 1.0),
    Channel("OT", 25.0, 0.00, 3.0, 0.5, 4.8, 9, 1.0, 0.3),
)


@dataclass(frozen=True)
class Sample:
    """The series and its parts.

    Attributes:
        expected: (T, C), level, trend and seasons
        hidden: (offset + T,), the hidden process, with ``offset`` values before row 0
        own: (T, C), each channel's own noise
    """

    frame: Frame
    expected: np.ndarray
    hidden: np.ndarray
    own: np.ndarray
    offset: int

    def best_forecast(self, origins: np.ndarray, pred_len: int) -> np.ndarray:
        """Return the conditional mean (B, H, C) of the steps from each row of ``origins`` (B,) on, given all before."""
        ahead = np.arange(pred_len)  # 0 is the first step after the last known row
        forecast = np.empty((len(origins), pred_len, len(CHANNELS)))
        for c, channel in enumerate(CHANNELS):
            unseen = np.maximum(0, ahead - channel.lag + 1)  # steps of the hidden process not yet shown
            rows = origins[:, None] + ahead - channel.lag - unseen + self.offset  # (B, H)
            hidden = self.hidden[rows] * SHARED_MEMORY**unseen
            own = self.own[origins - 1, c][:, None] * OWN_MEMORY ** (ahead + 1)
            forecast[:, :, c] = self.expected[origins[:, None] + ahead, c] + channel.gain * hidden + own
        return forecast


@cache
def make_sample() -> Sample:
    """Generate the sample, with equal numbers on every machine."""
    random = np.random.Generator(np.random.PCG64(SEED))
    offset = max(channel.lag for channel in CHANNELS)
    hidden = _ar1(random.normal(0, HIDDEN_STEP, (offset + ROWS, 1)), SHARED_MEMORY)[:, 0]
    scales = np.array([channel.own_noise for channel in CHANNELS])
    own = _ar1(random.normal(0, 1, (ROWS, len(CHANNELS))) * scales, OWN_MEMORY)
    hours = np.arange(ROWS)
    expected = np.column_stack([_expected(channel, hours) for channel in CHANNELS])
    shown = np.column_stack([channel.gain * hidden[offset - channel.lag :][:ROWS] for channel in CHANNELS])
    dates = pd.date_range("2024-01-01", periods=ROWS, freq="h")
    names = tuple(channel.name for channel in CHANNELS)
    frame = Frame(dates, expected + shown + own, names, "the embedded sample", "h")
    return Sample(frame, expected, hidden, own, offset)


def read_sample(config: DataConfig, spec: DatasetSpec) -> Frame:
    """Return the sample as if it had been read from a file."""
    return make_sample().frame


def best_forecast(columns: Sequence[str], origins: np.ndarray, pred_len: int) -> np.ndarray:
    """Return the best possible forecast (B, H, C) of some columns in the data's units from rows ``origins`` on."""
    sample = make_sample()
    order = [sample.frame.columns.index(name) for name in columns]
    return sample.best_forecast(origins, pred_len)[:, :, order]


def _expected(channel: Channel, hours: np.ndarray) -> np.ndarray:
    day, week = 2 * np.pi * hours / 24 + channel.phase, 2 * np.pi * hours / 168 + channel.phase
    seasons = channel.daily * (np.sin(day) + 0.4 * np.sin(2 * day)) + channel.weekly * np.sin(week)
    return channel.level + channel.trend_per_day * hours / 24 + seasons


def _ar1(innovations: np.ndarray, memory: float) -> np.ndarray:
    """Return an AR(1) process over axis 0 that begins in its stationary distribution."""
    series = innovations.copy()
    series[0] /= np.sqrt(1 - memory**2)
    for t in range(1, len(series)):
        series[t] += memory * series[t - 1]
    return series
