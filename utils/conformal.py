"""Compute split-conformal prediction intervals from errors on windows that training did not see.

For each step and column the interval of a level is forecast ± the k-th smallest absolute error of n validation
windows, k = ceil((n + 1) · level) (Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018,
algorithm 2). It covers the truth with at least that probability where validation and future are exchangeable.
Shapes: B batch, H pred_len, C columns.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from utils.errors import UserError, shown_path
from utils.files import check_regular, save_tensors

INTERVALS = "intervals.safetensors"
PERCENTS = tuple(percent / 100 for percent in range(1, 100))
COARSE = (*(percent / 100 for percent in range(5, 100, 5)), 0.98, 0.99)
MOST_THRESHOLDS = 2_000_000  # of a file: 8 MB
MOST_LEVELS = 1000
MOST_BYTES = 2**29  # of errors kept in memory
STORED_AS = {"levels": torch.float64, "half_widths": torch.float32, "windows": torch.int64}


@dataclass(frozen=True)
class Intervals:
    """Half widths of prediction intervals.

    Attributes:
        levels: nominal coverages, rising.
        half_widths: (levels, H, C) on the standardized scale, NaN where too few validation windows allow an interval.
        windows: how many validation windows they were computed from.
    """

    levels: tuple[float, ...]
    half_widths: np.ndarray
    windows: int

    def at(self, levels: Sequence[float]) -> dict[float, np.ndarray]:
        """Return the half widths (H, C) of some levels; raise UserError if one is not among those of the file."""
        found = {}
        for level in levels:
            nearest = np.abs(np.subtract(self.levels, level)).argsort(kind="stable")[:2]
            if not math.isclose(self.levels[nearest[0]], level):
                there = " and ".join(f"{self.levels[i]:g}" for i in nearest)
                raise UserError(
                    f"--interval {level:g}: the nearest intervals that the checkpoint has are {there}; choose one, or "
                    "test it with this one (--is_training 0 without --do_predict)."
                )
            found[level] = self.half_widths[nearest[0]]
        return found

    def scaled(self, factor: np.ndarray) -> "Intervals":
        """Return intervals ``factor`` (C,) times as wide, for data on another scale."""
        return replace(self, half_widths=(self.half_widths * factor).astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write the intervals into a checkpoint folder, whole or not at all."""
        content = {
            "levels": torch.tensor(self.levels, dtype=torch.float64),
            "half_widths": torch.from_numpy(self.half_widths),
            "windows": torch.tensor([self.windows]),
        }
        save_tensors(folder / INTERVALS, content, {})

    @classmethod
    def load(cls, folder: Path, shape: tuple[int, int]) -> "Intervals | None":
        """Read the intervals (levels, H, C) in a checkpoint folder, ``shape`` being (H, C); return None without a file.

        Raises:
            UserError: the file is damaged or does not fit the checkpoint.
        """
        path = folder / INTERVALS
        if not path.exists():
            return None
        try:
            check_regular(path, limit=4 * MOST_LEVELS * math.prod(shape) + 2**20)
            stored = load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{shown_path(path)} is damaged ({error}); test the checkpoint anew.") from error
        if {name: tensor.dtype for name, tensor in stored.items()} == STORED_AS:
            levels, half_widths, windows = (stored[name].numpy() for name in STORED_AS)
            if _fits(levels, half_widths, windows, shape):
                return cls(tuple(levels.tolist()), half_widths, int(windows[0]))
        raise UserError(f"{shown_path(path)} does not fit its checkpoint; test the checkpoint anew.")


def _fits(levels: np.ndarray, half_widths: np.ndarray, windows: np.ndarray, shape: tuple[int, int]) -> bool:
    """Return whether arrays from a file can be intervals of this shape; NaN is a half width, but no level."""
    if not levels.size or levels.ndim != 1 or half_widths.shape != (len(levels), *shape) or windows.shape != (1,):
        return False
    rising = np.diff(levels, prepend=0, append=1) > 0
    return bool(windows[0] >= 0 and rising.all() and not (half_widths < 0).any() and not np.isinf(half_widths).any())


