"""Read series in which anomalies are looked for, and cut them into windows that a model gives back.

Shapes: N training rows, M test rows, C channels, B batch, L seq_len.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.utils.data import Dataset

from data_provider.anomaly_config import OF_SETS, USUAL_SHARE, AnomalyConfig
from data_provider.config import data_file
from data_provider.datasets import DatasetSpec, find_dataset
from data_provider.hidden import read_with_gaps
from data_provider.reading import Frame, Reading, columns_of, written_dates
from data_provider.windows import Batch
from utils.errors import UserError, shown_path

SHARES = {"NAB": 0.15}  # its probationary period
STEPS = {"SMD": 100}  # of training windows, in the literature
LABELS = ("label", "labels", "anomaly", "is_anomaly")  # names that a column of labels is found by
VALIDATION = 0.2  # of the training rows, the newest
Span = tuple[int, int]


@dataclass(frozen=True)
class Rows:
    """The rows of a data set as its files have them.

    Attributes:
        train: (N, C) float64.
        test: (M, C) float64.
        labels: (M,), True in an anomaly; None where nobody knows.
        series: rows of each series in train and in test by its name, where several are joined; else empty.
        dates: M texts; None where the rows have none.
    """

    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None
    columns: tuple[str, ...]
    source: str
    series: dict[str, Span]
    dates: np.ndarray | None = None
    date_column: str = "row"
    frequency: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnomalyData:
    """Standardized rows and where windows may lie.

    Attributes:
        train: (N, C) float32.
        test: (M, C) float32.
        parts: spans of rows by name that no window leaves: ``train`` and ``validation`` of the training rows, ``test``.
        names: of the series of ``test``'s spans; one empty name where there is one series.
    """

    rows: Rows
    scaler: StandardScaler
    train: Tensor
    test: Tensor
    parts: dict[str, list[Span]]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RowWindows(Dataset):
    """Windows of L rows that begin at some rows; x and y are the same."""

    values: Tensor
    starts: Tensor
    seq_len: int

    def __len__(self) -> int:
        return len(self.starts)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather a whole batch at once."""
        starts = self.starts[torch.as_tensor(indices)]
        windows = self.values[starts[:, None] + torch.arange(self.seq_len)]  # (B, L, C)
        return Batch(windows, windows, starts)


def every(spans: Iterable[Span], length: int, step: int) -> Tensor:
    """Return where windows within spans begin, ``step`` rows apart."""
    return torch.cat([torch.arange(first, last - length + 1, step) for first, last in spans] or [torch.arange(0)])


def apart(spans: Iterable[Span], length: int) -> tuple[Tensor, Tensor]:
    """Return where windows begin that cover spans, and how many of their last rows are new: each row is new once.

    The last window of a span ends with it, and reaches into the rows before a span that is shorter than a window.
    """
    starts, new = [], []
    for first, last in spans:
        for begin in range(first, last, length):
            end = min(begin + length, last)
            starts.append(max(0, end - length))
            new.append(end - begin)
    return torch.tensor(starts), torch.tensor(new)


def load_anomalies(config: AnomalyConfig) -> AnomalyData:
    """Read and standardize a data set by its training rows; a channel that is constant there is divided by 1.

    With the release's protocol the scaler sees all rows of the training file, and validation lies inside training.

    Raises:
        UserError: the data cannot be used; the message says where and why.
    """
    spec = find_dataset(config.data)
    rows = read_own(config, spec) if config.is_table else READERS[config.data](config)
    for name, part in (("training", rows.train), ("test", rows.test)):
        if len(part) < config.seq_len:
            raise UserError(
                f"{rows.source}: {len(part):,} {name} rows, and a window takes {config.seq_len:,} (--seq_len): use "
                "shorter windows or more data."
            )
    parts = _parts(config, rows)
    fitted = rows.train if config.released else np.concatenate([rows.train[slice(*span)] for span in parts["train"]])
    scaler = StandardScaler().fit(fitted)
    train, test = (torch.from_numpy(scaler.transform(part).astype(np.float32)) for part in (rows.train, rows.test))
    if not (torch.isfinite(train).all() and torch.isfinite(test).all()):
        raise UserError(f"{rows.source}: values are missing or too large to be standardized.")
    return AnomalyData(rows, scaler, train, test, parts, tuple(rows.series) or ("",))


