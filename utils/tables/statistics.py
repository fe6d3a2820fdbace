"""Say which differences between models are certain: bootstraps over test windows and over data sets.

Shapes: W test windows, in order of time.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

DRAWS, SEED = 2000, 0
COVERAGE = 0.95
LEAST_BLOCKS = 5  # with fewer, blocks of windows say nothing about those of another time
LEAST_DATA_SETS = 5
CLIPPED = (0.01, 100.0)  # ratios of errors, as in fev


def difference_interval(difference: np.ndarray, block: int) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of differences between two models on the same windows.

    A moving-block bootstrap (Künsch, 1989) whose blocks run on from the last window to the first. Windows overlap, so
    that neighbours err alike: a block has to be as long as the rows of a window.

    Args:
        difference: (W,), error of one model minus that of the other, averaged over seeds.
        block: windows per block, at least seq_len + pred_len.

    Returns:
        Lower and upper bound; None where the windows are fewer than five blocks.
    """
    windows = len(difference)
    if windows < LEAST_BLOCKS * block:
        return None
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([difference, difference[: block - 1]]), dtype=float)])
    means = (sums[block:] - sums[:-block]) / block  # (W,), of the block that begins at each window
    starts = np.random.default_rng(SEED).integers(0, windows, (DRAWS, round(windows / block)))
    return _interval(means[starts].mean(axis=1))


def in_a_word(interval: tuple[float, float] | None) -> str:
    """Return what an interval of error differences says of the model that was subtracted from."""
    if interval is None:
        return "too few windows"
    lower, upper = interval
    return "better" if upper < 0 else "worse" if lower > 0 else "not distinguishable"


def summarize(errors: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Compare models over all cells of a table, as the library fev does.

    Args:
        errors: a row for each data set and horizon (the index), a column for each model, without gaps.
        baseline: the column that skill is measured against.

    Returns:
        A row for each model: ``skill``, 1 - geometric mean of its error over the baseline's, ratios clipped to 0.01
        and 100; ``win_rate``, the share of cells and other models in which it has the lower error, a tie counts half;
        ``mean_rank``; each with ``_lower`` and ``_upper``, NaN where there are fewer than five data sets. All horizons
        of a data set are drawn together.
    """
    found = {}
    groups = [np.flatnonzero(errors.index.get_level_values(0) == name) for name in errors.index.unique(0)]
    draws = np.random.default_rng(SEED).integers(0, len(groups), (DRAWS, len(groups)))
    ratios = errors.div(errors[baseline], axis=0).clip(*CLIPPED).to_numpy()
    for name, measure in MEASURES.items():
        found[name] = measure(ratios)
        bounds: Sequence[np.ndarray] = [np.full(len(errors.columns), np.nan)] * 2
        if len(groups) >= LEAST_DATA_SETS:
            bounds = _interval(np.stack([measure(ratios[np.concatenate([groups[i] for i in draw])]) for draw in draws]))
        found[f"{name}_lower"], found[f"{name}_upper"] = bounds
    return pd.DataFrame(found, index=errors.columns)


def _skill(ratios: np.ndarray) -> np.ndarray:
    return 1 - np.exp(np.log(ratios).mean(axis=0))


def _win_rate(ratios: np.ndarray) -> np.ndarray:
    own, other = ratios[:, :, None], ratios[:, None, :]
    wins = (own < other).mean(axis=0) + 0.5 * (own == other).mean(axis=0)  # (models, models), 0.5 against itself
    return (wins.sum(axis=1) - 0.5) / max(1, ratios.shape[1] - 1)


def _mean_rank(ratios: np.ndarray) -> np.ndarray:
    own, other = ratios[:, :, None], ratios[:, None, :]
    return ((other < own) + 0.5 * (own == other)).sum(axis=2).mean(axis=0) + 0.5  # 1 is the best; ties share


# Of ratios (cells, models) of errors to the baseline's -> a figure for each model.
MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "skill": _skill,
    "win_rate": _win_rate,
    "mean_rank": _mean_rank,
}


def _interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the middle 95 % of draws, over the first dimension."""
    tail = (1 - COVERAGE) / 2
    return np.quantile(draws, tail, axis=0), np.quantile(draws, 1 - tail, axis=0)
