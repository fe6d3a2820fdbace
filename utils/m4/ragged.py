"""Series of unequal length as one flat array: series i is ``values[offsets[i] : offsets[i + 1]]``."""

import numpy as np


def check_ragged(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The lengths of the series, (N,).

    Args:
        values: (T,). offsets: (N + 1,), from 0 to T.

    Raises:
        ValueError: offsets that do not cut the values into series of at least one step each.
    """
    if values.ndim != 1 or offsets.ndim != 1 or len(offsets) < 2:
        raise ValueError(
            f"values {values.shape} and offsets {offsets.shape}: both must be flat, for at least one series"
        )
    if offsets[0] != 0 or offsets[-1] != len(values):
        raise ValueError(f"offsets run from {offsets[0]} to {offsets[-1]}, not from 0 to {len(values)}")
    lengths = np.diff(offsets)
    if lengths.min() < 1:
        raise ValueError(f"series {int(np.argmin(lengths))} is empty")
    return lengths