def _parts(config: AnomalyConfig, rows: Rows) -> dict[str, list[Span]]:
    """Return the spans of training, validation and test, each series by itself."""
    count = len(rows.train)
    if config.released:
        return {
            "train": [(0, count)],
            "validation": [(int(count * (1 - VALIDATION)), count)],
            "test": [(0, len(rows.test))],
        }
    lengths = list(rows.series.values()) or [(count, len(rows.test))]
    parts: dict[str, list[Span]] = {"train": [], "validation": [], "test": []}
    ends = [0, 0]
    for train, test in lengths:
        cut = ends[0] + int(train * (1 - VALIDATION))
        parts["train"].append((ends[0], cut))
        parts["validation"].append((cut, ends[0] + train))
        parts["test"].append((ends[1], ends[1] + test))
        ends = [ends[0] + train, ends[1] + test]
    for name in ("train", "validation"):
        if max(last - first for first, last in parts[name]) < config.seq_len:
            raise UserError(
                f"{rows.source}: no series has a whole window of {config.seq_len:,} rows (--seq_len) in its {name} "
                f"part, the {'first 80 %' if name == 'train' else 'last 20 %'} of its training rows: use shorter "
                "windows or more data."
            )
    return parts


def read_arrays(config: AnomalyConfig) -> Rows:
    """Read SMD, MSL or SMAP: three arrays, and where it is there a table of the series that they join."""
    train, test, labels = (_array(config.folder / name) for name in OF_SETS[config.data])
    if train.ndim != 2 or test.shape[1:] != train.shape[1:] or labels.shape != test.shape[:1]:
        raise UserError(
            f"{config.folder}: the arrays have shapes {train.shape}, {test.shape} and {labels.shape}, which do not fit "
            "each other: (rows, channels), the same channels, and a label for each test row are needed."
        )
    columns = tuple(f"channel {i}" for i in range(train.shape[1]))
    series = _joined(config.folder / "channels.csv", len(train), len(test))
    return Rows(train.astype(float), test.astype(float), labels != 0, columns, str(config.folder), series)


def _array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"Data file {path} does not exist; say with --root_path in which folder it lies.") from error
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is no array of numbers ({error}).") from error


