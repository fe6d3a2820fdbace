"""Split-conformal prediction intervals: how far forecasts were off on windows that training did not see.

For each step and column the interval of a level is forecast ± the k-th smallest absolute error of n validation
windows, k = ceil((n + 1) · level) (Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018,
algorithm 2). It covers the truth with at least that probability where validation and future are exchangeable.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor

from utils.errors import UserError
from utils.files import save_tensors

INTERVALS = "intervals.safetensors"
PERCENTS = tuple(percent / 100 for percent in range(1, 100))
COARSE = (*(percent / 100 for percent in range(5, 100, 5)), 0.98, 0.99)
MOST_THRESHOLDS = 2_000_000  # of a file: 8 MB
MOST_BYTES = 2**29  # of errors kept in memory


@dataclass(frozen=True)
class Intervals:
    """Half widths of prediction intervals.

    Attributes:
        levels: nominal coverages, rising. half_widths: (levels, H, C) on the standardised scale, NaN where too few
            validation windows allow an interval. windows: how many they were computed from.
    """

    levels: tuple[float, ...]
    half_widths: np.ndarray
    windows: int

    def at(self, levels: Sequence[float]) -> dict[float, np.ndarray]:
        """Half widths (H, C) of some of the levels.

        Raises:
            UserError: one is not among them.
        """
        places = [next((i for i, own in enumerate(self.levels) if math.isclose(own, level)), None) for level in levels]
        if None in places:
            wanted, odd = levels[places.index(None)], sorted({*self.levels} - {*PERCENTS})
            more = "".join(f", {level:g}" for level in odd)
            every = "whole per cents from 0.01 to 0.99" if set(PERCENTS) <= {*self.levels} else "multiples of 0.05"
            raise UserError(
                f"--interval {wanted:g}: the checkpoint has intervals for {every}{more}; choose among these, or test "
                "it with this one (--is_training 0 without --do_predict)."
            )
        return {level: self.half_widths[place] for level, place in zip(levels, places, strict=True)}

    def scaled(self, factor: np.ndarray) -> "Intervals":
        """The same on another scale, ``factor`` (C,) times as wide."""
        return replace(self, half_widths=(self.half_widths * factor).astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write them into a checkpoint folder, whole or not at all."""
        content = {
            "levels": torch.tensor(self.levels, dtype=torch.float64),
            "half_widths": torch.from_numpy(self.half_widths.astype(np.float32)),
            "windows": torch.tensor([self.windows]),
        }
        save_tensors(folder / INTERVALS, content, {})

    @classmethod
    def load(cls, folder: Path, shape: tuple[int, int]) -> "Intervals | None":
        """Read them from a checkpoint folder; None where it has none.

        Args:
            shape: (H, C) that they must have.

        Raises:
            UserError: the file is damaged or does not fit.
        """
        path = folder / INTERVALS
        if not path.is_file():
            return None
        try:
            content = load_file(path)
            levels, half_widths, (windows,) = content["levels"], content["half_widths"], content["windows"]
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); test the checkpoint anew to make it anew.") from error
        sound = levels.ndim == 1 and half_widths.shape == (len(levels), *shape) and ((levels > 0) & (levels < 1)).all()
        if not sound or (half_widths < 0).any() or np.isinf(half_widths).any():
            raise UserError(f"{path} does not fit its checkpoint; test the checkpoint anew to make it anew.")
        return cls(tuple(levels.tolist()), half_widths, int(windows))


class Residuals:
    """Absolute errors of validation windows, as many of them as memory allows, evenly spaced.

    Args:
        windows: how many there are. pred_len: H. channels: C.
    """

    def __init__(self, windows: int, pred_len: int, channels: int) -> None:
        self.every = math.ceil(windows * pred_len * channels * 4 / MOST_BYTES)
        self._errors = np.empty((math.ceil(windows / self.every), pred_len, channels), np.float32)
        self._seen = self._kept = 0

    def add(self, forecast: Tensor, target: Tensor, known: Tensor | None = None) -> None:
        """The next windows, in order: (B, H, C) each; ``known`` is False where the target was filled in."""
        errors = (forecast - target).abs()
        if known is not None:
            errors = errors.masked_fill(~known, torch.nan)
        kept = errors[-self._seen % self.every :: self.every]
        self._errors[self._kept : self._kept + len(kept)] = kept.numpy()
        self._seen += len(errors)
        self._kept += len(kept)

    def intervals(self, levels: Sequence[float]) -> Intervals:
        """Intervals for ``levels`` and for a grid of others, so that a later forecast has a choice."""
        _, pred_len, channels = self._errors.shape
        grid = PERCENTS if len(PERCENTS) * pred_len * channels <= MOST_THRESHOLDS else COARSE
        new = [level for level in levels if not any(math.isclose(level, own) for own in grid)]
        chosen = tuple(sorted({*grid, *new}))
        errors = self._errors[: self._kept]
        half_widths = np.empty((len(chosen), pred_len, channels), np.float32)
        for step in range(pred_len):
            half_widths[:, step] = _half_widths(errors[:, step], chosen)
        return Intervals(chosen, half_widths, self._kept)


