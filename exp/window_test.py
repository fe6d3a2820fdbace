"""The test on every window of a series, beside the forecasts that need no model."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from data_provider.config import DataConfig
from data_provider.factory import ForecastData
from data_provider.windows import Batch, Split, make_loader
from exp.base import Experiment
from utils.conformal import Coverage
from utils.files import writing_array
from utils.metrics import ErrorSums
from utils.plots import plot_forecast
from utils.progress import Progress

logger = logging.getLogger(__name__)


def forecasts(experiment: Experiment, data: ForecastData, split: Split, name: str) -> Iterator[tuple[Batch, Tensor]]:
    """Every batch of a split with its forecast (B, H, scored channels), on the CPU in float32.

    Each process forecasts its rows; the main one alone is handed batches and forecasts, whole.
    """
    loader: DataLoader = make_loader(
        data.windows[split],
        experiment.eval_batch_size,
        workers=experiment.config.surroundings.num_workers,
        pin=experiment.device.type == "cuda",
    )
    with experiment.evaluating():
        for batch in Progress(loader, name, len(loader)):
            forecast = experiment.forecast_together(batch.x)[..., data.scored]
            if experiment.compute.is_main:
                yield batch, forecast


def scored_targets(batch: Batch, data: ForecastData) -> Tensor | None:
    """Which targets (B, H, scored channels) count: not those that were filled in. None where all do."""
    return None if batch.known is None else batch.known[..., data.scored]


class WindowTest:
    """Scores an experiment's network on the test split of a series.

    Args:
        data: the series; it need not be the one that the network was trained on.
        results, pictures: the folders to write to.
        half_widths: of prediction intervals by level, (H, scored channels), standardised; empty for none.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: ForecastData,
        config: DataConfig,
        results: Path,
        pictures: Path,
        half_widths: Mapping[float, np.ndarray],
    ) -> None:
        self._experiment = experiment
        self._data = data
        self._config = config
        self._results = results
        self._pictures = pictures
        self._coverage = Coverage(half_widths)

    def run(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Write arrays and pictures; the figures of the windows.

        Returns:
            ``ErrorSums.report`` of the network and of each simple forecast, by name; ``Coverage.report``. None where
            another process does all this.
        """
        sums = self._score()
        if not self._experiment.compute.is_main:
            return None
        self._draw_pictures()
        columns, scale = self._data.scored_columns, self._scale
        return {name: s.report(columns, scale) for name, s in sums.items()}, self._coverage.report(columns, scale)

    def _score(self) -> dict[str, ErrorSums]:
        """Exact errors of the network and the baselines on the same windows; the arrays stream to disk."""
        data, place, model = self._data, self._experiment.config.surroundings, self._experiment.config.model
        pred_len, channels = self._config.pred_len, len(data.scored_columns)
        baselines = data.baselines(pred_len)
        sums = {name: ErrorSums(pred_len, channels) for name in (model, *baselines)}
        shape = (len(data.windows[Split.TEST]), pred_len, channels)
        with ExitStack() as stack:
            arrays = []
            if place.save_arrays and self._experiment.compute.is_main:
                paths = (self._results / "pred.npy", self._results / "true.npy")
                arrays = [stack.enter_context(writing_array(path, shape)) for path in paths]
            for batch, forecast in forecasts(self._experiment, data, Split.TEST, "test"):
                truth, known = batch.y[..., data.scored], scored_targets(batch, data)
                sums[model].add(forecast, truth, known)
                self._coverage.add(forecast, truth, known)
                for name, baseline in baselines.items():
                    sums[name].add(torch.from_numpy(baseline(batch.origins.numpy())), truth, known)
                for append, values in zip(arrays, (forecast, truth), strict=False):
                    values = values.numpy()
                    append(self._original_units(values) if place.inverse else values)
        return sums

    @property
    def _scale(self) -> np.ndarray:
        return self._data.scaler.scale_[self._data.scored]

    @property
    def _title(self) -> str:
        config = self._experiment.config
        name = Path(self._data.source).name if self._config.data == "custom" else self._config.data
        trained = "" if self._config is config.data else f", trained on {config.data.data},"
        return f"{config.model}{trained} on {name}"

    def _original_units(self, values: np.ndarray) -> np.ndarray:
        return values * self._scale + self._data.scaler.mean_[self._data.scored]

    def _draw_pictures(self) -> None:
        """The first, the middle and the last test window, in the data's units."""
        data, experiment = self._data, self._experiment
        windows = data.windows[Split.TEST]
        chosen = sorted({0, len(windows) // 2, len(windows) - 1})
        batch = windows.__getitems__(chosen)
        with experiment.evaluating():
            drawn = experiment.forecast(batch.x)[..., data.scored].cpu().numpy()
        for i, index in enumerate(chosen):
            history, truth = (part[..., data.scored] for part in windows.window(index))
            first = int(batch.origins[i]) - len(history)
            plot_forecast(
                self._pictures / f"window_{index:05d}.png",
                data.dates[first : first + len(history) + len(truth)],
                *(self._original_units(part) for part in (history, truth, drawn[i])),
                data.scored_columns,
                f"{self._title}, test window {index}",
            )