def _joined(path: Path, train: int, test: int) -> dict[str, Span]:
    """Return the rows of each series that are joined, from a table with the columns channel, train_rows, test_rows."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    try:
        found = {row["channel"]: (int(row["train_rows"]), int(row["test_rows"])) for row in table}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} needs the columns channel, train_rows and test_rows with whole numbers.") from error
    sums = tuple(sum(rows) for rows in zip(*found.values(), strict=True))
    if sums != (train, test):
        raise UserError(
            f"{path}: its rows sum up to {sums}, and the arrays have {(train, test)}: remove or correct it."
        )
    return found


def read_psm(config: AnomalyConfig) -> Rows:
    """Read PSM: two tables whose first column is a time stamp, and a table of labels.

    Missing cells take the value before; with the release's protocol they become 0.
    """
    train, test, label = (_table(config.folder / name).iloc[:, 1:] for name in OF_SETS["PSM"])
    gone = int(train.isna().sum().sum() + test.isna().sum().sum())
    fill = (lambda part: part.fillna(0.0)) if config.released else (lambda part: part.ffill().bfill())
    how = "0" if config.released else "the value before"
    notes = (f"{gone:,} missing cells become {how}",) if gone else ()
    columns = tuple(map(str, train.columns))
    values = (fill(part).to_numpy(dtype=float) for part in (train, test))
    return Rows(*values, label.iloc[:, 0].to_numpy() != 0, columns, str(config.folder), {}, notes=notes)


def read_swat(config: AnomalyConfig) -> Rows:
    """Read SWaT: two tables whose last column is the label."""
    train, test = (_table(config.folder / name) for name in OF_SETS["SWAT"])
    columns = tuple(map(str, train.columns[:-1]))
    values = (part.iloc[:, :-1].to_numpy(dtype=float) for part in (train, test))
    return Rows(*values, test.iloc[:, -1].to_numpy() != 0, columns, str(config.folder), {})


def _table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
        return table.astype(dict.fromkeys(table.columns[1:], float))
    except FileNotFoundError as error:
        raise UserError(f"Data file {path} does not exist; say with --root_path in which folder it lies.") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is no table of numbers ({error}).") from error


def read_ucr(config: AnomalyConfig) -> Rows:
    """Read a file of the UCR archive, whose name ends in the last training row and the first and last anomalous one."""
    path = config.folder / str(config.data_path)
    try:
        end, first, last = map(int, path.stem.split("_")[-3:])
        values = np.array(path.read_text().split(), dtype=float)[:, None]
    except (ValueError, OSError) as error:
        raise UserError(
            f"{shown_path(path)}: a file of numbers is needed whose name ends in _TRAIN_BEGIN_END.txt, three rows."
        ) from error
    labels = np.zeros(len(values), dtype=bool)
    labels[first : last + 1] = True
    return Rows(values[:end], values[end:], labels[end:], ("value",), str(path), {})


def read_nab(config: AnomalyConfig) -> Rows:
    """Read a labelled file of NAB: timestamp, value and label; of rows with one time the mean is taken."""
    usual = {"root_path": str(config.folder), "duplicates": config.duplicates or "mean"}
    return read_own(replace(config, **usual), find_dataset("custom"))


READERS = {
    **dict.fromkeys(("SMD", "MSL", "SMAP"), read_arrays),
    "PSM": read_psm, "SWAT": read_swat, "UCR": read_ucr, "NAB": read_nab,
}  # fmt: skip


def read_own(config: AnomalyConfig, spec: DatasetSpec) -> Rows:
    """Read a CSV file of the user's: its first rows to train on, the others, or another file, to test on.

    Gaps are filled linearly. A column of labels is no channel.
    """
    of_test = config.label_col if config.test_path is None else None
    frame, labels, label = read_series(data_file(config, spec), Reading.of(config, spec), of_test)
    notes = [*frame.notes, *([f"{label!r} tells anomalies, and is no channel"] if label else [])]
    if config.test_path:
        reading = replace(Reading.of(config, spec), columns=frame.columns, trained=True)
        test, labels, _ = read_series(Path(config.test_path), reading, config.label_col)
        parts, tested = (frame.values, test.values), test
    else:
        count = int(len(frame.values) * (config.train_share or SHARES.get(config.data, USUAL_SHARE)))
        parts, tested = (frame.values[:count], frame.values[count:]), frame
        labels = None if labels is None else labels[count:]
    dates = np.array(written_dates(tested.dates[-len(parts[1]) :], tested.offset, tested.form), dtype=object)
    return Rows(
        *parts, labels, frame.columns, frame.source, {}, dates, frame.date_column, frame.frequency, tuple(notes)
    )


def read_series(path: Path, reading: Reading, label: str | None) -> tuple[Frame, np.ndarray | None, str | None]:
    """Read all rows of a CSV file: the frame of its channels, the labels (T,) and the name of their column, if any.

    Args:
        label: the column of labels; None to find it by its name.

    Raises:
        UserError: the file cannot be used, or the labels are others than 0 and 1.
    """
    names = columns_of(path, reading) if path.is_file() else []
    found = label if label in names else next((name for name in names if name.lower() in LABELS), None)
    if label is not None and found != label:
        raise UserError(f"{shown_path(path)} has no column {label!r} (--label_col); it has {', '.join(names)}.")
    if found and reading.columns is not None:
        reading = replace(reading, columns=(*reading.columns, found))
    frame = read_with_gaps(path, reading)
    if found not in frame.columns:
        return frame, None, None
    values = frame.values[:, frame.columns.index(found)]
    if not np.isin(values, (0, 1)).all():
        if label is None:  # a channel that has the name by chance
            return frame, None, None
        raise UserError(f"{frame.source}, column {found!r} (--label_col): 0 and 1 are needed, 1 in an anomaly.")
    channels = [name for name in frame.columns if name != found]
    if not channels:
        raise UserError(f"{frame.source} has no column of numbers beside {found!r}.")
    return frame.arrange(channels), values == 1, found
