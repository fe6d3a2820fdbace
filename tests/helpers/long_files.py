"""Long tables for tests: several series of different lengths below each other."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

LENGTHS = {"north": 120, "south": 90, "east": 60, "west": 40}


def long_table(
    lengths: Mapping[str, int] = LENGTHS, ahead: int = 0, seed: int = 0, scale: float = 100.0
) -> pd.DataFrame:
    """Daily series that end on one day, each with a scale of its own and a switch that moves it at once.

    ``ahead`` rows after the end of each have the switch alone.
    """
    random, parts = np.random.default_rng(seed), []
    for i, (name, length) in enumerate(lengths.items()):
        dates = pd.date_range(end="2024-06-30", periods=length).append(pd.date_range("2024-07-01", periods=ahead))
        promo = random.integers(0, 2, len(dates))
        steps = np.arange(len(dates))
        y = scale * 10**i * (2 + np.sin(2 * np.pi * steps / 7) + promo + 0.1 * random.normal(size=len(dates)))
        y[length:] = np.nan
        parts.append(pd.DataFrame({"store": name, "date": dates, "promo": promo, "y": y}))
    return pd.concat(parts, ignore_index=True)
