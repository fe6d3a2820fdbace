"""From a data set's name to standardised windows for training, validation and test."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from data_provider.config import DataConfig, data_file
from data_provider.datasets import Borders, find_dataset
from data_provider.frame import Frame, read_frame
from data_provider.frequency import check_frequency, infer_frequency, season_length
from data_provider.sample import Sample, make_sample
from data_provider.windows import Series, Split, WindowDataset, make_windows
from utils.baselines import naive, seasonal_naive
from utils.errors import UserError

FARTHEST = 1e15  # training standard deviations; beyond it float32 squares lose their meaning


@dataclass(frozen=True)
class ForecastData:
    """A standardised series and its windows.

    Attributes:
        columns: C names, the target last. scored: the channels that loss and metrics look at.
        scaler: mean and population standard deviation per channel, of the full training split.
        frequency: pandas' name for the step. season: steps per season.
        source: the file, for messages and records. notes: what is odd but allowed.
    """

    columns: tuple[str, ...]
    scored: slice
    scaler: StandardScaler
    dates: pd.DatetimeIndex
    frequency: str
    season: int
    series: Series
    windows: dict[Split, WindowDataset]
    source: str
    notes: tuple[str, ...]
    sample: Sample | None

    @property
    def has_season(self) -> bool:
        """Whether a whole season lies before the first step to be tested."""
        test = self.windows[Split.TEST]
        return test.first + test.seq_len >= self.season

    @property
    def scored_columns(self) -> tuple[str, ...]:
        return self.columns[self.scored]

    def baselines(self, pred_len: int) -> dict[str, "Baseline"]:
        """Forecasts without a model, by name: origins (B,) -> standardised (B, H, scored channels).

        The seasonal one is left out where the first test window has no whole season before it.
        """
        values = self.series.values[:, self.scored]
        found: dict[str, Baseline] = {"naive": partial(naive, values, pred_len=pred_len)}
        if self.has_season:
            found["seasonal_naive"] = partial(seasonal_naive, values, pred_len=pred_len, season=self.season)
        if self.sample is not None:
            found["best_possible"] = partial(self._best_possible, pred_len=pred_len)
        return found

    def _best_possible(self, origins: np.ndarray, pred_len: int) -> np.ndarray:
        order = [self.sample.frame.columns.index(name) for name in self.scored_columns]
        forecast = self.sample.best_forecast(origins, pred_len)[:, :, order]
        return (forecast - self.scaler.mean_[self.scored]) / self.scaler.scale_[self.scored]


Baseline = partial[np.ndarray]


def load_data(config: DataConfig, any_target: bool = False) -> ForecastData:
    """Read, check, standardise and window a data set.

    Args:
        any_target: where all channels are forecast and none is called like the target, leave them in the
            file's order.

    Raises:
        UserError: the data cannot be used; the message says where and why.
    """
    spec = find_dataset(config.data)
    sample = make_sample() if config.data == "sample" else None
    frame = sample.frame if sample else read_frame(data_file(config, spec), spec.irregular_dates)
    target = config.target
    if any_target and config.features == "M" and target not in frame.columns:
        target = frame.columns[-1]
    frame = frame.select(config.features, target)
    borders = spec.split(len(frame.values), frame.source)
    frequency, clash = _frequency(config.freq, frame)
    scaler, series, constant = _standardise(frame, borders)
    windows = {
        split: make_windows(series, borders, split, config.seq_len, config.pred_len, config.percent, frame.source)
        for split in Split
    }
    data = ForecastData(
        columns=frame.columns,
        scored=slice(-1, None) if config.features == "MS" else slice(None),
        scaler=scaler,
        dates=frame.dates,
        frequency=frequency,
        season=season_length(frequency),
        series=series,
        windows=windows,
        source=frame.source,
        notes=(*frame.notes, *clash, *constant),
        sample=sample,
    )
    if data.has_season:
        return data
    rows = f"a season takes {data.season} rows, more than lie before the test"
    return replace(data, notes=(*data.notes, f"there is no seasonal naive forecast: {rows}"))


def _frequency(wanted: str | None, frame: Frame) -> tuple[str, tuple[str, ...]]:
    """The step between rows: as wanted where that fits the dates, else as the dates have it, with a note."""
    inferred = infer_frequency(frame.dates)
    if wanted is None:
        return inferred, ()
    wanted = check_frequency(wanted)
    if season_length(wanted) == season_length(inferred):
        return wanted, ()
    return inferred, (f"--freq {wanted} does not fit the dates, whose step is {inferred}; the dates decide",)


def _standardise(frame: Frame, borders: Borders) -> tuple[StandardScaler, Series, tuple[str, ...]]:
    if borders.train < 1:
        raise UserError(f"{frame.source} has {len(frame.values)} row(s), too few to split in train, val and test.")
    training = frame.values[: borders.train]
    scaler = StandardScaler().fit(training)
    flat = np.ptp(training, axis=0) == 0
    scaler.mean_[flat] = training[0, flat]  # the mean of large equal numbers is off by rounding
    values = scaler.transform(frame.values)
    far = np.abs(values) > FARTHEST
    if far.any():
        row, c = (int(i) for i in np.argwhere(far)[0])
        raise UserError(
            f"{frame.source}, column {frame.columns[c]!r}, line {frame.line(row)}: {frame.values[row, c]:g} is more "
            f"than {FARTHEST:g} training standard deviations from the mean; correct or remove it."
        )
    notes = tuple(
        f"column {name!r} is constant over the training rows; it is forecast all the same"
        for name, constant in zip(frame.columns, flat, strict=True)
        if constant
    )
    return scaler, Series(values), notes
