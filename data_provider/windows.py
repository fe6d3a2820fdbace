"""Gather windows of one standardized series, a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from multiprocessing import get_all_start_methods
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_provider.datasets import Borders
from utils.command import leave_stops_to_parent
from utils.errors import UserError


class Split(Enum):
    """Which part of the series windows are drawn from."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Batch(NamedTuple):
    """Windows by name.

    Attributes:
        x: (B, L, C) in float32, what a model sees
        y: (B, H, C) in float32, the truth
        origins: (B,), the row of each y's first step in the series; None for samples of many series
        observed: (B, H, C), False where y was filled in and is not scored; None where nothing was filled
        mask: (B, H, C), 0 where y lies beyond the end of its series, else 1; None where no y does
        marks: (B, L, 4), calendar marks of the steps of x; None for models that read none
        known: (B, L + H, F), standardised, the columns known in advance over x and y; None where there are none
        visible: (B, L, C), 0 where a value of x is hidden or beyond its series' end, else 1; None where all is seen
    """

    x: Tensor
    y: Tensor
    origins: Tensor | None = None
    observed: Tensor | None = None
    mask: Tensor | None = None
    marks: Tensor | None = None
    known: Tensor | None = None
    visible: Tensor | None = None

    @property
    def size(self) -> int:
        return len(self.x)

    @property
    def covariates(self) -> dict[str, Tensor]:
        """Return what a model's forward takes beside x, by name."""
        return {name: part for name in ("marks", "known", "visible") if (part := getattr(self, name)) is not None}

    def rows(self, rows: slice) -> "Batch":
        """Return some of the windows."""
        return Batch(*(None if part is None else part[rows] for part in self))

    def to(self, device: torch.device) -> "Batch":
        """Return the windows on a device."""
        return Batch(*(None if part is None else part.to(device, non_blocking=True) for part in self))


def calendar_marks(dates: pd.DatetimeIndex) -> Tensor:
    """Return the marks (T, 4) of dates, each from -0.5 to 0.5: hour, weekday, day of month, day of year.

    The scaling is that of the field's ``timeF`` encoding for hourly data (GluonTS, Informer).
    """
    parts = (dates.hour / 23, dates.day_of_week / 6, (dates.day - 1) / 30, (dates.day_of_year - 1) / 365)
    return torch.from_numpy(np.stack(parts, axis=-1).astype(np.float32) - 0.5)


class Series:
    """A standardised series (T, C): float64 for exact figures, float32 for the model.

    Attributes:
        tensor: what a model sees, without extreme values
        truth: what is scored

    Args:
        observed: (T, C), False where a value was filled in; None where none was.
        marks: (T, 4), calendar marks; None for models that read none.
        clipped: (T, C), the values without extreme ones; None where there are none.
        known: (T, F), the columns known in advance; None where there are none.
    """

    def __init__(
        self,
        values: np.ndarray,
        observed: np.ndarray | None = None,
        marks: Tensor | None = None,
        clipped: np.ndarray | None = None,
        known: Tensor | None = None,
    ) -> None:
        self.values = values
        self.truth = torch.from_numpy(values.astype(np.float32))
        self.tensor = self.truth if clipped is None else torch.from_numpy(clipped.astype(np.float32))
        self.observed = None if observed is None else torch.from_numpy(observed)
        self.marks = marks
        self.known = known


