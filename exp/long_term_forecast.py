"""Long-term forecasting (CALF, section 4.1): one network per data set and horizon."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from data_provider.factory import ForecastData, load_data
from data_provider.windows import Batch, Split, make_loader
from exp.base import Experiment
from utils.files import ArrayWriter
from utils.metrics import ErrorSums
from utils.plots import plot_forecast
from utils.progress import Progress
from utils.provenance import environment
from utils.results import append_block, comparison, save_metrics, verdict

logger = logging.getLogger(__name__)

RESULTS, PICTURES = Path("results"), Path("test_results")


class LongTermForecast(Experiment):
    """Train on windows, validate and test on every window, beside the forecasts that need no model."""

    data: ForecastData

    def load_data(self) -> None:
        self.data = load_data(self.config.data)
        self._train_loader = make_loader(
            self.data.windows[Split.TRAIN],
            self.config.batch_size,
            shuffle_seed=self.config.seed,
            workers=self.config.surroundings.num_workers,
            pin=self.device.type == "cuda",
        )

    @property
    def channels(self) -> int:
        return len(self.data.columns)

    def data_record(self) -> dict[str, Any]:
        return {
            "name": self.config.data.data,
            "source": self.data.source,
            "columns": list(self.data.columns),
            "features": self.config.data.features,
            "target": self.config.data.target,
            "frequency": self.data.frequency,
            "season": self.data.season,
            "scaler": {"mean": self.data.scaler.mean_.tolist(), "scale": self.data.scaler.scale_.tolist()},
        }

    def describe_data(self) -> list[str]:
        data, config = self.data, self.config.data
        counts = ", ".join(f"{split.value} {len(windows):,}" for split, windows in data.windows.items())
        few_shot = "" if config.percent == 100 else f", {config.percent} % of the training rows"
        return [
            f"data: {data.source}, {len(data.dates):,} rows, {data.dates[0]} to {data.dates[-1]} ({data.frequency})",
            f"channels: {self.channels} ({config.features}), target {config.target}",
            f"windows of {config.seq_len} -> {config.pred_len}: {counts}; {len(self._train_loader)} training batches"
            f"{few_shot}",
            *(f"note: {note}" for note in data.notes),
        ]

    def train_batches(self) -> DataLoader:
        return self._train_loader

    def batch_loss(self, batch: Batch) -> Tensor:
        loss = self.config.loss
        x, y = (part.to(self.device, non_blocking=True) for part in batch[:2])
        with self.autocast():
            output = self.network.model(x, text_branch=loss.needs_text_branch)
        scored = self.data.scored
        text = None if output.text_forecast is None else output.text_forecast[..., scored]
        return loss(output.forecast[..., scored], y[..., scored], text, output.time_features, output.text_features)

    def validate(self) -> float:
        sums = ErrorSums(self.config.data.pred_len, len(self.data.scored_columns))
        for batch, forecast in self._forecasts(Split.VAL, "validation"):
            sums.add(forecast, batch.y[..., self.data.scored])
        return sums.mse

    def test(self) -> dict[str, Any]:
        sums = self._score_test_split()
        reports = {name: s.report(self.data.scored_columns, self._scale) for name, s in sums.items()}
        record = self._record(reports)
        save_metrics(RESULTS / self.config.setting, record)
        self._draw_pictures()
        append_block(Path(f"results_{self.config.task_name}.txt"), self._summary(record))
        for line in (*comparison(reports), *verdict(reports, self.config.model)):
            logger.info(line)
        logger.info("figures: %s", RESULTS / self.config.setting / "metrics.json")
        logger.info("pictures: %s", PICTURES / self.config.setting)
        return record

    def _score_test_split(self) -> dict[str, ErrorSums]:
        """Exact errors of the network and the baselines on the same windows; the arrays stream to disk."""
        config, scored = self.config, self.data.scored
        pred_len, channels = config.data.pred_len, len(self.data.scored_columns)
        baselines = self.data.baselines(pred_len)
        sums = {name: ErrorSums(pred_len, channels) for name in (config.model, *baselines)}
        folder = RESULTS / config.setting
        shape = (len(self.data.windows[Split.TEST]), pred_len, channels)
        with ExitStack() as stack:
            files = []
            if config.surroundings.save_arrays:
                files = [stack.enter_context(ArrayWriter(folder / f"{name}.npy", shape)) for name in ("pred", "true")]
            for batch, forecast in self._forecasts(Split.TEST, "test"):
                truth = batch.y[..., scored]
                sums[config.model].add(forecast, truth)
                for name, baseline in baselines.items():
                    sums[name].add(torch.from_numpy(baseline(batch.origins.numpy())), truth)
                for file, values in zip(files, (forecast, truth), strict=False):
                    values = values.numpy()
                    file.append(self._original_units(values) if config.surroundings.inverse else values)
        return sums

    def _forecasts(self, split: Split, name: str) -> Iterator[tuple[Batch, Tensor]]:
        """Every batch of a split with its forecast (B, H, scored channels), on the CPU in float32."""
        loader: DataLoader = make_loader(
            self.data.windows[split],
            self.config.batch_size,
            workers=self.config.surroundings.num_workers,
            pin=self.device.type == "cuda",
        )
        with self._evaluating():
            for batch in Progress(loader, name, len(loader)):
                yield batch, self._forecast(batch.x)

    def _forecast(self, x: Tensor) -> Tensor:
        with torch.inference_mode(), self.autocast():
            forecast = self.network.model(x.to(self.device, non_blocking=True)).forecast
        return forecast[..., self.data.scored].float().cpu()

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """The whole model in evaluation mode, its adapters merged; what was, afterwards."""
        model = self.network.model
        training = model.training
        model.eval()
        try:
            with model.merged_adapters():
                yield
        finally:
            model.train(training)

    @property
    def _scale(self) -> np.ndarray:
        return self.data.scaler.scale_[self.data.scored]

    def _original_units(self, values: np.ndarray) -> np.ndarray:
        return values * self._scale + self.data.scaler.mean_[self.data.scored]

    def _draw_pictures(self) -> None:
        """The first, the middle and the last test window, in the data's units."""
        windows = self.data.windows[Split.TEST]
        chosen = sorted({0, len(windows) // 2, len(windows) - 1})
        batch = windows.__getitems__(chosen)
        with self._evaluating():
            forecasts = self._forecast(batch.x).numpy()
        for i, index in enumerate(chosen):
            history, truth = (part[..., self.data.scored] for part in windows.window(index))
            first = int(batch.origins[i]) - len(history)
            path = PICTURES / self.config.setting / f"window_{index:05d}.png"
            plot_forecast(
                path,
                self.data.dates[first : first + len(history) + len(truth)],
                *(self._original_units(part) for part in (history, truth, forecasts[i])),
                self.data.scored_columns,
                f"{self.config.model} on {self.config.data.data}, test window {index}",
            )

    def _record(self, reports: dict[str, Any]) -> dict[str, Any]:
        figures = reports[self.config.model]["standardised"]
        return {
            "setting": self.config.setting,
            "task_name": self.config.task_name,
            "model": self.config.model,
            "data": self.config.data.data,
            "seq_len": self.config.data.seq_len,
            "pred_len": self.config.data.pred_len,
            "seed": self.config.seed,
            "mse": figures["mse"],
            "mae": figures["mae"],
            "backbone": self.network.backbone,
            "word_embeddings": self.network.words,
            "best": self.best,
            "training": self.training,
            "arrays": "original units" if self.config.surroundings.inverse else "standardised",
            "metrics": reports,
            "config": self.config.identity,
            "environment": environment(self.device),
        }

    def _summary(self, record: dict[str, Any]) -> list[str]:
        config, data = self.config, self.config.data
        words = record["word_embeddings"].get("llm") or "unknown origin"
        windows = record["metrics"][config.model]["windows"]
        figures = {name: report["standardised"] for name, report in record["metrics"].items() if name != config.model}
        return [
            config.setting,
            f"{config.model} on {data.data}, {data.seq_len} -> {data.pred_len}, seed {config.seed}, "
            f"backbone {self.network.backbone_name}, words of {words}, best epoch {self.best.get('epoch')}",
            f"mse:{record['mse']:.6f}, mae:{record['mae']:.6f} (standardised, {windows} windows)",
            *(f"{name} mse:{f['mse']:.6f}, mae:{f['mae']:.6f}" for name, f in figures.items()),
        ]