class Residuals:
    """Absolute errors of validation windows, as many of them as memory allows, evenly spaced."""

    def __init__(self, windows: int, pred_len: int, channels: int) -> None:
        self.every = math.ceil(windows * pred_len * channels * 4 / MOST_BYTES)
        self._errors = np.empty((math.ceil(windows / self.every), pred_len, channels), np.float32)
        self._seen = self._kept = 0

    def add(self, forecast: Tensor, target: Tensor, known: Tensor | None = None) -> None:
        """Add the next windows (B, H, C), in order; ``known`` is False where the target was filled in."""
        errors = (forecast - target).abs()
        if known is not None:
            errors = errors.masked_fill(~known, torch.nan)
        kept = errors[-self._seen % self.every :: self.every]
        self._errors[self._kept : self._kept + len(kept)] = kept.numpy()
        self._seen += len(errors)
        self._kept += len(kept)

    def intervals(self, levels: Sequence[float]) -> Intervals:
        """Return intervals for ``levels`` and for a grid of others, so that a later forecast has a choice."""
        _, pred_len, channels = self._errors.shape
        grid = PERCENTS if len(PERCENTS) * pred_len * channels <= MOST_THRESHOLDS else COARSE
        new = [level for level in levels if not np.isclose(level, grid, rtol=1e-9, atol=0).any()]
        chosen = tuple(sorted({*grid, *new}))
        half_widths = np.empty((len(chosen), pred_len, channels), np.float32)
        for step in range(pred_len):
            ranked = np.sort(self._errors[: self._kept, step], axis=0)  # (n, C), NaN last
            count = (~np.isnan(ranked)).sum(axis=0)  # (C,)
            rank = np.ceil(np.multiply.outer(chosen, count + 1) - 1e-9).astype(int)  # (levels, C), rounded with care
            widths = np.take_along_axis(ranked, np.minimum(rank, len(ranked)) - 1, axis=0)
            half_widths[:, step] = np.where(rank <= count, widths, np.nan)
        return Intervals(chosen, half_widths, self._kept)


class Coverage:
    """How often the truth of a test lies in its interval, and how wide it is; half widths (H, C) are by level."""

    def __init__(self, half_widths: Mapping[float, np.ndarray]) -> None:
        self._half_widths = half_widths
        self._inside = {level: np.zeros(half_width.shape) for level, half_width in half_widths.items()}
        self._counts: np.ndarray | int = 0

    def add(self, forecast: Tensor, target: Tensor, known: Tensor | None = None) -> None:
        """Count windows (B, H, C); ``known`` is False where the target was filled in."""
        errors = (forecast - target).abs()
        counted = torch.ones_like(errors, dtype=torch.bool) if known is None else known
        for level, half_width in self._half_widths.items():
            self._inside[level] += ((errors <= torch.from_numpy(half_width)) & counted).sum(dim=0).numpy()
        self._counts = self._counts + counted.sum(dim=0).numpy()

    def report(self, columns: Sequence[str], scale: np.ndarray) -> dict[str, Any]:
        """Return by level: coverage and mean width over all steps and columns, and per column.

        Widths per column are in the data's units, ``scale`` (C,) to a standardized one. A figure is None where there is
        no interval.
        """
        return {f"{level:g}": self._report_level(level, columns, scale) for level in self._half_widths}

    def _report_level(self, level: float, columns: Sequence[str], scale: np.ndarray) -> dict[str, Any]:
        there = ~np.isnan(self._half_widths[level])  # (H, C)
        widths = 2 * self._half_widths[level].astype(np.float64)

        def figures(part: Any, unit: np.ndarray) -> dict[str, float | None]:
            shown = there[part]
            count = self._counts[part][shown].sum()
            return {
                "coverage": float(self._inside[level][part][shown].sum() / count) if count else None,
                "width": float((widths * unit)[part][shown].mean()) if shown.any() else None,
            }

        per_channel = {name: figures((slice(None), c), scale) for c, name in enumerate(columns)}
        overall = figures(..., np.ones_like(scale))
        return {**overall, "shown": float(there.mean()), "per_channel": per_channel}


def check_levels(levels: Iterable[Any]) -> tuple[float, ...]:
    """Return nominal coverages as numbers, rising and each once; raise UserError for one not between 0 and 1."""
    found = set()
    for given in levels:
        try:
            level = float(given)
        except (TypeError, ValueError):
            level = math.nan
        if not 0 < level < 1:
            raise UserError(f"--interval {given}: choose a share between 0 and 1, like 0.9, or several: 0.5,0.9.")
        found.add(level)
    return tuple(sorted(found))
