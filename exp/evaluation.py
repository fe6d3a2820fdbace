"""Forecast windows with a trained model, and score it on every window beside the forecasts that need no training."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_provider.datasets import find_dataset
from data_provider.factory import ForecastData
from data_provider.reading import counted
from data_provider.windows import Batch, Split, WindowDataset, make_loader
from exp.backtest import Backtest
from models.base import Model, check_finite
from models.config import ModelConfig
from models.naive import Naive, SeasonalNaive
from utils.answer import TargetErrors
from utils.compute import Compute
from utils.coverage import Coverage
from utils.files import writing_array
from utils.metrics import ErrorSums, window_errors
from utils.plots import first_and_last, plot_forecast
from utils.progress import Progress
from utils.results import ERRORS
from utils.shuffling import shuffled

logger = logging.getLogger(__name__)

BASELINES: dict[str, type[Model]] = {"naive": Naive, "seasonal_naive": SeasonalNaive}
MOST_TOKENS = 4096  # enough to keep the cores or the card busy; a model's memory grows with them
MOST_OUTPUTS = 2**21  # 8 MB in float32; scoring holds about ten times that

# Origins (B,), the row of each forecast's first step -> standardized forecasts (B, H, scored channels) in float64.
Reference = Callable[[Tensor], Tensor]


def evaluation_batch_size(channels: int, pred_len: int) -> int:
    """Return how many windows to evaluate at once, at least one."""
    return max(1, min(MOST_TOKENS // channels, MOST_OUTPUTS // (channels * pred_len)))


class Predictor:
    """Forecasts windows with a model.

    Attributes:
        seconds: that all forecasts of ``batches`` took.
    """

    def __init__(self, model: Model, compute: Compute, batch_size: int, workers: int = 0) -> None:
        self.model, self.compute, self.batch_size, self.workers = model, compute, batch_size, workers
        self.seconds = 0.0

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Keep the whole model in evaluation mode within the block, its adapters merged."""
        training = self.model.training
        self.model.eval()
        try:
            with self.model.merged_adapters():
                yield
        finally:
            self.model.train(training)

    def forecast(self, x: Tensor, **covariates: Tensor) -> Tensor:
        """Return the forecast (B, H, C) of windows (B, L, C), in float32 on the device."""
        here = {name: part.to(self.compute.device, non_blocking=True) for name, part in covariates.items()}
        with torch.inference_mode(), self.compute.autocast():
            return self.model(x.to(self.compute.device, non_blocking=True), **here).forecast.float()

    def forecast_sharded(self, x: Tensor, **covariates: Tensor) -> Tensor:
        """Return the forecast on the CPU, the rows sharded over all processes; a call of every rank."""
        return self.compute.map_rows(self.forecast, x, **covariates).cpu()

    def batches(self, data: ForecastData, windows: WindowDataset, name: str) -> Iterator[tuple[Batch, Tensor]]:
        """Yield every batch of windows with its forecast (B, H, scored channels), on the CPU in float32.

        Each rank forecasts its rows; rank 0 alone is handed batches and forecasts, whole.
        """
        loader = make_loader(
            windows.looking_back(self.model.lookback, self.model.least_lookback, data.source),
            self.batch_size,
            workers=self.workers,
            pin=self.compute.device.type == "cuda",
        )
        with self.evaluating():
            for batch in Progress(loader, name, len(loader)):
                started = time.perf_counter()
                forecast = self.forecast_sharded(batch.x, **batch.covariates)[..., data.scored]
                self.seconds += time.perf_counter() - started
                if self.compute.is_main_process:
                    yield batch, forecast


class ShuffledPredictor(Predictor):
    """Forecasts windows whose steps were put into another order first (``utils.shuffling``)."""

    def __init__(self, usual: Predictor, kind: str, seed: int) -> None:
        super().__init__(usual.model, usual.compute, usual.batch_size, usual.workers)
        self.kind, self.seed = kind, seed

    def forecast(self, x: Tensor, **covariates: Tensor) -> Tensor:
        """Return the forecast (B, H, C) of the shuffled windows."""
        return super().forecast(shuffled(x, self.kind, self.seed), **covariates)


def scored_targets(batch: Batch, data: ForecastData) -> Tensor | None:
    """Return which targets (B, H, scored channels) count: not those that were filled in. None where all do."""
    return None if batch.observed is None else batch.observed[..., data.scored]


def seen_by(batch: Batch, seq_len: int, scored: slice) -> Tensor:
    """Return what a window shows of the scored channels (B, L, scored channels), however far back a model looks."""
    return batch.x[:, -seq_len:, scored]


def baselines(pred_len: int, channels: int, season: int, model: str) -> dict[str, Model]:
    """Return the models that need no training, by their name in records; without the one that ``model`` names."""
    config = ModelConfig(1, pred_len, channels, season)
    return {name: kind(config) for name, kind in BASELINES.items() if kind.__name__ != model}


