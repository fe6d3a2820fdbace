"""Gather windows of one standardized series, or samples of many series, a batch at a time."""

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_provider.datasets import Borders
from utils.command import ignore_interrupts
from utils.errors import UserError
from utils.m4.patterns import Pattern


class Split(Enum):
    """Which part of the series windows are drawn from."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Batch(NamedTuple):
    """Windows by name; a further field touches this module and the models that read it.

    Attributes:
        x: (B, L, C) in float32, what a model sees.
        y: (B, H, C) in float32, the truth.
        origins: (B,), the row of each y's first step in the series; None for samples of many series.
        known: (B, H, C), False where y was filled in and is not to be scored; None where nothing was.
        mask: (B, H, C), 0 where y lies beyond the end of its series, else 1; None where no y does.
    """

    x: Tensor
    y: Tensor
    origins: Tensor | None = None
    known: Tensor | None = None
    mask: Tensor | None = None

    @property
    def size(self) -> int:
        """Return B."""
        return len(self.x)

    def rows(self, rows: slice) -> "Batch":
        """Return some of the windows."""
        return Batch(*(None if part is None else part[rows] for part in self))

    def to(self, device: torch.device) -> "Batch":
        """Return the windows on a device."""
        return Batch(*(None if part is None else part.to(device, non_blocking=True) for part in self))


class Series:
    """A standardized series (T, C): float64 for exact figures, float32 for the model.

    Args:
        values: (T, C).
        known: (T, C), False where a value was filled in; None where nothing was.
    """

    def __init__(self, values: np.ndarray, known: np.ndarray | None = None) -> None:
        self.values = values
        self.tensor = torch.from_numpy(values.astype(np.float32))
        self.known = None if known is None else torch.from_numpy(known)


class WindowDataset(Dataset):
    """Every window of ``seq_len`` + ``pred_len`` rows in a part of a series.

    Args:
        series: the series.
        first: row that the first window begins with.
        last: row after the end of the last window.
        seq_len: L.
        pred_len: H.
        lookback: rows of x; None for ``seq_len``.
    """

    def __init__(
        self, series: Series, first: int, last: int, seq_len: int, pred_len: int, lookback: int | None = None
    ) -> None:
        self.series = series
        self.first = first
        self.last = last
        self.seq_len = seq_len
        self.pred_len = pred_len
        self.lookback = lookback or seq_len
        self._count = max(0, last - first - seq_len - pred_len + 1)

    def __len__(self) -> int:
        return self._count

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather a whole batch at once; the loader hands the indices of a batch over together."""
        origins = torch.as_tensor(indices) + (self.first + self.seq_len)
        rows = origins[:, None] + torch.arange(-self.lookback, self.pred_len)  # (B, L + H)
        windows = self.series.tensor[rows]  # (B, L + H, C)
        known = None if self.series.known is None else self.series.known[rows[:, self.lookback :]]
        return Batch(windows[:, : self.lookback], windows[:, self.lookback :], origins, known)

    def looking_back(self, steps: int, source: str) -> "WindowDataset":
        """Return the same windows with at least ``steps`` rows of x, from before the split where needed.

        Raises:
            UserError: the series begins too late for that.
        """
        before = self.first + self.seq_len
        if before < steps:
            raise UserError(
                f"{source}: the model looks back {steps:,} steps, and {before:,} rows lie before the first forecast: "
                "use more data."
            )
        return WindowDataset(self.series, self.first, self.last, self.seq_len, self.pred_len, max(steps, self.seq_len))

    def window(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return window ``index`` in float64: x (L, C) and y (H, C)."""
        start = self.first + index
        middle = start + self.seq_len
        return self.series.values[start:middle], self.series.values[middle : middle + self.pred_len]


def make_windows(
    series: Series, borders: Borders, split: Split, seq_len: int, pred_len: int, percent: int, source: str
) -> WindowDataset:
    """Return the windows of one split; validation and test look back ``seq_len`` rows into the split before.

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


def _start_worker(number: int) -> None:
    ignore_interrupts()


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
    """Make a loader of a dataset that gathers a whole batch at once.

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
        worker_init_fn=_start_worker,
        pin_memory=pin,
    )


class FlatSeries:
    """N series one after the other: series i is ``values[starts[i]:ends[i]]``.

    Args:
        values: all values.
        offsets: (N + 1,), where each series begins, and the end.
        dtype: to hold them in.
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray, dtype: type = np.float32) -> None:
        self.values = torch.from_numpy(values.astype(dtype))
        self.starts = torch.from_numpy(offsets[:-1])
        self.ends = torch.from_numpy(offsets[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def around(self, series: Tensor, cuts: Tensor, before: int, after: int) -> tuple[Tensor, Tensor]:
        """Return the values around some positions, and a mask, both (B, before + after) and 0 outside the series.

        Args:
            series: (B,), the number of the series of each position.
            cuts: (B,), positions in ``values``, each within or at the end of its series.
            before: values before each position.
            after: values from each position on.
        """
        rows = cuts[:, None] + torch.arange(-before, after)  # (B, before + after)
        inside = (rows >= self.starts[series][:, None]) & (rows < self.ends[series][:, None])
        values = self.values[rows.clamp_(0, len(self.values) - 1)]
        return values * inside, inside.to(values.dtype)


class M4Samples(Dataset):
    """Samples of every series, cut anew each time at a random point near its end (CALF, section 4.2).

    Args:
        series: those of one pattern.
        pattern: the pattern.
        seq_len: L.
        held_out: values at the end of each series that no sample may see.
        draws: samples of each series in an epoch.
        seed: of the cuts, which ``generator`` draws.

    A cut lies among the last ``pattern.history`` horizons, never before the second value and never at the end, so
    that every sample has at least one value to see and one to forecast.
    """

    def __init__(
        self, series: FlatSeries, pattern: Pattern, seq_len: int, *, held_out: int, draws: int, seed: int
    ) -> None:
        self.series = series
        self.draws = draws
        self.horizon, self.seq_len = pattern.horizon, seq_len
        self._ends = series.ends - held_out
        limit = int(pattern.history * pattern.horizon)
        self._first = torch.maximum(series.starts + 1, self._ends - limit)
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.series) * self.draws

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Draw and gather a whole batch at once."""
        chosen = torch.as_tensor(indices) % len(self.series)
        first, ends = self._first[chosen], self._ends[chosen]
        share = torch.rand(len(chosen), generator=self.generator, dtype=torch.float64)
        cuts = first + (share * (ends - first)).long()
        values, known = self.series.around(chosen, cuts, self.seq_len, self.horizon)
        future = cuts[:, None] + torch.arange(self.horizon)
        known = known[:, self.seq_len :] * (future < ends[:, None])
        x, y = values[:, : self.seq_len], values[:, self.seq_len :] * known
        return Batch(x[..., None], y[..., None], mask=known[..., None])


def last_windows(series: FlatSeries, seq_len: int, before_end: int) -> Tensor:
    """Return the ``seq_len`` values that end ``before_end`` before the end of each series, (N, L, 1).

    Zeros stand before the values of a series that is too short.
    """
    everything = torch.arange(len(series))
    return series.around(everything, series.ends - before_end, seq_len, 0)[0][..., None]
