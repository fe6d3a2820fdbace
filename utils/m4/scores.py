"""Score forecasts as the M4 competition does: sMAPE, MASE, MAPE and OWA, per frequency and pooled.

Formulas: M4 Competitor's Guide, "Evaluation". Series of unequal length lie in one flat array: series i is
``values[offsets[i] : offsets[i + 1]]``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from utils.m4.patterns import PATTERNS

NAIVE2 = "naive2"
# In the order of the tables: every pattern alone, then the two pools.
POOLS = {**{name: (name,) for name in PATTERNS}, "Others": ("Weekly", "Daily", "Hourly"), "Average": tuple(PATTERNS)}
NAMED = 5  # series listed in a message


@dataclass(frozen=True)
class Scores:
    """Scores of one forecaster on a set of series; lower is better.

    Attributes:
        series: how many series were scored.
        smape: percent; 0 / 0 counts as 0.
        mase: mean over the series that have a scale; None where none has.
        mape: percent; a target of 0 counts as 0.
        owa: mean of sMAPE and MASE relative to those of Naive2; None without Naive2 to compare with.
        without_scale: how many series have no MASE scale and do not count in MASE.
    """

    series: int
    smape: float
    mase: float | None
    mape: float
    owa: float | None = None
    without_scale: int = 0


@dataclass(frozen=True)
class Group:
    """One column of M4's tables.

    Attributes:
        name: of a pattern, ``Others`` or ``Average``.
        scores: by forecaster.
        missing: the patterns that belong to the group and were not scored.
    """

    name: str
    scores: dict[str, Scores]
    missing: tuple[str, ...] = ()


def check_ragged(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the lengths (N,) of the series.

    Args:
        values: (T,), all series one after the other.
        offsets: (N + 1,), the borders of the series, from 0 to T.

    Raises:
        ValueError: the offsets do not cut the values into series of at least one step each.
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


def seasonal_scale(values: np.ndarray, offsets: np.ndarray, season: int) -> np.ndarray:
    """Return the divisors (N,) of MASE: the mean of |x[t] - x[t - season]| inside each training series.

    A series that repeats itself or is no longer than a season has no scale: 0.

    Args:
        values: (T,), all series one after the other.
        offsets: (N + 1,), the borders of the series.
        season: steps.

    Raises:
        ValueError: the offsets do not fit the values, or a season has no steps.
    """
    lengths = check_ragged(values, offsets)
    if season < 1:
        raise ValueError(f"season {season}: must be 1 or more")
    differences = np.zeros(len(values))
    differences[season:] = np.abs(values[season:] - values[:-season])
    # The first season of each series was compared with the end of the series before it.
    steps = np.arange(season)
    foreign = (offsets[:-1, None] + steps)[steps < lengths[:, None]]
    differences[foreign] = 0
    return np.add.reduceat(differences, offsets[:-1]) / np.maximum(lengths - season, 1)


def score(forecast: np.ndarray, target: np.ndarray, scale: np.ndarray, naive2: Scores | None = None) -> Scores:
    """Score the forecasts of one pattern.

    Args:
        forecast: (N, H), in the data's units.
        target: (N, H), in the data's units.
        scale: (N,), from :func:`seasonal_scale`.
        naive2: scores of Naive2 on these series, for OWA.

    Raises:
        ValueError: shapes that do not fit, no forecast at all, or numbers that are not finite.
    """
    _check(forecast, target, scale)
    error = np.abs(forecast - target)
    scaled = scale > 0
    scores = Scores(
        series=len(forecast),
        smape=float(200 * _ratio(error, np.abs(forecast) + np.abs(target)).mean()),
        mase=float((error[scaled].mean(axis=1) / scale[scaled]).mean()) if scaled.any() else None,
        mape=float(100 * _ratio(error, np.abs(target)).mean()),
        without_scale=int((~scaled).sum()),
    )
    return _with_owa(scores, naive2)


def pool(by_pattern: Mapping[str, Mapping[str, Scores]]) -> dict[str, Group]:
    """Return the groups of M4's table by name: each pattern, ``Others`` (Weekly, Daily, Hourly), ``Average`` (all six).

    sMAPE and MAPE are weighted by the series scored, MASE by the series that have a scale. OWA is not averaged: it
    compares the pooled sMAPE and MASE with the pooled ones of the forecaster ``naive2``. A group without any pattern is
    left out, and a group holds only the forecasters that all of its patterns have: others could not be compared.

    Args:
        by_pattern: scores by pattern (any of the six), then by forecaster.

    Raises:
        ValueError: a name is no pattern, or forecasters were scored on different numbers of series.
    """
    for pattern, scores in by_pattern.items():
        if pattern not in PATTERNS:
            raise ValueError(f"{pattern}: no pattern of M4")
        if len({(s.series, s.without_scale) for s in scores.values()}) > 1:
            raise ValueError(f"{pattern}: the forecasters were not scored on the same series")
    groups = {}
    for name, members in POOLS.items():
        present = [by_pattern[member] for member in members if member in by_pattern]
        if present:
            missing = tuple(member for member in members if member not in by_pattern)
            groups[name] = Group(name, _pool_forecasters(present), missing)
    return groups


def _pool_forecasters(patterns: Sequence[Mapping[str, Scores]]) -> dict[str, Scores]:
    shared = [name for name in patterns[0] if all(name in scores for scores in patterns)]
    pooled = {name: _pool_scores([scores[name] for scores in patterns]) for name in shared}
    return {name: _with_owa(scores, pooled.get(NAIVE2)) for name, scores in pooled.items()}


def _pool_scores(parts: Sequence[Scores]) -> Scores:
    if len(parts) == 1:
        return parts[0]
    series = [part.series for part in parts]
    scaled = [(part.mase, part.series - part.without_scale) for part in parts if part.mase is not None]
    return Scores(
        series=sum(series),
        smape=float(np.average([part.smape for part in parts], weights=series)),
        mase=float(np.average([m for m, _ in scaled], weights=[n for _, n in scaled])) if scaled else None,
        mape=float(np.average([part.mape for part in parts], weights=series)),
        without_scale=sum(part.without_scale for part in parts),
    )


def _with_owa(scores: Scores, naive2: Scores | None) -> Scores:
    """Add OWA; leave it None where Naive2 is unknown, has no MASE or makes no error at all."""
    if naive2 is None or scores.mase is None or not naive2.smape or not naive2.mase:
        return scores
    return replace(scores, owa=(scores.smape / naive2.smape + scores.mase / naive2.mase) / 2)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, with 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _check(forecast: np.ndarray, target: np.ndarray, scale: np.ndarray) -> None:
    if forecast.ndim != 2 or forecast.size == 0:
        raise ValueError(f"forecasts {forecast.shape}: expected (series, steps), at least one of each")
    if target.shape != forecast.shape:
        raise ValueError(f"targets {target.shape} do not fit forecasts {forecast.shape}")
    if scale.shape != forecast.shape[:1]:
        raise ValueError(f"scales {scale.shape} do not fit forecasts {forecast.shape}")
    for what, values in (("forecasts", forecast), ("targets", target), ("scales", scale[:, None])):
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            named = ", ".join(map(str, bad[:NAMED])) + (", ..." if len(bad) > NAMED else "")
            raise ValueError(f"{what} of {len(bad)} of {len(values)} series are not finite: series {named}")
