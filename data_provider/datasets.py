"""List the data sets by name: where each lies, how it is read and split. A new one is one more row.

Functions and classes are named by their place and imported when they are needed, so that ``--help`` answers at once.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

# Places of the classes of data sets' flags.
CSV, MIX = "data_provider.config:DataConfig", "data_provider.mix_config:MixConfig"
M4, ANOMALY = "data_provider.config:M4Config", "data_provider.anomaly_config:AnomalyConfig"
UEA = "data_provider.classification_config:ClassificationConfig"


class Borders(NamedTuple):
    """First row after the training, the validation and the test split."""

    train: int
    val: int
    test: int


def months_12_4_4(steps_per_hour: int, rows: int, source: str) -> Borders:
    """Split into 12, 4 and 4 months of 30 days, as in the literature on ETT; later rows are unused."""
    month = 30 * 24 * steps_per_hour
    if rows < 20 * month:
        raise UserError(
            f"{source} has {rows:,} rows; the ETT split takes {20 * month:,} (12, 4 and 4 months). "
            "Is the file complete? Use --data custom to split 70 / 10 / 20 % instead."
        )
    return Borders(12 * month, 16 * month, 20 * month)


def percent_70_10_20(rows: int, source: str) -> Borders:
    """Split into 70 % train, 20 % test, both rounded down, and the rest between them for validation."""
    return Borders(int(rows * 0.7), rows - int(rows * 0.2), rows)


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    Attributes:
        folder: where it lies below the data sets' root; None where the user says.
        file: its file in there; None where the user says, or where there are several.
        split: rows and source name -> borders.
        irregular_dates: the published file has irregular time stamps, and published figures use it as it is.
        config: where the class of its flags stands.
        read: where the function stands that reads it: configuration, row -> ``Frame``, or what its task takes.
        best_forecast: where a function stands that knows the best possible forecast.
    """

    folder: str | None = None
    file: str | None = None
    split: Callable[[int, str], Borders] = percent_70_10_20
    url: str | None = None
    irregular_dates: bool = False
    config: str = CSV
    read: str = "data_provider.factory:read_csv"
    best_forecast: str | None = None

    @property
    def made(self) -> bool:
        """Return whether the data are made by the program, so that there is no file."""
        return self.best_forecast is not None

    @property
    def named_by_user(self) -> bool:
        """Return whether the data are a file that the user has to name."""
        return self.folder is None and not self.made


_CLASSIFIED = (
    "EthanolConcentration", "FaceDetection", "Handwriting", "Heartbeat", "JapaneseVowels", "PEMS-SF",
    "SelfRegulationSCP1", "SelfRegulationSCP2", "SpokenArabicDigits", "UWaveGestureLibrary",
)  # fmt: skip
_ETT = "https://github.com/zhouhaoyi/ETDataset"
_TSLIB = "https://huggingface.co/datasets/thuml/Time-Series-Library"

DATASETS: dict[str, DatasetSpec] = {
    "ETTh1": DatasetSpec("ETT-small", "ETTh1.csv", partial(months_12_4_4, 1), _ETT),
    "ETTh2": DatasetSpec("ETT-small", "ETTh2.csv", partial(months_12_4_4, 1), _ETT),
    "ETTm1": DatasetSpec("ETT-small", "ETTm1.csv", partial(months_12_4_4, 4), _ETT),
    "ETTm2": DatasetSpec("ETT-small", "ETTm2.csv", partial(months_12_4_4, 4), _ETT),
    "weather": DatasetSpec("weather", "weather.csv", url=_TSLIB, irregular_dates=True),
    "electricity": DatasetSpec("electricity", "electricity.csv", url=_TSLIB),
    "traffic": DatasetSpec("traffic", "traffic.csv", url=_TSLIB),
    "illness": DatasetSpec("illness", "national_illness.csv", url=_TSLIB),
    "m4": DatasetSpec("m4", config=M4, read="data_provider.m4:read_m4"),
    "m3": DatasetSpec("m3", config=M4, read="data_provider.m4:read_m4"),
    **{name: DatasetSpec(name, config=ANOMALY) for name in ("SMD", "MSL", "SMAP", "PSM", "SWAT", "NAB", "UCR")},
    **{
        name: DatasetSpec(f"UEA/{name}", config=UEA, read="data_provider.classification:load_classification")
        for name in _CLASSIFIED
    },
    "custom": DatasetSpec(),
    "sample": DatasetSpec(read="data_provider.sample:read_sample", best_forecast="data_provider.sample:best_forecast"),
}


def config_place(data: str) -> str:
    """Return where the class of flags stands for a value of ``--data``, which names one data set or several."""
    return MIX if "," in data else find_dataset(data).config


def datasets_root() -> Path:
    """Return the folder of all data sets."""
    return Path(os.environ.get("CALF_DATASETS", "./datasets"))


def find_dataset(name: str) -> DatasetSpec:
    """Return the row of ``name``; raise UserError if there is none."""
    if name not in DATASETS:
        raise UserError(f"--data {name}: no such data set; choose one of {', '.join(DATASETS)}.")
    return DATASETS[name]
