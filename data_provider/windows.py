"""Windows over a standardised series, gathered a batch at a time."""

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_provider.datasets import Borders
from utils.errors import UserError


class Split(Enum):
    """Which part of the series windows are drawn from."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Batch(NamedTuple):
    """Windows: x (B, L, C) and y (B, H, C) in float32; origins (B,), the row of each y's first step.

    known (B, H, C) is False where y was filled in and is not to be scored; None where nothing was.
    """

    x: Tensor
    y: Tensor
    origins: Tensor
    known: Tensor | None = None


class Series:
    """A standardised series (T, C): float64 for exact figures, float32 for the model.

    Args:
        known: (T, C), False where a value was filled in; None where nothing was.
    """

    def __init__(self, values: np.ndarray, known: np.ndarray | None = None) -> None:
        self.values = values
        self.tensor = torch.from_numpy(values.astype(np.float32))
        self.known = None if known is None else torch.from_numpy(known)


class WindowDataset(Dataset):
    """Every window of ``seq_len`` + ``pred_len`` rows within rows ``first`` to ``last`` (exclusive) of a series."""

    def __init__(self, series: Series, first: int, last: int, seq_len: int, pred_len: int) -> None:
        self.series = series
        self.first = first
        self.seq_len = seq_len
        self.pred_len = pred_len
        self._count = max(0, last - first - seq_len - pred_len + 1)

    def __len__(self) -> int:
        return self._count

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather a whole batch at once; the loader hands the indices of a batch over together."""
        starts = torch.as_tensor(indices) + self.first
        rows = starts[:, None] + torch.arange(self.seq_len + self.pred_len)  # (B, L + H)
        windows = self.series.tensor[rows]  # (B, L + H, C)
        known = None if self.series.known is None else self.series.known[rows[:, self.seq_len :]]
        return Batch(windows[:, : self.seq_len], windows[:, self.seq_len :], starts + self.seq_len, known)

    def window(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Window ``index`` in float64: x (L, C) and y (H, C)."""
        start = self.first + index
        middle = start + self.seq_len
        return self.series.values[start:middle], self.series.values[middle : middle + self.pred_len]


def make_windows(
    series: Series, borders: Borders, split: Split, seq_len: int, pred_len: int, percent: int, source: str
) -> WindowDataset:
    """The windows of one split; validation and test look back ``seq_len`` rows into the split before.

    Few-shot ``percent`` keeps that share of the training rows: (rows - L) · percent // 100 + L.

    Raises:
        UserError: the split is too short for a single window.
    """
    if split is Split.TRAIN:
        first, last = 0, borders.train
        if percent < 100:
            last = min(borders.train, max(0, borders.train - seq_len) * percent // 100 + seq_len)
    elif split is Split.VAL:
        first, last = borders.train - seq_len, borders.val
    else:
        first, last = borders.val - seq_len, borders.test
    if first < 0 or last - first < seq_len + pred_len:
        own = last if split is Split.TRAIN else last - first - seq_len
        needed = seq_len + pred_len if split is Split.TRAIN else pred_len
        share = f" (--percent {percent})" if split is Split.TRAIN and percent < 100 else ""
        raise UserError(
            f"{source}: the {split.value} split has {own:,} rows{share}, a window takes {needed:,} of them "
            f"(--seq_len {seq_len}, --pred_len {pred_len}): use shorter windows or more data"
            + (", or a larger --percent." if share else ".")
        )
    return WindowDataset(series, first, last, seq_len, pred_len)


def _as_is(batch: Any) -> Any:
    return batch


def make_loader(
    dataset: Dataset,
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
    drop_last: bool = True,
    workers: int = 0,
    pin: bool = False,
) -> DataLoader:
    """Batches of a dataset that gathers a whole batch at once.

    Training (``shuffle_seed`` given) shuffles and, with ``drop_last``, drops an incomplete last batch, as the
    release does, unless it is the only one. Otherwise every window comes, in order.
    """
    shuffle = shuffle_seed is not None
    generator = torch.Generator().manual_seed(shuffle_seed) if shuffle else None
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=shuffle and drop_last and len(dataset) >= batch_size,
        generator=generator,
        num_workers=workers,
        collate_fn=_as_is,
        pin_memory=pin,
    )
