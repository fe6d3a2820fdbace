"""MSE and MAE as exact streaming sums: every element of every window counts once, whatever the batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

QUARTERS = 4


class ErrorSums:
    """Squared and absolute errors summed per horizon step and channel, in float64.

    Args:
        pred_len: H. channels: C.
    """

    def __init__(self, pred_len: int, channels: int) -> None:
        self.squared = np.zeros((pred_len, channels))
        self.absolute = np.zeros((pred_len, channels))
        self.windows = 0

    def add(self, forecast: Tensor, target: Tensor) -> None:
        """Count windows; both (B, H, C)."""
        error = (forecast - target).to(torch.float64)
        self.squared += error.square().sum(dim=0).cpu().numpy()
        self.absolute += error.abs().sum(dim=0).cpu().numpy()
        self.windows += len(error)

    @property
    def mse(self) -> float:
        return float(self.squared.mean() / self.windows)

    @property
    def mae(self) -> float:
        return float(self.absolute.mean() / self.windows)

    def report(self, columns: Sequence[str], scale: np.ndarray) -> dict[str, Any]:
        """Every figure there is: overall, per channel and per horizon quarter, on both scales.

        Args:
            columns: C names. scale: (C,), the standard deviation each channel was divided by;
                in the data's units errors are that much larger (MSE: its square).
        """
        squared, absolute = self.squared / self.windows, self.absolute / self.windows
        return {
            "windows": self.windows,
            "standardised": _figures(squared, absolute, columns),
            "original_units": _figures(squared * scale**2, absolute * scale, columns),
        }


def _figures(squared: np.ndarray, absolute: np.ndarray, columns: Sequence[str]) -> dict[str, Any]:
    steps = np.array_split(np.arange(len(squared)), min(QUARTERS, len(squared)))
    return {
        "mse": float(squared.mean()),
        "mae": float(absolute.mean()),
        "per_channel": {
            name: {"mse": float(squared[:, c].mean()), "mae": float(absolute[:, c].mean())}
            for c, name in enumerate(columns)
        },
        "per_quarter": [
            {
                "steps": [int(part[0]) + 1, int(part[-1]) + 1],
                "mse": float(squared[part].mean()),
                "mae": float(absolute[part].mean()),
            }
            for part in steps
        ],
    }
