"""Score rows by what needs no network: PCA, a moving z-score and chance. Shapes: T rows, C channels, L seq_len."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from torch import Tensor

from data_provider.anomaly import Span, apart, every

VARIANCE = 0.95  # that the components explain
MOST_FITTED = 20_000  # rows or windows
SMALLEST = 1e-2  # of a moving deviation, in training deviations

Score = Callable[[Tensor, Sequence[Span]], np.ndarray]


def rivals(train: Tensor, spans: Sequence[Span], length: int, seed: int) -> Mapping[str, Score]:
    """Return functions that score the rows of spans of values (T, C), in their order, by their name.

    Args:
        train: (N, C), standardized.
        spans: of the rows to fit on.
    """

    def moving(values: Tensor, parts: Sequence[Span]) -> np.ndarray:
        return np.concatenate([_moving(values[slice(*part)], length) for part in parts])

    def chance(values: Tensor, parts: Sequence[Span]) -> np.ndarray:
        return np.random.default_rng((seed, len(values))).random(sum(last - first for first, last in parts))

    return {"pca": _pca(train, spans, length), "moving_z_score": moving, "random": chance}


def _pca(train: Tensor, spans: Sequence[Span], length: int) -> Score:
    """Return the squared error of a reconstruction by principal components: of rows, of one channel of windows."""
    steps = length if train.shape[1] == 1 else 1
    starts = every(spans, steps, 1)
    chosen = starts[:: max(1, len(starts) // MOST_FITTED)]
    fitted = train.unfold(0, steps, 1)[chosen].flatten(1).numpy()  # (windows, C · steps)
    components = PCA(min(VARIANCE, 0.999), svd_solver="full").fit(fitted)
    if components.n_components_ >= fitted.shape[1]:  # nothing would be left over
        components = PCA(max(1, fitted.shape[1] - 1)).fit(fitted)

    def score(values: Tensor, parts: Sequence[Span]) -> np.ndarray:
        begins, new = apart(parts, steps)
        windows = values.unfold(0, steps, 1)[begins].flatten(1).numpy()
        error = np.square(windows - components.inverse_transform(components.transform(windows)))
        by_step = error.reshape(len(begins), -1, steps).mean(axis=1)  # (windows, steps), over channels
        return by_step[np.arange(steps) >= steps - new.numpy()[:, None]]

    return score


def _moving(values: Tensor, length: int) -> np.ndarray:
    """Return the mean over channels of how far each row lies from the L rows before, in their deviations."""
    table = pd.DataFrame(values.double().numpy())
    before = table.shift(1).rolling(length, min_periods=2)
    distance = (table - before.mean()).abs() / before.std().clip(lower=SMALLEST)
    return distance.fillna(0.0).mean(axis=1).to_numpy()
