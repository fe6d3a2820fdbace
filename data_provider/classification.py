"""Turn a pair of ``.ts`` files into standardised cases of equal length, to train, to validate and to test on.

Shapes: N cases, T steps of one case, L steps of the longest one, C channels, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.utils.data import Dataset

from data_provider.classification_config import ClassificationConfig
from data_provider.ts_file import TsFile, read_ts
from data_provider.windows import Batch, Split
from utils.errors import UserError, shown_path

TINY = 2.2e-16  # added to deviations, as in the field's code
MOST_LISTED = 5
UNKNOWN = -1  # the number of a class that is not known


class CaseScaler(NamedTuple):
    """Mean and deviation (C,) of each channel over all rows of a file."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, cases: Sequence[np.ndarray]) -> Self:
        """Take the statistics of cases (T, C), deviations with N - 1; missing values do not count.

        A channel that is constant has deviation 1, and one without any value mean 0 as well.
        """
        rows = np.concatenate(cases)
        known = ~np.isnan(rows)
        counts = known.sum(axis=0)
        mean = np.where(known, rows, 0).sum(axis=0) / np.maximum(counts, 1)
        squares = np.square(np.where(known, rows - mean, 0)).sum(axis=0)
        lowest = np.where(known, rows, np.inf).min(axis=0)
        flat = (counts == 0) | (lowest == np.where(known, rows, -np.inf).max(axis=0))
        deviation = np.sqrt(squares / np.maximum(counts - 1, 1)) + TINY
        return cls(np.where(flat & (counts > 0), lowest, mean), np.where(flat, 1.0, deviation))

    def apply(self, case: np.ndarray) -> np.ndarray:
        """Standardise a case (T, C); what is still missing becomes 0, the mean."""
        return np.nan_to_num((case - self.mean) / self.scale, nan=0.0)

    def to_json(self) -> dict[str, list[float]]:
        """Return the statistics as JSON."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}


@dataclass(frozen=True, eq=False)
class Cases(Dataset):
    """Cases of equal length.

    Attributes:
        x: (N, L, C) in float32, 0 beyond the end of a case.
        lengths: (N,), the steps of each case.
        classes: (N,), the number of each case's class; ``UNKNOWN`` where it is not known.
    """

    x: Tensor
    lengths: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather a whole batch at once."""
        rows = torch.as_tensor(indices)
        x = self.x[rows]
        seen = torch.arange(x.shape[1]) < self.lengths[rows, None]  # (B, L)
        return Batch(x, self.classes[rows], visible=seen[..., None].expand(x.shape).to(x.dtype))

    def some(self, indices: np.ndarray) -> "Cases":
        """Return some of the cases."""
        return Cases(self.x[indices], self.lengths[indices], self.classes[indices])


@dataclass(frozen=True)
class ClassificationData:
    """Cases of both files.

    Attributes:
        classes: K names, in their order.
        scaler: statistics of the training file.
        train: all cases of the training file.
        splits: those that are trained on, those that choose the best epoch, and those of the test.
        source: the training file.
    """

    classes: tuple[str, ...]
    scaler: CaseScaler
    train: Cases
    splits: dict[Split, Cases]
    source: Path
    notes: tuple[str, ...]


def load_classification(config: ClassificationConfig, seed: int) -> ClassificationData:
    """Read, check, standardise, pad and split a pair of files.

    Statistics and classes are those of the training file; L is the longest case of both. With the protocol ``release``
    the test file has statistics and numbers of classes of its own, and chooses the best epoch.

    Raises:
        UserError: a file cannot be used, they do not fit each other, or the test file has a class that nothing trains.
    """
    train, test = (read_ts(path) for path in config.training_files())
    if train.labels is None or test.labels is None:
        source = train.source if train.labels is None else test.source
        raise UserError(
            f"{shown_path(source)} holds no classes (@classLabel false): there is nothing to train or score."
        )
    classes = tuple(sorted({*train.labels}))
    if len(classes) < 2:
        raise UserError(f"{shown_path(train.source)}: all cases are of one class, {shown_path(classes[0])}.")
    if unknown := sorted({*test.labels} - {*classes}):
        shown = ", ".join(map(shown_path, unknown[:MOST_LISTED]))
        raise UserError(f"{shown_path(test.source)} holds {shown}, a class that {train.source.name} has no case of.")
    check_channels(test, train.values[0].shape[1], train.source.name)
    filled = {file.source: [fill(case) for case in file.values] for file in (train, test)}
    length = max(len(case) for file in (train, test) for case in file.values)
    scaler = CaseScaler.fit(filled[train.source])
    of_test, names = scaler, classes
    if config.selects_on_test:
        of_test, names = CaseScaler.fit(filled[test.source]), tuple(sorted({*test.labels}))
    whole = pad(filled[train.source], scaler, length, train.source, numbers(train.labels, classes))
    tested = pad(filled[test.source], of_test, length, test.source, numbers(test.labels, names))
    if config.selects_on_test:
        splits = {Split.TRAIN: whole, Split.VAL: tested, Split.TEST: tested}
    else:
        kept, held = hold_out(whole.classes.numpy(), config.validation_share, seed, train.source)
        splits = {Split.TRAIN: whole.some(kept), Split.VAL: whole.some(held), Split.TEST: tested}
    return ClassificationData(classes, scaler, whole, splits, train.source, tuple(_notes(train, test, classes)))


