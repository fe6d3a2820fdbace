"""Long-term forecasting (CALF, section 4.1): one network per data set and horizon."""

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from data_provider.config import DataConfig
from data_provider.factory import ForecastData, load_data
from data_provider.windows import Batch, Split, make_loader
from exp.base import Experiment
from exp.window_test import WindowTest, forecasts, scored_targets
from utils.conformal import Intervals, Residuals, coverage_lines
from utils.device import environment
from utils.metrics import ErrorSums
from utils.results import RECORD, append_block, comparison, run_title, save_metrics
from utils.skill import save_skill, verdict

logger = logging.getLogger(__name__)


class LongTermForecast(Experiment):
    """Train on windows, validate and test on every window, beside the forecasts that need no model."""

    data: ForecastData

    def load_data(self) -> None:
        self.data = load_data(self.config.data)
        self._train_loader = make_loader(
            self.data.windows[Split.TRAIN],
            self.config.batch_size * self.config.accumulate,
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
            "date_column": self.data.date_column,
            "tz": self.config.data.tz,
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

    def generators(self) -> dict[str, torch.Generator]:
        return {"order": self._train_loader.generator}

    def batch_loss(self, batch: Batch) -> Tensor:
        loss = self.config.loss
        x, y = (part.to(self.device, non_blocking=True) for part in batch[:2])
        with self.compute.autocast():
            output = self.network.model(x, text_branch=loss.needs_text_branch)
        scored = self.data.scored
        text = None if output.text_forecast is None else output.text_forecast[..., scored]
        return loss(output.forecast[..., scored], y[..., scored], text, output.time_features, output.text_features)

    def validate(self) -> float:
        sums = ErrorSums(self.config.data.pred_len, len(self.data.scored_columns))
        for batch, forecast in forecasts(self, self.data, Split.VAL, "validation"):
            sums.add(forecast, batch.y[..., self.data.scored], scored_targets(batch, self.data))
        return sums.mse if self.compute.is_main else math.nan

    def test(self) -> list[dict[str, Any]]:
        config, half_widths = self.config, self._half_widths()
        keep = self.folder if self._on_own_data else None
        return self.score_on(self.data, config.data, config.results, config.pictures, self.tested_on, half_widths, keep)

    def score_on(
        self,
        data: ForecastData,
        config: DataConfig,
        results: Path,
        pictures: Path,
        more: Mapping[str, Any],
        half_widths: Mapping[float, np.ndarray],
        keep: Path | None = None,
    ) -> list[dict[str, Any]]:
        """Score the network on a series, leave arrays, pictures and figures, return the record (the main process).

        Args:
            results, pictures: folders. more: what the record holds beside the figures.
            half_widths: of prediction intervals by level, (H, scored channels), standardised.
            keep: the checkpoint's folder, to keep the verdict beside it.
        """
        scored = WindowTest(self, data, config, results, pictures, half_widths).run()
        if scored is None:
            return []
        reports, coverage = scored
        record = {**self._record(reports, results), **({"intervals": coverage} if coverage else {}), **more}
        if keep:
            self._keep(lambda: save_skill(keep, record))
        append_block(Path(f"results_{self.config.task_name}.txt"), self._summary(record))
        save_metrics(results, record)
        for line in (*comparison(reports), *coverage_lines(coverage), *verdict(reports, self.config.model)):
            logger.info(line)
        logger.info("figures: %s", results / RECORD)
        logger.info("pictures: %s", pictures)
        return [record]

    @property
    def _on_own_data(self) -> bool:
        """Whether the data are those of training: only what is measured on them, in their scale, goes with them."""
        same = self.training.get("data_digest") in (None, self.trained_on)
        return same and not self.config.surroundings.loaded_from

    def _half_widths(self) -> dict[float, np.ndarray]:
        """Of the prediction intervals asked for; from the validation split, or from a checkpoint tested elsewhere."""
        levels = self.config.surroundings.interval
        shape = (self.config.data.pred_len, len(self.data.scored_columns))
        if self._on_own_data:
            intervals = self._calibrate(shape)
            if intervals is None:
                return {}
            self._keep(lambda: intervals.save(self.folder))
        elif intervals := Intervals.load(self.folder, shape):
            trained = np.array(self.stored_data["scaler"]["scale"])[self.data.scored]
            intervals = intervals.scaled(trained / self.data.scaler.scale_[self.data.scored])
        else:
            logger.info("note: %s holds no prediction intervals", self.folder)
            return {}
        return intervals.at(levels)

    def _calibrate(self, shape: tuple[int, int]) -> Intervals | None:
        """Prediction intervals from the errors on the validation windows (the main process)."""
        residuals = Residuals(len(self.data.windows[Split.VAL]), *shape)
        for batch, forecast in forecasts(self, self.data, Split.VAL, "calibration"):
            residuals.add(forecast, batch.y[..., self.data.scored], scored_targets(batch, self.data))
        if not self.compute.is_main:
            return None
        intervals = residuals.intervals(self.config.surroundings.interval)
        for level, half_width in intervals.at(self.config.surroundings.interval).items():
            if missing := np.isnan(half_width).mean():
                logger.info(
                    "note: %d validation windows are too few for a %g %% interval at %.0f %% of the steps; "
                    "none is shown there (a longer file or a lower --interval gives one)",
                    intervals.windows, level * 100, missing * 100,
                )  # fmt: skip
        return intervals

    def _keep(self, save: Callable[[], None]) -> None:
        """Put something beside the checkpoint; one that cannot be written to is tested all the same."""
        try:
            save()
        except OSError as error:
            logger.info("note: %s cannot be written to (%s)", self.folder, error.strerror or error)

    def _record(self, reports: dict[str, Any], results: Path) -> dict[str, Any]:
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
            "config": self.identity,
            "data_digest": self.digests[results / RECORD],
            "environment": environment(self.device),
        }

    def _summary(self, record: Mapping[str, Any]) -> list[str]:
        config = self.config
        words = record["word_embeddings"].get("llm") or "unknown origin"
        windows = record["metrics"][config.model]["windows"]
        intervals = record.get("intervals", {}).items()
        figures = {name: report["standardised"] for name, report in record["metrics"].items() if name != config.model}
        return [
            config.setting,
            f"{run_title(record)}, seed {config.seed}, backbone {self.network.backbone_name}, words of {words}, "
            f"best epoch {self.best.get('epoch')}",
            f"mse:{record['mse']:.6f}, mae:{record['mae']:.6f} (standardised, {windows} windows)",
            *(f"{name} mse:{f['mse']:.6f}, mae:{f['mae']:.6f}" for name, f in figures.items()),
            *(f"coverage of {level}: {f['coverage']:.4f}" for level, f in intervals if f["coverage"] is not None),
        ]