@dataclass(frozen=True, eq=False)
class WindowDataset(Dataset):
    """Every window of ``seq_len`` + ``pred_len`` rows within rows ``first`` to ``last`` (exclusive) of a series."""

    series: Series
    first: int
    last: int
    seq_len: int
    pred_len: int
    lookback: int  # rows of x
    trains: bool = False  # on windows without extreme values, also in y
    every: int = 1  # of so many windows in a row one is taken

    def __len__(self) -> int:
        return max(0, -(-(self.last - self.first - self.seq_len - self.pred_len + 1) // self.every))

    @property
    def origins(self) -> Tensor:
        """Return the row of each window's first step to forecast, (W,)."""
        return torch.arange(len(self)) * self.every + (self.first + self.seq_len)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather a whole batch at once."""
        origins = torch.as_tensor(indices) * self.every + (self.first + self.seq_len)
        rows = origins[:, None] + torch.arange(-self.lookback, self.pred_len)  # (B, L + H)
        windows = self.series.tensor[rows]  # (B, L + H, C)
        y = windows[:, self.lookback :]
        if self.series.truth is not self.series.tensor and not self.trains:
            y = self.series.truth[rows[:, self.lookback :]]
        observed = None if self.series.observed is None else self.series.observed[rows[:, self.lookback :]]
        marks = None if self.series.marks is None else self.series.marks[rows[:, : self.lookback]]
        known = None if self.series.known is None else self.series.known[rows]
        return Batch(windows[:, : self.lookback], y, origins, observed, marks=marks, known=known)

    def looking_back(self, steps: int, least: int, source: str) -> "WindowDataset":
        """Return the windows with ``steps`` rows of x, or with as many as lie before the first window's forecast.

        Raises:
            UserError: fewer than ``least`` rows lie there.
        """
        before = self.first + self.seq_len
        if before < least:
            raise UserError(
                f"{source}: the model looks back {least:,} steps, and {before:,} rows lie before the first forecast: "
                "use more data."
            )
        return replace(self, lookback=max(min(steps, before), self.seq_len))

    def part(self, first: int, last: int) -> "WindowDataset":
        """Return the windows from the one with index ``first`` to before ``last``."""
        start = self.first + first * self.every
        rows = (last - first - 1) * self.every + self.seq_len + self.pred_len
        return replace(self, first=start, last=start + rows)

    def thinned(self, most: int) -> "WindowDataset":
        """Return at most so many of the windows, evenly spaced."""
        return replace(self, every=self.every * max(1, -(-len(self) // most)))

    def window(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a window in float64: x (L, C) and y (H, C)."""
        origin = self.first + index * self.every + self.seq_len
        return self.series.values[origin - self.seq_len : origin], self.series.values[origin : origin + self.pred_len]


def make_windows(
    series: Series, borders: Borders, split: Split, seq_len: int, pred_len: int, percent: int, source: str
) -> WindowDataset:
    """Return the windows of one split; validation and test look back ``seq_len`` rows into the split before.

    Few-shot ``percent`` keeps that share of the training rows: (rows - L) · percent // 100 + L.

    Raises:
        UserError: the split is too short for a single window
    """
    is_train, begins = split is Split.TRAIN, {Split.TRAIN: seq_len, Split.VAL: borders.train, Split.TEST: borders.val}
    first, last = begins[split] - seq_len, getattr(borders, split.value)
    is_few_shot = is_train and percent < 100
    if is_few_shot:
        last = min(last, max(0, last - seq_len) * percent // 100 + seq_len)
    if first < 0 or last - first < seq_len + pred_len:
        own, needed = (last, seq_len + pred_len) if is_train else (last - begins[split], pred_len)
        share, remedy = (f" (--percent {percent})", ", or a larger --percent") if is_few_shot else ("", "")
        raise UserError(
            f"{source}: the {split.value} split has {own:,} rows{share}, a window takes {needed:,} of them "
            f"(--seq_len {seq_len}, --pred_len {pred_len}): use shorter windows or more data{remedy}"
            f"{'' if is_few_shot else f'; {shorter_windows(borders, seq_len, pred_len)}'}."
        )
    return WindowDataset(series, first, last, seq_len, pred_len, lookback=seq_len, trains=is_train)


def shorter_windows(borders: Borders, seq_len: int, pred_len: int) -> str:
    """Return which shorter windows would fit every split."""
    sizes = (borders.train, borders.val - borders.train, borders.test - borders.val)
    shorter = min(pred_len, sizes[0] - 1, *sizes[1:])
    if shorter < 1:
        return "the file has too few rows to be split"
    longest = min(sizes[0], max(shorter + 1, borders.test // 2)) - shorter  # of a short file half is left to train on
    return f"--seq_len {min(seq_len, longest)} --pred_len {shorter} would fit"


def _start_worker(number: int) -> None:
    leave_stops_to_parent()


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
    """Return batches of a dataset that gathers a whole batch at once: every window in order, or shuffled by a seed.

    ``drop_last`` drops an incomplete last batch of shuffled windows, as the release does, unless it is the only one.
    """
    shuffle = shuffle_seed is not None
    generator = torch.Generator().manual_seed(shuffle_seed) if shuffle else None
    return load_batches(
        dataset,
        workers,
        pin,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=shuffle and drop_last and len(dataset) >= batch_size,
        generator=generator,
    )


def load_batches(dataset: Dataset, workers: int, pin: bool, **order: Any) -> DataLoader:
    """Return a loader of a dataset that gathers a whole batch at once; ``order`` is PyTorch's own."""
    return DataLoader(
        dataset,
        num_workers=workers,
        collate_fn=_as_is,
        worker_init_fn=_start_worker,
        # Forked workers have the handlers of this process at once; others can be cut off while they import.
        multiprocessing_context="fork" if workers and "fork" in get_all_start_methods() else None,
        pin_memory=pin,
        **order,
    )
