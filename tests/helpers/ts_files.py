"""Small ``.ts`` files with classes for tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

HEAD = "@problemName {}\n@timeStamps false\n@univariate false\n@equalLength false\n@classLabel {}\n@data\n"


def case(values: np.ndarray, label: str | None = None) -> str:
    """Return a case (T, C) as a line; NaN is a missing value."""
    channels = [",".join("?" if np.isnan(v) else f"{v:.4f}" for v in channel) for channel in values.T]
    return ":".join([*channels, *([] if label is None else [label])])


def write_ts(path: Path, cases: Sequence[np.ndarray], labels: Sequence[str] | None = None) -> Path:
    """Write cases (T, C), with their classes or without."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = "false" if labels is None else f"true {' '.join(sorted({*labels}))}"
    lines = [case(one, None if labels is None else labels[i]) for i, one in enumerate(cases)]
    path.write_text(HEAD.format(path.stem, stated) + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def waves(count: int, seed: int, channels: int = 2, shortest: int = 10) -> tuple[list[np.ndarray], list[str]]:
    """Return cases of 10 to 16 steps of three classes, Fast, slow and still, that are easy to tell apart."""
    random = np.random.default_rng(seed)
    names, pace = ("Fast", "slow", "still"), {"Fast": 2.0, "slow": 0.7, "still": 0.0}
    labels = [names[i % 3] for i in range(count)]
    cases = []
    for label in labels:
        steps = np.arange(random.integers(shortest, 17))[:, None]
        cases.append(
            np.sin(pace[label] * steps + np.arange(channels)) + 0.1 * random.normal(size=(len(steps), channels))
        )
    return cases, labels


def write_pair(folder: Path, name: str = "Waves", train: int = 30, test: int = 12, channels: int = 2) -> Path:
    """Write NAME_TRAIN.ts and NAME_TEST.ts; return the first."""
    write_ts(folder / f"{name}_TEST.ts", *waves(test, seed=1, channels=channels))
    return write_ts(folder / f"{name}_TRAIN.ts", *waves(train, seed=0, channels=channels))
