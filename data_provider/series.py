"""Gather samples and windows of many series, a batch at a time, without a loop over series.

Shapes: N series, S their values in all, B batch, L seq_len, H pred_len, C channels, F columns known in advance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data_provider.windows import Batch
from utils.m4.patterns import Pattern


class FlatSeries:
    """N series one after the other: series i is ``values[starts[i]:ends[i]]``, (S, C).

    Args:
        values: (S, C), or (S,) for one channel.
        offsets: (N + 1,).
        observed: (S, C), False where a value was filled in; None where none was.
        marks: (S, 4), calendar marks; None for models that read none.
        known: (S, F), columns known in advance, standardized; None where there are none.
    """

    def __init__(
        self,
        values: np.ndarray,
        offsets: np.ndarray,
        dtype: type = np.float32,
        observed: np.ndarray | None = None,
        marks: Tensor | None = None,
        known: Tensor | None = None,
    ) -> None:
        self.values = torch.from_numpy(values.astype(dtype).reshape(len(values), -1))
        self.starts = torch.from_numpy(offsets[:-1])
        self.ends = torch.from_numpy(offsets[1:])
        self.observed = None if observed is None else torch.from_numpy(observed)
        self.marks, self.known = marks, known

    def __len__(self) -> int:
        return len(self.starts)

    def rows(self, series: Tensor, cuts: Tensor, before: int, after: int) -> tuple[Tensor, Tensor]:
        """Return the rows (B, before + after) around ``cuts`` (B,), and which of them lie inside the series."""
        rows = cuts[:, None] + torch.arange(-before, after)
        inside = (rows >= self.starts[series][:, None]) & (rows < self.ends[series][:, None])
        return rows.clamp_(0, len(self.values) - 1), inside

    def around(self, series: Tensor, cuts: Tensor, before: int, after: int) -> tuple[Tensor, Tensor]:
        """Return values (B, before + after, C) around ``cuts`` (B,), 0 outside the series, and which lie inside."""
        rows, inside = self.rows(series, cuts, before, after)
        return self.values[rows] * inside[..., None], inside

    def batch(self, series: Tensor, cuts: Tensor, seq_len: int, horizon: int, seen: Tensor | None = None) -> Batch:
        """Return windows around ``cuts`` (B,): L steps before and H after.

        Args:
            seen: (B,), the first row of each series that no sample may see; None for windows that end inside.
        """
        rows, inside = self.rows(series, cuts, seq_len, horizon)
        values = self.values[rows] * inside[..., None]
        x, y, mask = values[:, :seq_len], values[:, seq_len:], None
        if seen is not None:
            future = cuts[:, None] + torch.arange(horizon)
            shown = (inside[:, seq_len:] & (future < seen[:, None]))[..., None].to(values.dtype)
            y, mask = y * shown, shown.expand(-1, -1, y.shape[-1])
        observed = None if self.observed is None else self.observed[rows[:, seq_len:]]
        marks = None if self.marks is None else self.marks[rows[:, :seq_len]] * inside[:, :seq_len, None]
        known = None if self.known is None else self.known[rows] * inside[..., None]
        return Batch(x, y, None if mask is not None else cuts, observed, mask, marks, known)


class RandomCuts(Dataset):
    """Samples of series, cut anew each time at a random point.

    Args:
        first: (N,), the first row of each series that may be the first one to forecast.
        ends: (N,), the row after the last one that may be; no sample sees values from ``seen`` on.
        seen: (N,), the first row of each series that is held out.
        which: (M,), the series of each of the M samples of an epoch.
    """

    def __init__(
        self,
        series: FlatSeries,
        first: Tensor,
        ends: Tensor,
        seen: Tensor,
        which: Tensor,
        seq_len: int,
        horizon: int,
        seed: int,
    ) -> None:
        self.series, self.which = series, which
        self.horizon, self.seq_len = horizon, seq_len
        self._first, self._ends, self._seen = first, ends, seen
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.which)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Draw and gather a whole batch at once."""
        chosen = self.which[torch.as_tensor(indices)]
        first, ends = self._first[chosen], self._ends[chosen]
        share = torch.rand(len(chosen), generator=self.generator, dtype=torch.float64)
        cuts = first + (share * (ends - first)).long()
        return self.series.batch(chosen, cuts, self.seq_len, self.horizon, self._seen[chosen])


class M4Samples(RandomCuts):
    """Samples of every series, cut anew each time at a random point near its end (CALF, section 4.2).

    A cut lies among the last ``pattern.history`` horizons, so that every sample has a value to see and one to forecast.
    No sample sees the last ``held_out`` values of a series; an epoch draws ``draws`` samples of each.
    """

    def __init__(
        self, series: FlatSeries, pattern: Pattern, seq_len: int, *, held_out: int, draws: int, seed: int
    ) -> None:
        ends = series.ends - held_out
        limit = int(pattern.history * pattern.horizon)
        first = torch.maximum(series.starts + 1, ends - limit)
        which = torch.arange(len(series)).repeat(draws)
        super().__init__(series, first, ends, ends, which, seq_len, pattern.horizon, seed)


@dataclass(frozen=True, eq=False)
class SeriesWindows(Dataset):
    """Chosen windows of many series, in the order of the series; x is 0 before the beginning of its series.

    Attributes:
        which: (W,), the series of each window.
        origins: (W,), the row of each window's first step to forecast.
        lookback: steps of x.
    """

    series: FlatSeries
    which: Tensor
    origins: Tensor
    lookback: int
    pred_len: int

    def __len__(self) -> int:
        return len(self.which)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather a whole batch at once."""
        chosen = torch.as_tensor(indices)
        return self.series.batch(self.which[chosen], self.origins[chosen], self.lookback, self.pred_len)

    def looking_back(self, steps: int, least: int, source: str) -> "SeriesWindows":
        """Return the windows with at least ``steps`` steps of x, 0 where their series has not begun."""
        return replace(self, lookback=max(steps, self.lookback))

    def thinned(self, most: int) -> "SeriesWindows":
        """Return at most so many of the windows, evenly spaced, and not always the same ones of each series."""
        every, usual = max(1, -(-len(self) // most)), int(torch.bincount(self.which).mode().values)
        while math.gcd(every, usual) > 1 and every > 1:
            every += 1
        return replace(self, which=self.which[::every], origins=self.origins[::every])


def last_windows(series: FlatSeries, seq_len: int, before_end: int) -> Tensor:
    """Return the ``seq_len`` values that end ``before_end`` before each series' end, (N, L, C); 0 before short ones."""
    return series.around(torch.arange(len(series)), series.ends - before_end, seq_len, 0)[0]
