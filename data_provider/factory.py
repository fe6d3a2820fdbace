"""From a data set's name to standardised windows for training, validation and test."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from data_provider.datasets import Borders, DatasetSpec, datasets_root, find_dataset
from data_provider.frame import Frame, read_frame
from data_provider.frequency import check_frequency, infer_frequency, season_length
from data_provider.sample import Sample, make_sample
from data_provider.windows import Series, Split, WindowDataset, make_windows
from utils.baselines import naive, seasonal_naive
from utils.errors import UserError

FEATURES = ("M", "S", "MS")
FARTHEST = 1e15  # training standard deviations; beyond it float32 squares lose their meaning


@dataclass(frozen=True)
class DataConfig:
    """Which series, which channels and which windows.

    Attributes:
        data: a name from ``DATASETS``. root_path, data_path: folder and file; None for the data set's own.
        features: M all channels to all, S the target alone, MS all to the target.
        percent: share of the training rows to use. freq: the step between rows; None to infer it.
    """

    data: str
    seq_len: int
    pred_len: int
    root_path: str | None = None
    data_path: str | None = None
    features: str = "M"
    target: str = "OT"
    percent: int = 100
    freq: str | None = None

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise UserError(f"--features {self.features}: choose one of {', '.join(FEATURES)}.")
        if not 1 <= self.percent <= 100:
            raise UserError(f"--percent {self.percent}: choose 1 to 100.")
        for flag, steps in (("--seq_len", self.seq_len), ("--pred_len", self.pred_len)):
            if steps < 1:
                raise UserError(f"{flag} {steps}: a window needs at least one step.")

    @property
    def words(self) -> str:
        """What it is in the name of a run."""
        few_shot = "" if self.percent == 100 else f"_p{self.percent}"
        return f"{self.data}_ft{self.features}_sl{self.seq_len}_pl{self.pred_len}{few_shot}"

    def files(self) -> tuple[Path, ...]:
        """The files it reads, by their absolute paths; the embedded sample reads none.

        Raises:
            UserError: one is not there, or was not named.
        """
        if self.data == "sample":
            return ()
        return (data_file(self, find_dataset(self.data)).resolve(),)

    training_files = files

    def identity(self) -> dict[str, Any]:
        """Everything that the figures depend on, as JSON; the file by its absolute path."""
        content = asdict(self)
        del content["root_path"], content["data_path"]
        return {**content, "file": next((str(path) for path in self.files()), None)}

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any]) -> "DataConfig":
        """The configuration that has this :meth:`identity`; TypeError and KeyError where a part is wrong."""
        content = dict(identity)
        file = content.pop("file")
        return cls(**content, data_path=file)


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


def data_file(config: DataConfig, spec: DatasetSpec) -> Path:
    """Where the file lies: flags first, else the data set's own place below ``$CALF_DATASETS`` (./datasets).

    Raises:
        UserError: the file is not there, or an own file was not named.
    """
    name = config.data_path or spec.file
    if name is None:
        raise UserError("--data custom needs --data_path, the CSV file, and --root_path if it lies elsewhere.")
    own_folder = datasets_root() / spec.folder if spec.folder else Path()
    path = (Path(config.root_path) if config.root_path else own_folder) / name
    if not os.path.exists(path) and spec.url:
        # The command knows nothing of these flags: it puts the file where a run without them looks.
        aside = f" to {own_folder}, for a run without these two flags" if config.root_path or config.data_path else ""
        raise UserError(
            f"Data file {path} does not exist. Get {spec.file} from {spec.url} and put it there, "
            "or say where it is with --root_path and --data_path (or CALF_DATASETS, the folder of all data sets). "
            f"python -m data_provider.download {config.data} fetches it{aside}."
        )
    return path


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
