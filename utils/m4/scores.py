"""Score forecasts as the competitions M4 and M3 do: sMAPE, MASE, MAPE and OWA, per frequency and pooled over runs.

Formulas: M4 Competitor's Guide, "Evaluation". Shapes: N series, H horizon.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from utils.m4.patterns import COMPETITIONS, Competition

NAIVE2 = "naive2"


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


class Group(NamedTuple):
    """One row of a competition's table: scores by forecaster, and the patterns of the group that were not scored."""

    scores: dict[str, Scores]
    missing: tuple[str, ...]


def seasonal_scale(values: np.ndarray, offsets: np.ndarray, season: int) -> np.ndarray:
    """Return the divisors (N,) of MASE: the mean of |x[t] - x[t - season]| inside each training series.

    A series that repeats itself or is no longer than a season has no scale: 0. Series i is
    ``values[offsets[i] : offsets[i + 1]]``.
    """
    lengths = np.diff(offsets)
    differences = np.zeros(len(values))
    differences[season:] = np.abs(values[season:] - values[:-season])
    # The first season of each series was compared with the end of the series before it.
    steps = np.arange(season)
    differences[(offsets[:-1, None] + steps)[steps < lengths[:, None]]] = 0
    return np.add.reduceat(differences, offsets[:-1]) / np.maximum(lengths - season, 1)


def score(forecast: np.ndarray, target: np.ndarray, scale: np.ndarray, naive2: Scores | None = None) -> Scores:
    """Score forecasts (N, H) of one pattern beside targets (N, H), both in the data's units.

    MASE divides by ``scale`` (N,), from :func:`seasonal_scale`; OWA compares with the scores of Naive2 on these series.
    """
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


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, with 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _with_owa(scores: Scores, naive2: Scores | None) -> Scores:
    """Add OWA; leave it None where Naive2 is unknown, has no MASE or makes no error at all."""
    if naive2 is None or scores.mase is None or not naive2.smape or not naive2.mase:
        return scores
    return replace(scores, owa=(scores.smape / naive2.smape + scores.mase / naive2.mase) / 2)


def family_of(record: Mapping[str, Any], may_differ: Container[str]) -> tuple[Any, ...]:
    """Return what the runs of one average have in common: data, model, backbone, seed and choice of the epoch.

    Args:
        may_differ: parts of a model's configuration that say nothing of the model: its sizes, how it was trained.
    """
    data, model = record["data"], record["model"]
    backbone = model["origin"].get("backbone", {})
    kept = {name: value for name, value in model["config"].items() if name not in may_differ}
    return (
        record["task"]["name"], data["name"], record["run"]["seed"], data.get("selected_on"), data.get("target_data"),
        model["name"], kept, backbone.get("name"), backbone.get("init"),
    )  # fmt: skip


def pool_records(records: Iterable[Mapping[str, Any]]) -> dict[str, Group]:
    """Return the groups of a competition's table by name: each pattern, ``Others`` where it has any, ``Average``.

    sMAPE and MAPE are weighted by the series scored, MASE by the series that have a scale, both also by the steps of
    each where the competition averages over steps (M3). OWA is not averaged: it
    compares the pooled sMAPE and MASE with the pooled ones of the forecaster ``naive2``. A group without any pattern is
    left out, and a group holds only the forecasters that all of its patterns have: others could not be compared. The
    records are of one family, as :mod:`utils.tables.records` checks them; of several of a pattern the last counts.
    """
    records = list(records)
    if not records:
        return {}
    by_pattern = {record["data"]["config"]["seasonal_patterns"]: record["scores"]["metrics"] for record in records}
    groups, competition = {}, COMPETITIONS[records[0]["data"]["name"]]
    for name, members in competition.pools.items():
        if present := [by_pattern[member] for member in members if member in by_pattern]:
            missing = tuple(member for member in members if member not in by_pattern)
            steps = [_steps(competition, member) for member in members if member in by_pattern]
            shared = [one for one in present[0] if all(one in reports for reports in present)]
            pooled = {one: _pool([Scores(**reports[one]) for reports in present], steps) for one in shared}
            scores = {one: _with_owa(found, pooled.get(NAIVE2)) for one, found in pooled.items()}
            groups[name] = Group(scores, missing)
    return groups


def _steps(competition: Competition, pattern: str) -> int:
    """Return how much a series of a pattern weighs in an average."""
    return competition.patterns[pattern].horizon if competition.by_step else 1


def _pool(parts: Sequence[Scores], steps: Sequence[int]) -> Scores:
    if len(parts) == 1:
        return parts[0]
    weights = [part.series * each for part, each in zip(parts, steps, strict=True)]
    scaled = [
        (part.mase, (part.series - part.without_scale) * each)
        for part, each in zip(parts, steps, strict=True)
        if part.mase is not None
    ]
    return Scores(
        series=sum(part.series for part in parts),
        smape=float(np.average([part.smape for part in parts], weights=weights)),
        mase=float(np.average([m for m, _ in scaled], weights=[n for _, n in scaled])) if scaled else None,
        mape=float(np.average([part.mape for part in parts], weights=weights)),
        without_scale=sum(part.without_scale for part in parts),
    )
