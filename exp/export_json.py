"""Describe an exported graph for programs that have neither this repository nor pandas.

Shapes: L look-back, H pred_len, C columns.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_provider.reading import date_rule
from exp.forecaster import Forecaster
from exp.trained_series import TrainedSeries

FORMAT = 1
FLOAT32 = ("marks",)  # inputs; all others are float64
MARKS = ("hour / 23 - 0.5", "weekday / 6 - 0.5", "(day - 1) / 30 - 0.5", "(day of year - 1) / 365 - 0.5")
# What the values of the columns of data_provider.known.CALENDAR are; Monday is 0.
CALENDAR = {
    "hour": "(hour + minute / 60) / 24 - 0.5",
    "weekday": "weekday / 6 - 0.5",
    "month": "(month - 1) / 11 - 0.5",
    "day of year": "(day of year - 1) / 365 - 0.5",
}


def describe_graph(
    forecaster: Forecaster, name: str, shapes: Mapping[str, Sequence[int]], levels: Sequence[float]
) -> dict[str, Any]:
    """Return all that is needed beside a graph to forecast with it, as JSON.

    Args:
        name: of the checkpoint.
        shapes: of its inputs, without the batch.
        levels: nominal coverages of the prediction intervals.
    """
    series, config = forecaster.series, forecaster.model.config
    scored = series.columns[series.scored]
    types = {name: "float32" if name in FLOAT32 else "float64" for name in shapes}
    return {
        "format": FORMAT,
        "name": name,
        "model": type(forecaster.model).__name__,
        "inputs": {name: {"type": types[name], "shape": ["batch", *shape]} for name, shape in shapes.items()},
        "outputs": {
            "forecast": {"type": "float64", "shape": ["batch", config.pred_len, len(scored)]},
            "unit": {"type": "float64", "shape": ["batch", len(scored)]},
        },
        "lookback": forecaster.lookback,
        "seq_len": config.seq_len,
        "pred_len": config.pred_len,
        "columns": list(series.columns),
        "forecast_columns": list(scored),
        "target": series.columns[-1],
        "date_column": series.date_column,
        "dates": date_rule(series.frequency),
        "tz": series.tz,
        "scaler": _scaler(series),
        "marks": list(MARKS) if config.reads_marks else [],
        "known": _known(series),
        "least": [0.0 if least >= 0 else None for least in _lowest(series)],
        "intervals": intervals_json(forecaster, levels),
    }


def intervals_json(forecaster: Forecaster, levels: Sequence[float]) -> dict[str, Any]:
    """Return by level the factors of the output ``unit`` that lead from a forecast to its bounds.

    ``lower`` and ``upper`` are (H, scored columns) each, None where there is none.
    """
    intervals = forecaster.intervals
    found = {} if intervals is None else {f"{level:g}": intervals.bounds(level) for level in levels}
    return {level: {"lower": _cells(lower), "upper": _cells(upper)} for level, (lower, upper) in found.items()}


def _lowest(series: TrainedSeries) -> np.ndarray:
    """Return the lowest value in training of each scored column, of all series."""
    return series.lowest.reshape(-1, len(series.columns)).min(axis=0)[series.scored]


def _cells(values: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(cell) else float(f"{cell:.9g}") for cell in row] for row in values]


def _scaler(series: TrainedSeries) -> dict[str, Any]:
    """Return the scaler, which is inside the graph; of many series, what to give it by their names."""
    found = {"mean": series.mean.tolist(), "scale": series.scale.tolist()}
    if series.ids is None:
        return {"inside": True, **found}
    return {"inside": False, "id_column": series.id_column, "ids": list(series.ids), **found}


def _known(series: TrainedSeries) -> list[dict[str, Any]]:
    """Return the columns known in advance: those of the file are scaled inside the graph, others are computed."""
    known = series.known
    scales = zip(known.columns, known.mean, known.scale, strict=True)
    found: list[dict[str, Any]] = [
        {"name": name, "from": "file", "mean": mean, "scale": scale} for name, mean, scale in scales
    ]
    found += [{"name": name, "from": "calendar", "value": CALENDAR[name]} for name in known.calendar]
    value = "1 on a public holiday, else 0"
    return found + [{"name": country, "from": "holidays", "value": value} for country in known.holidays]