def check_channels(file: TsFile, wanted: int, trained: str) -> None:
    """Raise UserError where a file has another number of channels than a model was trained on, ``trained``."""
    channels = file.values[0].shape[1]
    if channels != wanted:
        raise UserError(
            f"{shown_path(file.source)} has {channels} channels, and {shown_path(trained)} {wanted}: the channels are "
            "the parts of a case between ':', in the same order in all files."
        )


def fill(case: np.ndarray) -> np.ndarray:
    """Fill missing values of a case (T, C) linearly, its ends with the nearest value; a channel without any stays."""
    if not np.isnan(case).any():
        return case
    case, steps = case.copy(), np.arange(len(case))
    for channel in case.T:
        known = ~np.isnan(channel)
        if known.any():
            channel[:] = np.interp(steps, steps[known], channel[known])
    return case


def numbers(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return the place (N,) of each label in a list of classes; ``UNKNOWN`` where it is none of them."""
    places = {name: number for number, name in enumerate(classes)}
    return np.array([places.get(label, UNKNOWN) for label in labels], dtype=np.int64)


def pad(
    cases: Sequence[np.ndarray], scaler: CaseScaler, length: int, source: Path, classes: np.ndarray | None = None
) -> Cases:
    """Standardise cases (T, C) and pad them with zeros to a length.

    Raises:
        UserError: a value is too large for float32 in standard deviations.
    """
    x = np.zeros((len(cases), length, cases[0].shape[1]), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, case in enumerate(cases):
            x[i, : len(case)] = scaler.apply(case)
    if not np.isfinite(x).all():
        number = int(np.flatnonzero(~np.isfinite(x).all(axis=(1, 2)))[0]) + 1
        raise UserError(f"{shown_path(source)}: case {number} holds a value too large to be standardised.")
    classes = np.full(len(cases), UNKNOWN) if classes is None else classes
    return Cases(torch.from_numpy(x), torch.tensor([len(case) for case in cases]), torch.from_numpy(classes))


def hold_out(classes: np.ndarray, share: float, seed: int, source: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return which cases (N,) train and which choose the best epoch, a share of each class by a seed.

    A class of one case trains alone.

    Raises:
        UserError: there is no class of two cases.
    """
    several = np.flatnonzero(np.bincount(classes)[classes] > 1)
    kinds = len({*classes[several].tolist()})
    if not kinds:
        raise UserError(f"{shown_path(source)}: no class has two cases, so that none is left to choose the epoch on.")
    count = min(max(round(share * len(several)), kinds), len(several) - kinds)
    _, held = train_test_split(several, test_size=count, stratify=classes[several], random_state=seed)
    return np.setdiff1d(np.arange(len(classes)), held), np.sort(held)


def _notes(train: TsFile, test: TsFile, classes: Sequence[str]) -> list[str]:
    """Return what a person should know of the files."""
    notes = []
    for file in (train, test):
        missing = sum(int(np.isnan(case).sum()) for case in file.values)
        if missing:
            notes.append(f"{file.source.name}: {missing:,} missing values are filled linearly within their case")
    if single := [name for name in classes if train.labels.count(name) == 1]:
        shown = ", ".join(map(shown_path, single[:MOST_LISTED]))
        notes.append(f"{len(single)} class(es) have one training case, which is not held out: {shown}")
    if lacking := sorted({*classes} - {*test.labels}):
        notes.append(f"{test.source.name} has no case of {', '.join(map(shown_path, lacking[:MOST_LISTED]))}")
    return notes