def references(data: ForecastData, name: str, pred_len: int, model: str) -> dict[str, Reference]:
    """Return forecasts to compare a model with, computed in float64, by their name in records."""
    values = torch.from_numpy(data.series.values[:, data.scored])
    models = baselines(pred_len, values.shape[1], data.season, model)
    if not data.has_season:
        models.pop("seasonal_naive", None)
    found = {key: _forecasts_at(values, one) for key, one in models.items()}
    best = find_dataset(name).best_forecast
    if best:
        forecast = resolve_name(best)
        mean, scale = data.scaler.mean_[data.scored], data.scaler.scale_[data.scored]
        found["best_possible"] = lambda origins: torch.from_numpy(
            (forecast(data.scored_columns, origins.numpy(), pred_len) - mean) / scale
        )
    return found


def _forecasts_at(values: Tensor, model: Model) -> Reference:
    """Return the forecasts of a model without training, from as far back in a series (N, C) as it looks."""
    steps = torch.arange(-model.lookback, 0)
    return lambda origins: model(values[origins[:, None] + steps]).forecast


def score_windows(
    predictor: Predictor,
    data: ForecastData,
    model: str,
    references: Mapping[str, Reference],
    coverage: Coverage | None,
    folder: Path,
    arrays: bool,
    inverse: bool,
    target_errors: TargetErrors,
    backtest: Backtest | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score the model on every test window, beside references on the same windows; the arrays stream to disk.

    Args:
        model: name of the model among those of the references.
        coverage: counts how often prediction intervals hold; None where there are none.
        folder: where the errors of each window are streamed to.
        arrays: stream ``pred.npy`` and ``true.npy`` there, too.
        inverse: write these two in the data's units.
        target_errors: collects the errors of the target in each window.
        backtest: collects the forecasts of some windows.

    Returns:
        ``ErrorSums.report`` of the model and of each reference, by name; and ``Coverage.report``. Both are empty on
        every rank but 0.
    """
    windows = data.windows[Split.TEST]
    shape = (len(windows), windows.pred_len, len(data.scored_columns))
    sums = {name: ErrorSums(*shape[1:]) for name in (model, *references)}
    columns, scale, mean = data.scored_columns, data.scaler.scale_[data.scored], data.scaler.mean_[data.scored]
    with ExitStack() as stack:
        files = []
        if predictor.compute.is_main_process:
            keep = stack.enter_context(writing_array(folder / ERRORS, (len(windows), 2)))
            names = ("pred", "true") if arrays else ()
            files = [stack.enter_context(writing_array(folder / f"{name}.npy", shape)) for name in names]
        for batch, forecast in predictor.batches(data, windows, "test"):
            check_finite(forecast, data.source)
            truth, known = batch.y[..., data.scored], scored_targets(batch, data)
            forecasts = {model: forecast} | {name: one(batch.origins) for name, one in references.items()}
            for name, one in forecasts.items():
                sums[name].add(one, truth, known)
            target_errors.add(forecasts, truth, known, scale, mean)
            keep(window_errors(forecast, truth, known).numpy())
            bands = {}
            if coverage is not None:
                seen = seen_by(batch, predictor.model.config.seq_len, data.scored)
                bands = coverage.add(seen, forecast, truth, known, batch.origins, keep=backtest is not None)
            if backtest is not None:
                actual = truth if known is None else truth.masked_fill(~known, torch.nan)
                backtest.add(batch, forecast.double().numpy(), actual.double().numpy(), bands)
            for append, values in zip(files, (forecast, truth), strict=False):
                values = values.numpy()
                append(original_units(values, data) if inverse else values)
    if not predictor.compute.is_main_process:
        return {}, {}
    inside = {} if coverage is None else coverage.report(columns, scale)
    return {name: one.report(columns, scale) for name, one in sums.items()}, inside


def original_units(values: np.ndarray, data: ForecastData) -> np.ndarray:
    """Return standardized values (…, scored channels) in the data's units."""
    return values * data.scaler.scale_[data.scored] + data.scaler.mean_[data.scored]


def draw_windows(predictor: Predictor, data: ForecastData, pictures: Path, title: str) -> None:
    """Draw the first, the middle and the last test window, in the data's units."""
    model = predictor.model
    windows = data.windows[Split.TEST].looking_back(model.lookback, model.least_lookback, data.source)
    chosen = sorted({0, len(windows) // 2, len(windows) - 1})
    batch = windows.__getitems__(chosen)
    with predictor.evaluating():
        drawn = predictor.forecast(batch.x, **batch.covariates)[..., data.scored].cpu().numpy()
    for i, index in enumerate(chosen):
        history, truth = (original_units(part[..., data.scored], data) for part in windows.window(index))
        first = int(batch.origins[i]) - len(history)
        plot_forecast(
            pictures / f"window_{index:05d}.png",
            counted(data.dates[first : first + len(history) + len(truth)], data.form),
            history,
            {"truth": truth, "forecast": original_units(drawn[i], data)},
            first_and_last(data.scored_columns),
            f"{title}, test window {index}",
        )
