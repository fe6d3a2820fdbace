"""Forecasts that need no model: the least that a model has to beat."""

import numpy as np


def naive(values: np.ndarray, origins: np.ndarray, pred_len: int) -> np.ndarray:
    """Repeat the last value.

    Args:
        values: the whole series (T, C). origins: (B,), the row of each forecast's first step.

    Returns:
        (B, H, C).
    """
    return np.repeat(values[origins - 1][:, None], pred_len, axis=1)


def seasonal_naive(values: np.ndarray, origins: np.ndarray, pred_len: int, season: int) -> np.ndarray:
    """Repeat the last ``season`` steps before each origin; arguments and result as in :func:`naive`.

    Every origin must have a whole season of rows before it.
    """
    rows = origins[:, None] - season + np.arange(pred_len)[None] % season  # (B, H)
    return values[rows]
