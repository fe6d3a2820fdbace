"""The data sets by name: which file, how it is split, where it comes from. A new one is one more row."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError


class Borders(NamedTuple):
    """First row after the training, the validation and the test split."""

    train: int
    val: int
    test: int


def months_12_4_4(steps_per_hour: int) -> Callable[[int, str], Borders]:
    """12, 4 and 4 months of 30 days; rows after 20 months are unused (the ETT protocol)."""
    month = 30 * 24 * steps_per_hour

    def split(rows: int, source: str) -> Borders:
        if rows < 20 * month:
            raise UserError(
                f"{source} has {rows:,} rows; the ETT split takes {20 * month:,} (12, 4 and 4 months). "
                "Is the file complete? Use --data custom to split 70 / 10 / 20 % instead."
            )
        return Borders(12 * month, 16 * month, 20 * month)

    return split


def percent_70_10_20(rows: int, source: str) -> Borders:
    """70 % train, 20 % test, both rounded down, and the rest between them for validation."""
    return Borders(int(rows * 0.7), rows - int(rows * 0.2), rows)


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    Attributes:
        folder, file: where it lies below the data sets' root; None where the user says.
        split: rows and source name -> borders.
        url: where to get it.
        irregular_dates: the published file has irregular time stamps, and published figures use it as it is.
    """

    folder: str | None
    file: str | None
    split: Callable[[int, str], Borders] = percent_70_10_20
    url: str | None = None
    irregular_dates: bool = False


_ETT = "https://github.com/zhouhaoyi/ETDataset"
_TSLIB = "https://huggingface.co/datasets/thuml/Time-Series-Library"

DATASETS: dict[str, DatasetSpec] = {
    "ETTh1": DatasetSpec("ETT-small", "ETTh1.csv", months_12_4_4(1), _ETT),
    "ETTh2": DatasetSpec("ETT-small", "ETTh2.csv", months_12_4_4(1), _ETT),
    "ETTm1": DatasetSpec("ETT-small", "ETTm1.csv", months_12_4_4(4), _ETT),
    "ETTm2": DatasetSpec("ETT-small", "ETTm2.csv", months_12_4_4(4), _ETT),
    "weather": DatasetSpec("weather", "weather.csv", url=_TSLIB, irregular_dates=True),
    "electricity": DatasetSpec("electricity", "electricity.csv", url=_TSLIB),
    "traffic": DatasetSpec("traffic", "traffic.csv", url=_TSLIB),
    "illness": DatasetSpec("illness", "national_illness.csv", url=_TSLIB),
    "custom": DatasetSpec(None, None),
    "sample": DatasetSpec(None, None),
}


def datasets_root() -> Path:
    """The folder of all data sets."""
    return Path(os.environ.get("CALF_DATASETS", "./datasets"))


def find_dataset(name: str) -> DatasetSpec:
    """The row of ``name``.

    Raises:
        UserError: there is none.
    """
    if name not in DATASETS:
        raise UserError(f"--data {name}: no such data set; choose one of {', '.join(DATASETS)}.")
    return DATASETS[name]
