"""Compute split-conformal prediction intervals from errors on windows that training did not see.

An error is divided by the scale of its window, so that intervals are wider where the series is wilder. For each step
and column the interval of a level runs from the forecast plus one ranked error to the forecast plus another: of n
windows the floor((n + 1) · (1 - level) / 2)-th smallest and the ceil((n + 1) · (1 + level) / 2)-th, so that lower and
upper side have widths of their own (Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018,
section 2; two sides as in Romano et al., "Conformalized Quantile Regression", NeurIPS 2019, theorem 2). The errors of a
window are kept together as a path, so that sums over steps and columns have intervals, too.
Shapes: B batch, L seq_len, H pred_len, C columns, n windows.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from utils.errors import UserError, shown_path
from utils.files import check_regular, save_tensors

INTERVALS, OF_TOTAL = "intervals.safetensors", "intervals_of_total.safetensors"
FEWEST, MOST = 40, 1000  # paths that are kept where there are enough windows
MOST_NUMBERS = 4_000_000  # of all paths, where that leaves the fewest: 16 MB
FLOOR = 0.1  # of the mean variance of a window, added to the variance of each
SMALLEST = 1e-6  # variance of a column that does not vary
MISSED = "missed_"  # before a level: the name of a tensor
STORED_AS = {"paths": torch.float32, "windows": torch.int64, "known_from": torch.int64}  # all else in float64

Bounds = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Intervals:
    """Errors of windows, from which lower and upper bounds of any level follow.

    Attributes:
        paths: (n, H, C) in float32, errors (truth minus forecast) over the scale of their window, the oldest first; NaN
            where the truth is not known.
        floor: (C,), added to the variance of a window.
        windows: how many windows the paths were chosen from, evenly.
        missed: the share of the truth to leave out (C,) by level, where it was adapted; 1 - level elsewhere.
        known_from: (n,), the date of the last truth of each path, in nanoseconds since 1970; None where it is not told.
    """

    paths: np.ndarray
    floor: np.ndarray
    windows: int
    missed: Mapping[float, np.ndarray] = field(default_factory=dict)
    known_from: np.ndarray | None = None

    def known_at(self, moment: int) -> "Intervals | None":
        """Return those, never adapted, of the paths whose truth had come by a date; None where that is not told."""
        if self.known_from is None:
            return None
        count = int(np.searchsorted(self.known_from, moment, side="right"))
        return Intervals(self.paths[:count], self.floor, self.windows * count // len(self.paths))

    def scale(self, x: np.ndarray) -> np.ndarray:
        """Return the scale (B, C) of windows (B, L, C): the root of their variance plus the floor."""
        return scale_of(np.var(x, axis=1), self.floor)

    def bounds(self, level: float) -> Bounds:
        """Return lower and upper bound (H, C) of a level, to be multiplied by the scale of a window.

        The forecast itself lies within them. Where the windows are too few for two sides, the bounds are plus and minus
        a ranked absolute error; where they are too few for that, too, they are NaN.
        """
        adapted = self._missed(level)
        missed = 1 - level if adapted is None else adapted
        lower, upper = self.quantile(missed / 2), self.quantile(1 - missed / 2)
        if not np.isnan(lower).any():
            return np.minimum(lower, 0), np.maximum(upper, 0)
        both = _ranked(np.sort(np.abs(self.paths), axis=0), self._counts, 1 - missed)
        few = np.isnan(lower) | np.isnan(upper)
        return np.where(few, -both, np.minimum(lower, 0)), np.where(few, both, np.maximum(upper, 0))

    def quantile(self, share: float | np.ndarray) -> np.ndarray:
        """Return the error (H, C) below which a share of all errors lies; NaN where the windows are too few."""
        return _ranked(self._sorted, self._counts, share)

    def adapted_quantile(self, share: float) -> np.ndarray:
        """Return :meth:`quantile`, for a bound of an interval that was adapted the share that it was adapted to."""
        left_out = self._missed(abs(1 - 2 * share))
        if left_out is None:
            return self.quantile(share)
        return self.quantile(left_out / 2 if share < 0.5 else 1 - left_out / 2)

    def _missed(self, level: float) -> np.ndarray | None:
        """Return the share of the truth (C,) that a level leaves out where it was adapted, else None."""
        return next((share for found, share in self.missed.items() if math.isclose(found, level)), None)

    def summed(self, groups: np.ndarray, scale: np.ndarray, columns: bool) -> "Intervals":
        """Return the intervals of sums, in the units of ``scale``: their own scale is 1.

        Args:
            groups: (G, H), 1 where a step belongs to a sum; NaN for a sum that is not known.
            scale: (C,), of the window in the units of the sums.
            columns: sum over the columns as well.
        """
        errors = np.einsum("nhc,gh,c->ngc", self.paths.astype(np.float64), groups, scale)
        paths = errors.sum(axis=2, keepdims=True) if columns else errors
        missed = {level: np.full(1, share.mean()) if columns else share for level, share in self.missed.items()}
        return Intervals(paths, np.ones(paths.shape[2]), self.windows, missed)

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.sort(self.paths, axis=0)  # NaN last

    @cached_property
    def _counts(self) -> np.ndarray:
        return (~np.isnan(self.paths)).sum(axis=0)  # (H, C)

    def save(self, folder: Path, name: str = INTERVALS) -> None:
        """Write the intervals into a checkpoint folder, whole or not at all."""
        content = {"paths": self.paths, "floor": self.floor, "windows": np.array([self.windows])}
        content |= {} if self.known_from is None else {"known_from": self.known_from}
        content |= {f"{MISSED}{level:.17g}": share for level, share in self.missed.items()}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in content.items()}
        save_tensors(folder / name, tensors, {})

    @classmethod
    def load(cls, folder: Path, shape: tuple[int, int], name: str = INTERVALS) -> "Intervals | None":
        """Read the intervals in a checkpoint folder, ``shape`` being (H, C); return None without a file.

        Raises:
            UserError: the file is damaged or does not fit the checkpoint.
        """
        path = folder / name
        if not path.exists():
            return None
        try:
            check_regular(path, limit=4 * max(MOST_NUMBERS, FEWEST * math.prod(shape)) + 2**20)
            stored = load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{shown_path(path)} is damaged ({error}); test the checkpoint anew.") from error
        kinds = {name: tensor.dtype for name, tensor in stored.items()}
        if all(kinds[name] == STORED_AS.get(name, torch.float64) for name in kinds) and (
            found := cls._from({name: tensor.numpy() for name, tensor in stored.items()}, shape)
        ):
            return found
        raise UserError(f"{shown_path(path)} does not fit its checkpoint; test the checkpoint anew.")

    @classmethod
    def _from(cls, stored: dict[str, np.ndarray], shape: tuple[int, int]) -> "Intervals | None":
        """Return the intervals in arrays from a file; None where they can be none of this shape."""
        paths, floor, windows = (stored.pop(name, np.zeros(0)) for name in ("paths", "floor", "windows"))
        if paths.ndim != 3 or paths.shape[1:] != shape or not len(paths):
            return None
        if np.isinf(paths).any() or not _positive(floor, shape[1]) or windows.shape != (1,):
            return None
        known_from = stored.pop("known_from", None)
        if known_from is not None and (known_from.shape != paths.shape[:1] or (known_from[1:] < known_from[:-1]).any()):
            return None
        missed = {}
        for name, share in stored.items():
            level = name.removeprefix(MISSED)
            if level == name or not _is_share(level) or not _positive(share, shape[1]):
                return None
            missed[float(level)] = share
        return cls(paths, floor, int(windows[0]), missed, known_from)


def scale_of(variance: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the scale of windows from their variances (B, C)."""
    return np.sqrt(variance + floor)


