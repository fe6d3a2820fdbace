"""Forecast windows with a trained model, and score it on every window beside the forecasts that need no training."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_provider.datasets import find_dataset
from data_provider.factory import ForecastData
from data_provider.windows import Batch, Split, make_loader
from models.base import Model, check_finite
from models.config import ModelConfig
from models.naive import Naive, SeasonalNaive
from utils.compute import Compute
from utils.conformal import Coverage
from utils.files import writing_array
from utils.metrics import ErrorSums, window_errors
from utils.plots import first_and_last, plot_forecast
from utils.progress import Progress
from utils.results import ERRORS

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

    def batches(self, data: ForecastData, split: Split, name: str) -> Iterator[tuple[Batch, Tensor]]:
        """Yield every batch of a split with its forecast (B, H, scored channels), on the CPU in float32.

        Each rank forecasts its rows; rank 0 alone is handed batches and forecasts, whole.
        """
        loader = make_loader(
            data.windows[split].looking_back(self.model.lookback, data.source),
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


def scored_targets(batch: Batch, data: ForecastData) -> Tensor | None:
    """Return which targets (B, H, scored channels) count: not those that were filled in. None where all do."""
    return None if batch.known is None else batch.known[..., data.scored]


def references(data: ForecastData, name: str, pred_len: int, model: str) -> dict[str, Reference]:
    """Return forecasts to compare a model with, by their name in records."""
    found = {
        key: _baseline(kind, data, pred_len)
        for key, kind in BASELINES.items()
        if kind.__name__ != model and (data.has_season or kind is not SeasonalNaive)
    }
    best = find_dataset(name).best_forecast
    if best:
        forecast = resolve_name(best)
        mean, scale = data.scaler.mean_[data.scored], data.scaler.scale_[data.scored]
        found["best_possible"] = lambda origins: torch.from_numpy(
            (forecast(data.scored_columns, origins.numpy(), pred_len) - mean) / scale
        )
    return found


def _baseline(kind: type[Model], data: ForecastData, pred_len: int) -> Reference:
    """Return the forecasts of a model without training, computed in float64 from as far back as it looks."""
    values = torch.from_numpy(data.series.values[:, data.scored])
    model = kind(ModelConfig(1, pred_len, values.shape[1], data.season)).eval()
    steps = torch.arange(-model.lookback, 0)
    return lambda origins: model(values[origins[:, None] + steps]).forecast


@dataclass(frozen=True)
class WindowTest:
    """Scores a model on the test split of a series.

    Attributes:
        half_widths: of prediction intervals by level, (H, scored channels), standardized; empty for none.
        save_arrays: write ``pred.npy`` and ``true.npy``.
        inverse: write them in the data's units.
    """

    predictor: Predictor
    data: ForecastData
    name: str
    references: Mapping[str, Reference]
    results: Path
    pictures: Path
    title: str
    half_widths: Mapping[float, np.ndarray]
    save_arrays: bool
    inverse: bool

    def run(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Write arrays and pictures, and return the scores.

        Returns:
            ``ErrorSums.report`` of the model and of each reference, by name; and ``Coverage.report``. None on every
            rank but 0.
        """
        coverage = Coverage(self.half_widths)
        sums = self._score(coverage)
        if not self.predictor.compute.is_main_process:
            return None
        self._draw_pictures()
        columns, scale = self.data.scored_columns, self._scale
        return {name: s.report(columns, scale) for name, s in sums.items()}, coverage.report(columns, scale)

    def _score(self, coverage: Coverage) -> dict[str, ErrorSums]:
        """Sum exact errors of model and references on the same windows; the arrays stream to disk."""
        data, windows = self.data, self.data.windows[Split.TEST]
        shape = (len(windows), windows.pred_len, len(data.scored_columns))
        sums = {name: ErrorSums(*shape[1:]) for name in (self.name, *self.references)}
        with ExitStack() as stack:
            arrays = []
            if self.save_arrays and self.predictor.compute.is_main_process:
                paths = [self.results / f"{name}.npy" for name in ("pred", "true")]
                arrays = [stack.enter_context(writing_array(path, shape)) for path in paths]
            if self.predictor.compute.is_main_process:
                keep = stack.enter_context(writing_array(self.results / ERRORS, (len(windows), 2)))
            for batch, forecast in self.predictor.batches(data, Split.TEST, "test"):
                check_finite(forecast, data.source)
                truth, known = batch.y[..., data.scored], scored_targets(batch, data)
                sums[self.name].add(forecast, truth, known)
                keep(window_errors(forecast, truth, known).numpy())
                coverage.add(forecast, truth, known)
                for name, reference in self.references.items():
                    sums[name].add(reference(batch.origins), truth, known)
                for append, values in zip(arrays, (forecast, truth), strict=False):
                    values = values.numpy()
                    append(self._original_units(values) if self.inverse else values)
        return sums

    @property
    def _scale(self) -> np.ndarray:
        return self.data.scaler.scale_[self.data.scored]

    def _original_units(self, values: np.ndarray) -> np.ndarray:
        return values * self._scale + self.data.scaler.mean_[self.data.scored]

    def _draw_pictures(self) -> None:
        """Draw the first, the middle and the last test window, in the data's units."""
        data = self.data
        windows = data.windows[Split.TEST].looking_back(self.predictor.model.lookback, data.source)
        chosen = sorted({0, len(windows) // 2, len(windows) - 1})
        batch = windows.__getitems__(chosen)
        with self.predictor.evaluating():
            drawn = self.predictor.forecast(batch.x, **batch.covariates)[..., data.scored].cpu().numpy()
        for i, index in enumerate(chosen):
            history, truth = (self._original_units(part[..., data.scored]) for part in windows.window(index))
            first = int(batch.origins[i]) - len(history)
            plot_forecast(
                self.pictures / f"window_{index:05d}.png",
                data.dates[first : first + len(history) + len(truth)],
                history,
                {"truth": truth, "forecast": self._original_units(drawn[i])},
                first_and_last(data.scored_columns),
                f"{self.title}, test window {index}",
            )
