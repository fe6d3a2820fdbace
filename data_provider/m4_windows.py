"""Samples of M4's series, drawn and gathered a batch at a time from one flat array."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from utils.m4.patterns import Pattern


class M4Batch(NamedTuple):
    """Samples: x (B, L, 1), zeros before a short history; y (B, H, 1), and mask (B, H, 1), 1 where y is known."""

    x: Tensor
    y: Tensor
    mask: Tensor


class FlatSeries:
    """N series one after the other: series i is ``values[starts[i]:ends[i]]``, float32."""

    def __init__(self, values: np.ndarray, offsets: np.ndarray) -> None:
        self.values = torch.from_numpy(values.astype(np.float32))
        self.starts = torch.from_numpy(offsets[:-1])
        self.ends = torch.from_numpy(offsets[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def around(self, series: Tensor, cuts: Tensor, before: int, after: int) -> tuple[Tensor, Tensor]:
        """The values around ``cuts`` (B,), positions in ``values``, each within or at the end of its series (B,).

        Returns:
            values and mask (B, before + after); both are 0 outside the series.
        """
        rows = cuts[:, None] + torch.arange(-before, after)  # (B, before + after)
        inside = (rows >= self.starts[series][:, None]) & (rows < self.ends[series][:, None])
        values = self.values[rows.clamp_(0, len(self.values) - 1)]
        return values * inside, inside.to(values.dtype)


class M4Samples(Dataset):
    """Samples of every series, cut anew each time at a random point near its end (CALF, section 4.2).

    Args:
        series: those of one pattern. held_out: values at the end of each series that no sample may see.
        draws: samples of each series in an epoch. seed: of the cuts, which ``generator`` draws.

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

    def __getitems__(self, indices: Sequence[int]) -> M4Batch:
        """Draw and gather a whole batch at once."""
        chosen = torch.as_tensor(indices) % len(self.series)
        first, ends = self._first[chosen], self._ends[chosen]
        share = torch.rand(len(chosen), generator=self.generator, dtype=torch.float64)
        cuts = first + (share * (ends - first)).long()
        values, known = self.series.around(chosen, cuts, self.seq_len, self.horizon)
        future = cuts[:, None] + torch.arange(self.horizon)
        known = known[:, self.seq_len :] * (future < ends[:, None])
        return M4Batch(
            values[:, : self.seq_len, None], (values[:, self.seq_len :] * known)[..., None], known[..., None]
        )


def last_windows(series: FlatSeries, seq_len: int, before_end: int) -> Tensor:
    """The ``seq_len`` values that end ``before_end`` before each series' end, (N, L, 1); zeros before short ones."""
    everything = torch.arange(len(series))
    return series.around(everything, series.ends - before_end, seq_len, 0)[0][..., None]