def _ranked(ranked: np.ndarray, counts: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """Return the error (H, C) of a share's rank among n sorted ones (n, H, C), rounded away from the middle."""
    exact = (counts + 1) * np.asarray(share)  # (H, C)
    rank = np.where(np.asarray(share) < 0.5, np.floor(exact + 1e-9), np.ceil(exact - 1e-9)).astype(int)
    if not len(ranked):
        return np.full(counts.shape, np.nan)
    found = np.take_along_axis(ranked, np.clip(rank, 1, len(ranked))[None] - 1, axis=0)[0]
    return np.where((rank >= 1) & (rank <= counts), found, np.nan)


def _positive(values: np.ndarray, count: int) -> bool:
    return values.shape == (count,) and bool(np.isfinite(values).all() and (values > 0).all())


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def check_levels(levels: Iterable[Any], flag: str = "interval") -> tuple[float, ...]:
    """Return shares as numbers, rising and each once; raise UserError for one not between 0 and 1."""
    found = set()
    for given in levels:
        try:
            level = float(given)
        except (TypeError, ValueError):
            level = math.nan
        if not 0 < level < 1:
            raise UserError(f"--{flag} {given}: choose a share between 0 and 1, like 0.9, or several: 0.5,0.9.")
        found.add(level)
    return tuple(sorted(found))


def few_windows(intervals: Intervals, level: float, bounds: Bounds) -> str:
    """Return a note on steps that lack an interval for want of windows; empty where none does."""
    missing = np.isnan(bounds[1])
    if not missing.any():
        return ""
    where = "" if missing.all() else f" at {missing.mean():.0%} of the steps"
    return (
        f"{intervals.windows} windows are too few for a {level * 100:g} % interval{where}; none is shown there (a "
        "longer file or a lower --interval gives one)"
    )


def far_from_nominal(coverage: float | None, level: float) -> bool:
    """Return whether a measured coverage is so far from its level that people have to know: 0.05 from 0.9."""
    return coverage is not None and abs(coverage - level) > math.sqrt(level * (1 - level)) / 6
