"""Score a model on the windows of many series: over all, and for each series beside the simple forecasts.

Shapes: N series, W windows, H horizon, C scored channels.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from data_provider.many import ManyData
from data_provider.windows import Split
from exp.evaluation import Predictor, baselines, scored_targets, seen_by
from exp.sums import TotalErrors
from models.base import Model, check_finite
from utils.answer import TargetErrors
from utils.coverage import Coverage
from utils.files import writing_array
from utils.metrics import ErrorSums, window_errors
from utils.results import ERRORS, SIMPLE

# The series (B,) and the row of each forecast's first step -> standardized forecasts (B, H, C) in float64.
Reference = Callable[[Tensor, Tensor], Tensor]


class SeriesSums:
    """Squared and absolute errors summed per series and channel (N, C), in float64."""

    def __init__(self, series: int, channels: int) -> None:
        self.squared, self.absolute, self.counts = np.zeros((3, series, channels))

    def add(self, which: Tensor, forecast: Tensor, target: Tensor, observed: Tensor | None) -> None:
        """Count windows (B, H, C) of the series ``which`` (B,)."""
        error = (forecast - target).double()
        counted = torch.ones_like(error) if observed is None else observed.double()
        for sums, values in ((self.squared, error.square()), (self.absolute, error.abs()), (self.counts, 1)):
            np.add.at(sums, which.numpy(), (values * counted).sum(1).numpy())


def references(data: ManyData, pred_len: int, model: str) -> dict[str, Reference]:
    """Return forecasts to compare a model with, computed in float64, by their name in records."""
    models = baselines(pred_len, len(data.scored_columns), data.season, model)
    if not data.has_season:
        models.pop("seasonal_naive", None)
    return {name: _forecasts_of(data, one) for name, one in models.items()}


def _forecasts_of(data: ManyData, model: Model) -> Reference:
    """Return the forecasts of a model without training; where a series is too short, its last value is repeated."""

    def forecast(which: Tensor, origins: Tensor) -> Tensor:
        seen, inside = data.exact.around(which, origins, model.lookback, 0)
        return model(torch.where(inside[..., None], seen, seen[:, -1:])[..., data.scored]).forecast

    return forecast


def score_series(
    predictor: Predictor,
    data: ManyData,
    model: str,
    others: Mapping[str, Reference],
    coverage: Coverage | None,
    folder: Path,
    arrays: bool,
    inverse: bool,
    target_errors: TargetErrors,
    totals: TotalErrors,
) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame]:
    """Score the model on every test window, beside simple forecasts on the same windows.

    Args:
        model: name of the model among those of the others.
        coverage: counts how often prediction intervals hold; None where there are none.
        folder: where the errors of each window are streamed to, and with ``arrays`` forecasts and truth.
        inverse: write forecasts and truth in the units of the series.
        target_errors: collects the errors of the target in each window.
        totals: collects the errors of sums over all series.

    Returns:
        reports over all by forecaster, standardized; ``Coverage.report``; and a row for each series and channel. All
        are empty on every rank but 0.
    """
    windows, scale = data.windows[Split.TEST], data.scale[:, data.scored]
    shape = (len(windows), windows.pred_len, len(data.scored_columns))
    names = (model, *others)
    sums = {name: ErrorSums(*shape[1:]) for name in names}
    by_series = {name: SeriesSums(len(data.panel.ids), shape[2]) for name in names}
    done = 0
    with ExitStack() as stack:
        files = []
        if predictor.compute.is_main_process:
            keep = stack.enter_context(writing_array(folder / ERRORS, (len(windows), 2)))
            wanted = ("pred", "true") if arrays else ()
            files = [stack.enter_context(writing_array(folder / f"{name}.npy", shape)) for name in wanted]
        for batch, forecast in predictor.batches(data, windows, "test"):
            check_finite(forecast, data.source)
            truth, observed = batch.y[..., data.scored], scored_targets(batch, data)
            which = windows.which[done : done + batch.size]
            done += batch.size
            forecasts = {model: forecast} | {name: one(which, batch.origins) for name, one in others.items()}
            for name, one in forecasts.items():
                sums[name].add(one, truth, observed)
                by_series[name].add(which, one, truth, observed)
            units, mean = (part[which.numpy()][:, data.scored] for part in (data.scale, data.mean))
            target_errors.add(forecasts, truth, observed, units, mean)
            keep(window_errors(forecast, truth, observed).numpy())
            if coverage is not None:
                seen = seen_by(batch, predictor.model.config.seq_len, data.scored)
                coverage.add(seen, forecast, truth, observed)
                errors = (truth if observed is None else truth.masked_fill(~observed, torch.nan)) - forecast
                scales = coverage.intervals.scale(seen.double().numpy())
                totals.add(_places(data, which, batch.origins), errors.numpy(), scales, units)
            for append, values in zip(files, (forecast, truth), strict=False):
                append(in_units(values.numpy(), data, which.numpy()) if inverse else values.numpy())
    if not predictor.compute.is_main_process:
        return {}, {}, pd.DataFrame()
    columns, ones = data.scored_columns, np.ones(shape[2])
    reports = {
        name: {part: one.report(columns, ones)[part] for part in ("windows", "standardised")}
        for name, one in sums.items()
    }
    return reports, {} if coverage is None else coverage.report(columns, ones), _table(data, by_series, scale)


def _places(data: ManyData, which: Tensor, origins: Tensor) -> np.ndarray:
    """Return the places (B,) among the dates at which forecasts of series ``which`` (B,) begin, from their rows."""
    series = which.numpy()
    return data.panel.first[series] + origins.numpy() - data.panel.offsets[series]


def in_units(values: np.ndarray, data: ManyData, which: np.ndarray) -> np.ndarray:
    """Return standardized values (B, H, C) of the series ``which`` (B,) in the units of each."""
    scale, mean = (part[which][:, None, data.scored] for part in (data.scale, data.mean))
    return values * scale + mean


def _table(data: ManyData, sums: Mapping[str, SeriesSums], scale: np.ndarray) -> pd.DataFrame:
    """Return MSE and MAE of each series and channel in its units, by forecaster, where a series has windows.

    ``skill`` is 1 - MSE / MSE of the best simple forecast.
    """
    ids, columns = data.panel.ids, data.scored_columns
    table = pd.DataFrame({"id": np.repeat(ids, len(columns)), "column": list(columns) * len(ids)})
    for name, one in sums.items():
        with np.errstate(invalid="ignore"):
            table[f"{name} mse"] = (one.squared * scale**2 / one.counts).ravel()
            table[f"{name} mae"] = (one.absolute * scale / one.counts).ravel()
    if simple := [f"{name} mse" for name in SIMPLE if f"{name} mse" in table]:
        best = table[simple].min(axis=1)
        table["skill"] = 1 - table[f"{next(iter(sums))} mse"] / best.where(best > 0)
    return table.dropna(subset=table.columns[2], ignore_index=True)


def wins(table: pd.DataFrame, model: str) -> Iterator[str]:
    """Yield for how many series the model beats each simple forecast by MSE, and on which it loses to the best one."""
    simple = [name for name in SIMPLE if f"{name} mse" in table]
    own, count = table[f"{model} mse"], len(table)
    for name in simple:
        better = int((own < table[f"{name} mse"]).sum())
        yield f"{model} beats the {SIMPLE[name][0]} on {better:,} of {count:,} series."
    if not simple:
        return
    best = table[[f"{name} mse" for name in simple]]
    lost = table[~(own < best.min(axis=1))]
    shares = {name: int((best.loc[lost.index].idxmin(axis=1) == f"{name} mse").sum()) for name in simple}
    if len(lost):
        told = ", ".join(f"the {SIMPLE[name][0]} on {number:,}" for name, number in shares.items() if number)
        yield f"The better choice is a simple forecast on {len(lost):,} series: {told}."
