"""Hide values of windows that a model has to find again: the same ones for every model and run.

Shapes: B batch, L seq_len, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data_provider.config import data_file
from data_provider.datasets import Borders, find_dataset
from data_provider.factory import ForecastData, load_data
from data_provider.imputation_config import ImputationConfig
from data_provider.reading import Frame, Reading, read_table
from data_provider.windows import Batch, Series, Split
from utils.errors import UserError

BLOCK = 8  # steps of a gap, on average
NUMBERS = {split: number for number, split in enumerate(Split)}


@dataclass(frozen=True)
class Mask:
    """Which values are hidden: drawn anew for each seed, split and window, and in training for each epoch.

    Attributes:
        rate: share of the values to hide.
        kind: ``point`` hides single values; ``block`` gaps of 8 steps on average, each in one channel.
    """

    rate: float
    kind: str
    seed: int

    def shown(self, split: Split, windows: Sequence[int], shape: tuple[int, int], epoch: int = 0) -> Tensor:
        """Return which values of some windows of a split are seen: (B, L, C) booleans for ``shape`` (L, C)."""
        draws = [
            np.random.default_rng((self.seed, NUMBERS[split], index, epoch)).random(shape, dtype=np.float32)
            for index in windows
        ]
        numbers = torch.from_numpy(np.stack(draws))
        return numbers > self.rate if self.kind == "point" else ~self._gaps(numbers)

    def _gaps(self, numbers: Tensor) -> Tensor:
        """Turn uniform numbers (B, L, C) into gaps: a chain of two states along L that is hidden for ``rate`` of it."""
        length = max(BLOCK, self.rate / (1 - self.rate))  # no gap follows another without a value between
        begins, goes_on = self.rate / (1 - self.rate) / length, 1 - 1 / length
        hidden = [numbers[:, 0] < self.rate]
        for step in range(1, numbers.shape[1]):
            hidden.append(numbers[:, step] < torch.where(hidden[-1], goes_on, begins))
        return torch.stack(hidden, dim=1)


@dataclass(frozen=True, eq=False)
class HiddenWindows(Dataset):
    """Every window of ``seq_len`` rows within rows ``first`` to ``last`` (exclusive) of a series, some values hidden.

    A batch holds the windows as ``y`` and with zeros at hidden places as ``x``; ``observed`` tells which values are to
    be found, which are those that the mask hides and the series has; ``origins`` are the first rows of the windows.

    Attributes:
        tells: give the model ``visible``, too: 1 where a value is seen.
    """

    series: Series
    split: Split
    first: int
    last: int
    seq_len: int
    mask: Mask
    tells: bool = True
    _epoch: list[int] = field(default_factory=lambda: [0])

    def __len__(self) -> int:
        return max(0, self.last - self.first - self.seq_len + 1)

    def begin_epoch(self, epoch: int) -> None:
        """Draw other masks from now on, those of an epoch."""
        self._epoch[0] = epoch

    def shown(self, origins: Tensor) -> Tensor:
        """Return which values (B, L, C) of the windows that begin at some rows are seen, as booleans."""
        channels = self.series.truth.shape[1]
        indices = (origins - self.first).tolist()
        shown = self.mask.shown(self.split, indices, (self.seq_len, channels), self._epoch[0])
        return shown if self.series.observed is None else shown & self.series.observed[self._rows(origins)]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather a whole batch at once."""
        origins = torch.as_tensor(indices) + self.first
        rows, shown = self._rows(origins), self.shown(origins)
        trains = self.split is Split.TRAIN
        seen, truth = self.series.tensor[rows], self.series.truth[rows]
        known = torch.ones_like(shown) if self.series.observed is None else self.series.observed[rows]
        hidden = known & ~shown
        return Batch(
            x=torch.where(shown, seen, 0.0),
            y=seen if trains else truth,
            origins=origins,
            observed=hidden,
            # The mean over all elements is then the mean over the hidden ones, however a batch is divided.
            mask=hidden * (hidden.numel() / max(1, int(hidden.sum()))) if trains else None,
            visible=shown.float() if self.tells else None,
        )

    def looking_back(self, steps: int, least: int, source: str) -> "HiddenWindows":
        """Return the windows as they are: there is nothing to see before them."""
        return self

    def window(self, index: int) -> np.ndarray:
        """Return the values (L, C) of a window in float64."""
        return self.series.values[self.first + index : self.first + index + self.seq_len]

    def _rows(self, origins: Tensor) -> Tensor:
        return origins[:, None] + torch.arange(self.seq_len)  # (B, L)


def load_hidden(config: ImputationConfig, seed: int, tells: bool) -> ForecastData:
    """Read, check and standardize a data set, and cut it into windows with hidden values.

    Windows lie inside their split, or with ``--imputation_protocol release`` begin up to L rows before it.

    Args:
        seed: of the masks.
        tells: give the model what is hidden, beside zeros in its place.

    Raises:
        UserError: the data cannot be used; the message says where and why.
    """
    spec, mask = find_dataset(config.data), Mask(float(config.mask_rate), config.mask_kind, seed)
    released = config.imputation_protocol == "release"
    frame = read_with_gaps(data_file(config, spec), Reading.of(config, spec)) if spec.named_by_user else None

    def cut(series: Series, borders: Borders, split: Split) -> HiddenWindows:
        begins = {Split.TRAIN: 0, Split.VAL: borders.train, Split.TEST: borders.val}[split]
        first, last = begins, getattr(borders, split.value)
        if released and split is not Split.TRAIN:
            first -= config.seq_len
        if split is Split.TRAIN and config.percent < 100:
            last = min(last, max(0, last - config.seq_len) * config.percent // 100 + config.seq_len)
        windows = HiddenWindows(series, split, first, last, config.seq_len, mask, tells)
        if first < 0 or not len(windows):
            raise UserError(
                f"{config.data_path or config.data}: the {split.value} split has {last - begins:,} rows, a window "
                f"takes {config.seq_len:,} (--seq_len): use shorter windows or more data."
            )
        return windows

    if frame is not None and frame.filled is not None:
        frame = replace(frame, notes=(*frame.notes, "missing values are never seen by a model, and never scored"))
    return load_data(config, any_target=True, frame=frame, cut=cut)


def read_with_gaps(path: Path, reading: Reading) -> Frame:
    """Read all rows of a file; missing values are marked as filled, with numbers of no meaning in their place.

    Raises:
        UserError: the file cannot be used, or a column has no value at all.
    """
    table = read_table(path, replace(reading, whole=True))
    gone = np.isnan(table.values)
    for name, empty in zip(table.columns, gone.all(axis=0), strict=True):
        if empty:
            raise UserError(f"{table.source}, column {name!r} has no values at all; leave it out with --ignore.")
    if not gone.any():
        return table
    values = pd.DataFrame(table.values).interpolate(limit_direction="both").to_numpy()
    note = f"{gone.sum():,} values are missing"
    return replace(table, values=values, filled=gone, notes=(*table.notes, note))
