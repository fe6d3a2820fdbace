"""Say in a few lines what a test showed for one column: how large a typical miss is, against what, and what to use.

Shapes: W windows, B batch, H pred_len, C columns.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.conformal import far_from_nominal
from utils.errors import UserError
from utils.files import read_json
from utils.results import SIMPLE, TEST

MOST_LOST = 8  # columns named


class TargetErrors:
    """Mean absolute errors of each window on the last column, the target, by forecaster; and the size of the truth."""

    def __init__(self, windows: int) -> None:
        # Made at once: small arrays kept between large ones would scatter the memory of a long test.
        self._windows, self._seen = windows, 0
        self._errors: dict[str, np.ndarray] = {}
        self._misses: dict[str, float] = {}  # sums of absolute errors, in the units of the data
        self._size = 0.0  # sum of the absolute truth, likewise

    def add(
        self, forecasts: Mapping[str, Tensor], truth: Tensor, observed: Tensor | None, scale: Any, mean: Any
    ) -> None:
        """Count windows (B, H, C); ``scale`` and ``mean`` (C,) or (B, C) lead to the units of the data."""
        counted = torch.ones(truth.shape[:2], dtype=torch.bool) if observed is None else observed[..., -1]
        count = counted.sum(dim=1).double()
        scale, mean = (torch.as_tensor(part)[..., -1:] for part in (scale, mean))
        for name, forecast in forecasts.items():
            errors = (forecast[..., -1] - truth[..., -1]).double().abs()
            self._misses[name] = self._misses.get(name, 0.0) + float((errors * scale)[counted].sum())
            of_windows = torch.where(counted, errors, 0.0).sum(dim=1) / count
            if name not in self._errors:
                self._errors[name] = np.full(self._windows, np.nan)
            self._errors[name][self._seen : self._seen + len(truth)] = of_windows.numpy()
        self._seen += len(truth)
        self._size += float((truth[..., -1].double() * scale + mean).abs()[counted].sum())

    def percent(self, model: str) -> float | None:
        """Return the sum of a forecaster's absolute errors in per cent of that of the truth; None where it is 0."""
        return 100 * self._misses[model] / self._size if self._size > 0 else None

    def won(self, model: str) -> dict[str, float]:
        """Return by forecaster in which share of the windows the model has the smaller error."""
        own = self._errors[model]
        return {
            name: float((own[known] < other[known]).mean())
            for name, other in self._errors.items()
            if name != model and (known := ~np.isnan(own) & ~np.isnan(other)).any()
        }


def answer_of(
    model: str,
    column: str,
    reports: Mapping[str, Mapping[str, Any]],
    inside: Mapping[str, Mapping[str, Any]],
    errors: TargetErrors,
    season: int,
    seasonal_step: float | None,
) -> dict[str, Any]:
    """Return what a test showed for its target, as JSON.

    Args:
        reports: of ``ErrorSums`` by forecaster.
        inside: of ``Coverage``.
        season: steps of a season.
        seasonal_step: mean absolute change over a season in the training rows, in the units of the data: what MASE
            divides by. None where there is none.
    """
    scale = "original_units" if "original_units" in reports[model] else "standardised"
    names = [name for name in (model, *SIMPLE) if name in reports]
    columns = {
        one: {name: reports[name][scale]["per_channel"][one]["mae"] for name in names}
        for one in reports[model][scale]["per_channel"]
    }
    mae = columns[column][model]
    in_units = scale == "original_units" and mae is not None
    return {
        "model": model,
        "column": column,
        "windows": reports[model]["windows"],
        "steps": reports[model][scale]["per_quarter"][-1]["steps"][1],
        "season": season,
        "in_units": in_units,
        "columns": columns,
        "percent": errors.percent(model),
        "mase": mae / seasonal_step if in_units and seasonal_step else None,
        "won": errors.won(model),
        "coverage": {level: one["per_channel"][column]["coverage"] for level, one in inside.items()},
    }


def better_simple(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns on which a simple forecast was at least as good as the model, with the name of the best."""
    found = {}
    for column, errors in answer["columns"].items():
        own = errors[answer["model"]]
        simple = {name: errors[name] for name in SIMPLE if errors.get(name) is not None}
        best = min(simple, key=simple.__getitem__, default=None)
        if own is not None and best is not None and simple[best] <= own:
            found[column] = best
    return found


def read_answer(folder: Path) -> dict[str, Any] | None:
    """Return what the test of a checkpoint showed; None where there was none, or it cannot be read."""
    try:
        answer = read_json(folder / TEST)["answer"]
        list(answer_lines(answer))
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return None
    return answer


def answer_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of an answer: miss, comparison, what to use, intervals, other columns."""
    model, column = answer["model"], answer["column"]
    errors, lost = answer["columns"][column], better_simple(answer)
    if errors[model] is None:
        yield f"{column}: no truth is known in the test."
        return
    unit = "" if answer["in_units"] else " standard deviations of a series"
    parts = [f"{_shown(errors[model])}{unit}"]
    if answer["percent"] is not None:
        parts.append(f"{answer['percent']:.3g} % of its mean size")
    if answer["mase"] is not None:
        parts.append(f"MASE {answer['mase']:.2f}")
    yield (
        f"{column}: typical miss (mean absolute error) {', '.join(parts)}; {answer['windows']:,} test windows of "
        f"{answer['steps']} steps"
    )
    simple = {name: errors[name] for name in SIMPLE if errors.get(name) is not None and name != model}
    if simple:
        told = {"seasonal_naive": f"seasonal naive (season {answer['season']})"}
        yield "  " + ", ".join(f"{told.get(name, name)} {_shown(value)}" for name, value in simple.items())
        yield f"  {_advice(model, errors[model], simple, answer['won'])}"
    for level, share in answer["coverage"].items():
        if share is not None:
            yield f"  {float(level) * 100:g} % intervals held {share:.0%} of the truth{_warning(share, float(level))}"
    others = {name: SIMPLE[best][0] for name, best in lost.items() if name != column}
    if len(answer["columns"]) > 1 and simple:
        fine = len(answer["columns"]) - 1 - len(others)
        listed = ", ".join(f"{name} ({best})" for name, best in [*others.items()][:MOST_LOST])
        more = f", … and {len(others) - MOST_LOST} more" if len(others) > MOST_LOST else ""
        yield f"  other columns: {fine} forecast better by {model}" + (
            f"; a simple forecast is the better choice for {listed}{more}" if others else ""
        )


def _advice(model: str, own: float, simple: Mapping[str, float], won: Mapping[str, float]) -> str:
    """Return which forecast to use."""
    best = min(simple, key=simple.__getitem__)
    title, how = SIMPLE[best]
    closer = f" and is closer in {won[best]:.0%} of the windows" if best in won else ""
    if _shown(own) == _shown(simple[best]):
        return f"{model} is as good as the {title} ({how})"
    if own < simple[best]:
        return f"use {model}: it misses {1 - own / simple[best]:.0%} less than the {title}{closer}"
    closer = f" and is closer in {1 - won[best]:.0%} of the windows" if best in won else ""
    return f"use the {title} ({how}), not {model}: it misses {1 - simple[best] / own:.0%} less{closer}"


def _warning(share: float, level: float) -> str:
    """Return what to think of intervals of a level that held a share of the truth; empty where all is well."""
    if not far_from_nominal(share, level):
        return ""
    return ": wider than they need be" if share > level else ": far from nominal, do not rely on them"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
