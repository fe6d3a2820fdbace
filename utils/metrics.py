"""Sum MSE and MAE exactly while batches stream by: every known element of every window counts once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

QUARTERS = 4


def window_errors(forecast: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """Return MSE and MAE (B, 2) of each window (B, H, C); NaN where no target of a window is known."""
    error = (forecast - target).to(torch.float64)
    count = torch.full((len(error),), error[0].numel())
    if known is not None:
        error, count = torch.where(known, error, 0.0), known.sum((1, 2))
    return torch.stack([error.square().sum((1, 2)), error.abs().sum((1, 2))], dim=1) / count[:, None]


class ErrorSums:
    """Squared and absolute errors summed per horizon step and channel (H, C), in float64."""

    def __init__(self, pred_len: int, channels: int) -> None:
        self.squared, self.absolute, self.counts = np.zeros((3, pred_len, channels))
        self.windows = 0

    def add(self, forecast: Tensor, target: Tensor, known: Tensor | None = None) -> None:
        """Count a batch of windows (B, H, C); ``known`` is False where the target was filled in and does not count."""
        error = (forecast - target).to(torch.float64)
        if known is not None:
            error = torch.where(known, error, 0.0)
        self.squared += error.square().sum(dim=0).cpu().numpy()
        self.absolute += error.abs().sum(dim=0).cpu().numpy()
        self.counts += len(error) if known is None else known.sum(dim=0).cpu().numpy()
        self.windows += len(error)

    @property
    def mse(self) -> float:
        """Return the mean squared error."""
        return float(self.squared.sum() / self.counts.sum())

    def report(self, columns: Sequence[str], scale: np.ndarray) -> dict[str, Any]:
        """Return MSE and MAE overall, per channel and per quarter of the horizon, on both scales.

        A figure is None where every target that belongs to it was filled in. ``scale`` (C,) is the standard deviation
        by which each channel was divided.
        """
        return {
            "windows": self.windows,
            "standardised": self._report_scale(np.ones_like(scale), columns),
            "original_units": self._report_scale(scale, columns),
        }

    def _report_scale(self, scale: np.ndarray, columns: Sequence[str]) -> dict[str, Any]:
        sums = {"mse": self.squared * scale**2, "mae": self.absolute * scale}

        def figures(part: Any) -> dict[str, float | None]:
            count = self.counts[part].sum()
            return {name: float(total[part].sum() / count) if count else None for name, total in sums.items()}

        steps = np.array_split(np.arange(len(self.counts)), min(QUARTERS, len(self.counts)))
        return {
            **figures(...),
            "per_channel": {name: figures((slice(None), c)) for c, name in enumerate(columns)},
            "per_quarter": [{"steps": [int(part[0]) + 1, int(part[-1]) + 1], **figures(part)} for part in steps],
        }
