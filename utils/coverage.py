"""Calibrate prediction intervals on past windows as time goes on, and count how often they hold.

A test goes through its windows in order of time. The intervals of a window follow from errors that were known at its
first step: of windows whose whole truth lies before it. Now and then they are renewed from what has become known
meanwhile, as they would be in use. Shapes: B batch, L seq_len, H pred_len, C columns.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.conformal import FEWEST, FLOOR, MOST, MOST_NUMBERS, SMALLEST, Bounds, Intervals, scale_of

RENEWALS = 20  # in a test
STEP = 0.1  # of adaptive intervals, in shares of the truth that were missed too often
NEVER = np.iinfo(np.int64).max


class Calibration:
    """Error paths of windows in order of time, as many as a checkpoint can hold, evenly spaced."""

    def __init__(self, windows: int, pred_len: int, channels: int, before: Intervals | None = None) -> None:
        """Make room for the paths of ``windows``; those of ``before`` are known at any time."""
        kept = int(np.clip(MOST_NUMBERS // (pred_len * channels), FEWEST, MOST))
        earlier = self._earlier = 0 if before is None else len(before.paths)
        self.every = max(1, math.ceil((windows + earlier) / kept))
        room = earlier + math.ceil(windows / self.every)
        self._paths = np.empty((room, pred_len, channels), np.float32)
        self._variances = np.ones((room, channels))
        self._known_from = np.full(room, -1)  # the row from which on a path is known
        self._seen, self._kept = 0, earlier
        self.floor: np.ndarray | None = None
        self.windows = 0
        if before is not None:
            self._paths[:earlier], self.floor, self.windows = before.paths, before.floor, before.windows

    def add(
        self, x: Tensor, forecast: Tensor, target: Tensor, observed: Tensor | None = None, origins: Tensor | None = None
    ) -> None:
        """Keep the errors of the next windows.

        Args:
            x: (B, L, C), what the model saw of the columns.
            forecast: (B, H, C).
            target: (B, H, C).
            observed: False where the target was filled in; None where nothing was.
            origins: (B,), the row of each forecast's first step; None where the errors are known at any time.
        """
        chosen = slice(-self._seen % self.every, None, self.every)
        errors = target[chosen] - forecast[chosen]
        if observed is not None:
            errors = errors.masked_fill(~observed[chosen], torch.nan)
        rows = slice(self._kept, self._kept + len(errors))
        variances = x[chosen].double().numpy().var(axis=1)
        self._variances[rows] = variances
        unit = 1 if self.floor is None else scale_of(variances, self.floor)[:, None]
        self._paths[rows] = errors.numpy() / unit
        self._known_from[rows] = -1 if origins is None else origins[chosen].numpy() + forecast.shape[1]
        self._seen += len(x)
        self._kept = rows.stop

    def settle(self) -> None:
        """Fix the floor of the scales from the windows so far."""
        if self.floor is None and self._kept:
            self.floor = np.maximum(FLOOR * self._variances[: self._kept].mean(axis=0), SMALLEST)
            self._paths[: self._kept] /= scale_of(self._variances[: self._kept], self.floor)[:, None]

    def known_at(self, origin: int) -> Intervals:
        """Return the intervals that were known before the row ``origin``."""
        count = self._kept
        if origin != NEVER:
            count = int(np.searchsorted(self._known_from[: self._kept], origin, side="right"))
        taken = min(self._seen, (count - self._earlier) * self.every)
        return Intervals(self._paths[:count], self.floor, self.windows + taken)

    def known_from(self, moments: np.ndarray) -> np.ndarray:
        """Return the date of the last truth of each path (n,), from those of the rows of the series."""
        return moments[self._known_from[: self._kept] - 1]


class _Block:
    """Windows that are scored with the same bounds: from when on their truth is known, and by level what they missed.

    Attributes:
        counts: of the truth outside of its interval, and of all truth that has one, (2, C), by level.
    """

    def __init__(self, levels: Iterable[float], channels: int) -> None:
        self.known_from = NEVER
        self.counts = {level: np.zeros((2, channels)) for level in levels}


class Coverage:
    """How often the truth of a test lies in its interval, and how wide it is.

    Attributes:
        intervals: those that are known at the end.
    """

    def __init__(self, calibration: Calibration, levels: Sequence[float], windows: int, adaptive: bool) -> None:
        """Begin with what a calibration knows.

        Args:
            windows: of the test.
            adaptive: let the share of truth that an interval leaves out follow what it missed lately, for each column
                (Gibbs and Candès, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021, equation 2).
        """
        calibration.settle()
        self._calibration, self._adaptive = calibration, adaptive
        _, horizon, channels = calibration._paths.shape
        self._missed = {level: np.full(channels, 1 - level) for level in levels}
        self._inside, self._widths, self._shown = (
            {level: np.zeros((horizon, channels)) for level in levels} for _ in range(3)
        )
        self._every, self._next, self._seen = max(1, windows // RENEWALS), 0, 0
        self._blocks: deque[_Block] = deque()  # the last one is open
        self._bounds: dict[float, Bounds] = {}
        self.intervals = calibration.known_at(NEVER)

    def add(
        self,
        x: Tensor,
        forecast: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        origins: Tensor | None = None,
        keep: bool = False,
    ) -> dict[float, np.ndarray]:
        """Count windows and keep their errors.

        The arguments are those of ``Calibration.add``; without origins the bounds stay those of the beginning.

        Args:
            keep: return the bands (2, B, H, C) by level; else nothing is returned.
        """
        scales = self.intervals.scale(x.double().numpy()).astype(np.float32)[:, None]  # (B, 1, C)
        values, truth = forecast.numpy(), target.numpy()
        counted = np.ones(truth.shape, bool) if observed is None else observed.numpy()
        self._calibration.add(x, forecast, target, observed, origins)
        kept: dict[float, list[np.ndarray]] = {level: [] for level in self._missed}
        first = 0
        while first < len(values):
            if self._seen >= self._next:
                self._renew(None if origins is None else int(origins[first]))
            rows = slice(first, min(len(values), first + self._next - self._seen))
            block = self._blocks[-1]
            for level, bounds in self._bounds.items():
                band = np.stack([values[rows] + bound.astype(values.dtype) * scales[rows] for bound in bounds])
                block.counts[level] += self._count(level, band, truth[rows], counted[rows])
                if keep:
                    kept[level].append(band)
            if origins is not None:
                block.known_from = int(origins[rows.stop - 1]) + values.shape[1]
            self._seen += rows.stop - first
            first = rows.stop
        return {level: np.concatenate(bands, axis=1) for level, bands in kept.items() if bands}

    def _count(self, level: float, band: np.ndarray, truth: np.ndarray, counted: np.ndarray) -> np.ndarray:
        """Count windows in their bands (2, B, H, C); return how much lies outside, and how much counts (2, C)."""
        lower, upper = band
        shown = counted & ~np.isnan(upper)
        inside = shown & (lower <= truth) & (truth <= upper)
        self._inside[level] += inside.sum(axis=0)
        self._shown[level] += shown.sum(axis=0)
        self._widths[level] += np.where(shown, upper - lower, 0).sum(axis=0)
        count = shown.sum((0, 1))
        return np.stack([count - inside.sum((0, 1)), count])

    def _renew(self, origin: int | None) -> None:
        """Take the bounds that were known before the row ``origin``."""
        self._next = self._seen + self._every
        if origin is not None:
            self.intervals = self._calibration.known_at(origin)
            while self._blocks and self._blocks[0].known_from <= origin:
                self._adapt(self._blocks.popleft())
        missed = self._missed if self._adaptive else {}
        self.intervals = Intervals(self.intervals.paths, self.intervals.floor, self.intervals.windows, missed)
        self._blocks.append(_Block(self._missed, self.intervals.paths.shape[2]))
        self._bounds = {level: self.intervals.bounds(level) for level in self._missed}

    def _adapt(self, block: _Block) -> None:
        least = 2 / (len(self.intervals.paths) + 1)  # below, no error has the rank
        for level, (outside, count) in block.counts.items():
            nominal = 1 - level
            missed = np.where(count > 0, outside / np.maximum(count, 1), nominal)
            shares = self._missed[level] + STEP * (nominal - missed)
            self._missed[level] = np.clip(shares, min(least, nominal), max(0.5, nominal))

    def finish(self, moments: np.ndarray | None = None) -> Intervals:
        """Return the intervals for what comes after the test: all errors are known, and all blocks were adapted to.

        Args:
            moments: the date of each row of the series, to tell when each error was known; None to tell nothing.
        """
        while self._blocks:
            self._adapt(self._blocks.popleft())
        self.intervals = self._calibration.known_at(NEVER)
        missed = dict(self._missed) if self._adaptive else {}
        known_from = None if moments is None else self._calibration.known_from(moments)
        return Intervals(self.intervals.paths, self.intervals.floor, self.intervals.windows, missed, known_from)

    def report(self, columns: Sequence[str], scale: np.ndarray) -> dict[str, Any]:
        """Return by level: coverage and mean width over all steps and columns, and per column.

        Widths per column are in the data's units, ``scale`` (C,) to a standardized one. A figure is None where there is
        no interval; ``shown`` is the share of the counted truth that has one.
        """
        return {f"{level:g}": self._report_level(level, columns, scale) for level in self._missed}

    def _report_level(self, level: float, columns: Sequence[str], scale: np.ndarray) -> dict[str, Any]:
        def figures(part: Any, unit: float) -> dict[str, float | None]:
            inside, width, count = (of[level][part].sum() for of in (self._inside, self._widths, self._shown))
            return {
                "coverage": float(inside / count) if count else None,
                "width": float(width / count * unit) if count else None,
            }

        per_channel = {name: figures((slice(None), c), scale[c]) for c, name in enumerate(columns)}
        return {**figures(..., 1.0), "per_channel": per_channel}
