"""Make standardized windows for training, validation and test from a data set's configuration."""

from dataclasses import dataclass, replace
from pkgutil import resolve_name

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from data_provider.config import DataConfig, data_file
from data_provider.datasets import Borders, DatasetSpec, find_dataset
from data_provider.reading import Frame, Reading, read_frame, season_length
from data_provider.windows import Series, Split, WindowDataset, make_windows
from utils.errors import UserError


@dataclass(frozen=True)
class ForecastData:
    """A standardized series and its windows.

    Attributes:
        columns: C names, the target last.
        scored: the channels that loss and metrics look at.
        scaler: mean and population standard deviation per channel, of the full training split.
        dates: T time stamps.
        date_column: name of the column of dates.
        frequency: pandas' name for the step.
        season: steps per season.
        series: T standardized rows.
        windows: by split.
        source: the file, for messages and records.
        notes: what is odd but allowed.
    """

    columns: tuple[str, ...]
    scored: slice
    scaler: StandardScaler
    dates: pd.DatetimeIndex
    date_column: str
    frequency: str
    season: int
    series: Series
    windows: dict[Split, WindowDataset]
    source: str
    notes: tuple[str, ...]

    @property
    def has_season(self) -> bool:
        """Return whether a whole season lies before the first step to be tested."""
        test = self.windows[Split.TEST]
        return test.first + test.seq_len >= self.season

    @property
    def scored_columns(self) -> tuple[str, ...]:
        """Return the names of the scored channels."""
        return self.columns[self.scored]


def read_csv(config: DataConfig, spec: DatasetSpec) -> Frame:
    """Read the CSV file of a configuration.

    Raises:
        UserError: it cannot be used; the message says where and why.
    """
    return read_frame(data_file(config, spec), Reading.of(config, spec))


def load_data(config: DataConfig, any_target: bool = False) -> ForecastData:
    """Read, check, standardize and window a data set.

    Args:
        config: which data and windows.
        any_target: where all channels are forecast and none is called like the target, leave them in the
            file's order.

    Raises:
        UserError: the data cannot be used; the message says where and why.
    """
    spec = find_dataset(config.data)
    frame: Frame = resolve_name(spec.read)(config, spec)
    target, notes = _target(config, frame, any_target)
    frame = frame.select(config.features, target)
    borders = spec.split(len(frame.values), frame.source)
    scaler, series, constant = _standardize(frame, borders)
    windows = {
        split: make_windows(series, borders, split, config.seq_len, config.pred_len, config.percent, frame.source)
        for split in Split
    }
    data = ForecastData(
        columns=frame.columns,
        scored=slice(-1, None) if config.features == "MS" else slice(None),
        scaler=scaler,
        dates=frame.dates,
        date_column=frame.date_column,
        frequency=frame.frequency,
        season=season_length(frame.frequency),
        series=series,
        windows=windows,
        source=frame.source,
        notes=(*frame.notes, *notes, *constant),
    )
    if data.has_season:
        return data
    rows = f"a season takes {data.season} rows, more than lie before the test"
    return replace(data, notes=(*data.notes, f"there is no seasonal naive forecast: {rows}"))


def _target(config: DataConfig, frame: Frame, any_target: bool) -> tuple[str, tuple[str, ...]]:
    """Return the target column and notes: the last column where none was named and all are forecast anyway."""
    if config.features != "M" or config.target in frame.columns:
        return config.target, ()
    last = frame.columns[-1]
    if any_target:
        return last, ()
    if find_dataset(config.data).named_by_user and config.target == DataConfig.target:
        return last, (
            f"there is no column {config.target!r}: the last one, {last!r}, stands for the target (--target)",
        )
    return config.target, ()


def _standardize(frame: Frame, borders: Borders) -> tuple[StandardScaler, Series, tuple[str, ...]]:
    if borders.train < 1:
        raise UserError(f"{frame.source} has {len(frame.values)} row(s), too few to split in train, val and test.")
    training = frame.values[: borders.train]
    scaler = StandardScaler().fit(training)
    flat = np.ptp(training, axis=0) == 0
    tiny = ~flat & (scaler.scale_ != np.sqrt(scaler.var_))  # differences that vanish when squared
    scaler.mean_[flat] = training[0, flat]  # the mean of large equal numbers is off by rounding
    values = scaler.transform(frame.values)
    frame.check_distance(values)
    notes = tuple(
        f"column {name!r} {'varies too little to be standardised' if is_tiny else 'is constant'} over the training "
        "rows; it is forecast all the same"
        for name, is_flat, is_tiny in zip(frame.columns, flat, tiny, strict=True)
        if is_flat or is_tiny
    )
    return scaler, Series(values, None if frame.filled is None else ~frame.filled), notes