def _half_widths(errors: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """(levels, C) of errors (n, C); NaN among them are not counted."""
    ranked = np.sort(errors, axis=0)  # NaN last
    count = (~np.isnan(ranked)).sum(axis=0)  # (C,)
    found = np.full((len(levels), errors.shape[1]), np.nan, np.float32)
    for i, level in enumerate(levels):
        rank = np.ceil((count + 1) * level - 1e-9).astype(int)  # less the rounding of the product
        enough = np.flatnonzero(rank <= count)
        found[i, enough] = ranked[rank[enough] - 1, enough]
    return found


class Coverage:
    """How often the truth of a test lies in its interval, and how wide the intervals are.

    Args:
        half_widths: (H, C) by nominal level, NaN where there is no interval.
    """

    def __init__(self, half_widths: Mapping[float, np.ndarray]) -> None:
        self._half_widths = half_widths
        self._inside = {level: np.zeros(half_width.shape) for level, half_width in half_widths.items()}
        self._counts: np.ndarray | int = 0

    def add(self, forecast: Tensor, target: Tensor, known: Tensor | None = None) -> None:
        """Count windows, (B, H, C) each; ``known`` is False where the target was filled in."""
        errors = (forecast - target).abs()
        counted = torch.ones_like(errors, dtype=torch.bool) if known is None else known
        for level, half_width in self._half_widths.items():
            inside = (errors <= torch.from_numpy(half_width)) & counted
            self._inside[level] += inside.sum(dim=0).numpy()
        self._counts = self._counts + counted.sum(dim=0).numpy()

    def report(self, columns: Sequence[str], scale: np.ndarray) -> dict[str, Any]:
        """By level: coverage and mean width over all steps and columns, and per column.

        Figures are None where there is no interval.

        Args:
            columns: C names. scale: (C,), data units per standardised unit.
        """
        return {f"{level:g}": self._at(level, columns, scale) for level in self._half_widths}

    def _at(self, level: float, columns: Sequence[str], scale: np.ndarray) -> dict[str, Any]:
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
        return {
            **figures(..., np.ones_like(scale)),
            "shown": float(there.mean()),
            "per_channel": per_channel,
        }


def parse_levels(text: str) -> tuple[float, ...]:
    """Nominal coverages, ``0.9`` or ``0.5,0.9``, rising and each once.

    Raises:
        UserError: one is not between 0 and 1.
    """
    return check_levels(text.split(","))


def check_levels(levels: Iterable[Any]) -> tuple[float, ...]:
    """Nominal coverages as numbers, rising and each once; raises as above."""
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


def coverage_lines(report: Mapping[str, Mapping[str, Any]], most_columns: int = 21) -> list[str]:
    """A table for people of a :meth:`Coverage.report`: coverage and mean width beside each nominal level."""
    if not report:
        return []
    columns = list(next(iter(report.values()))["per_channel"])
    rows = {"all (standardised)": list(report.values())}
    rows |= {name: [figures["per_channel"][name] for figures in report.values()] for name in columns[:most_columns]}
    width = max(len(name) for name in rows) + 4
    lines = [
        "Prediction intervals on the test split: share of the truth inside, mean width (columns in their own units)",
        " " * width + "".join(f"{'nominal ' + level:>24}" for level in report),
        " " * width + f"{'inside':>10}{'mean width':>14}" * len(report),
    ]
    for name, cells in rows.items():
        numbers = "".join(f"{_shown(cell['coverage'], '.3f'):>10}{_shown(cell['width'], '.5g'):>14}" for cell in cells)
        lines.append(f"  {name:<{width - 2}}{numbers}")
    if len(columns) > most_columns:
        lines.append(f"  … and {len(columns) - most_columns} more columns in metrics.json")
    return [*lines, ""]


def _shown(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)
