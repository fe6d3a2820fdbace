"""Small files in the format of the M4 competition."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.m4.patterns import PATTERNS


def m4_series(pattern: str, lengths: Sequence[int], seed: int = 0) -> list[np.ndarray]:
    """Positive series with a season, each ``length`` training values and one horizon more."""
    random = np.random.default_rng(seed)
    spec = PATTERNS[pattern]
    found = []
    for i, length in enumerate(lengths):
        steps = np.arange(length + spec.horizon)
        season = 1 + 0.3 * np.sin(2 * np.pi * steps / max(spec.season, 6) + i)
        found.append(np.round(100 * (i + 1) * season * (1 + 0.05 * random.normal(size=len(steps))), 2))
    return found


def write_m4(folder: Path, pattern: str, lengths: Sequence[int], seed: int = 0) -> list[np.ndarray]:
    """Write ``<Pattern>-train.csv`` and ``<Pattern>-test.csv`` as published, quotes and padding included."""
    horizon = PATTERNS[pattern].horizon
    series = m4_series(pattern, lengths, seed)
    write_rows(folder / f"{pattern}-train.csv", pattern, [values[:-horizon] for values in series])
    write_rows(folder / f"{pattern}-test.csv", pattern, [values[-horizon:] for values in series])
    return series


def write_rows(path: Path, pattern: str, rows: Sequence[np.ndarray]) -> None:
    width = max(len(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(f'"V{i + 1}"' for i in range(width + 1))]
    for i, row in enumerate(rows):
        cells = ",".join(f'"{value:g}"' for value in row)
        lines.append(f'"{pattern[0]}{i + 1}",{cells}' + "," * (width - len(row)))
    path.write_text("\n".join(lines) + "\n")
