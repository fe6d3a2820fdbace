"""Train one forecaster on several data sets; test it on each of them, and on others (arXiv 2602.14744, section 4)."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from data_provider.factory import ForecastData, load_data
from data_provider.mix import make_mixed_loader
from data_provider.windows import Split
from exp.evaluation import references, scored_targets
from exp.long_term_forecast import ZeroShotForecast
from exp.training import Score
from utils.errors import UserError, shown_path
from utils.metrics import ErrorSums

logger = logging.getLogger(__name__)

LEAST_ERROR = 1e-8  # MSE of standardized values in float32: below it there is rounding alone


class MixedForecast(ZeroShotForecast):
    """A long-term forecaster of several data sets, each with a scaler and a number of channels of its own.

    The best epoch has the lowest mean, over the data sets, of the validation MSE divided by that of the naive forecast.
    """

    score = Score("val MSE / naive", "validation_relative_mse")

    def load_data(self) -> None:
        config, runtime = self.config, self.config.runtime
        marks = config.model_config.reads_marks
        self.sets = {name: load_data(part, marks=marks) for name, part in config.sets.items()}
        self.data = next(iter(self.sets.values()))
        self._check_sets()
        self.scored = self.data.scored
        self.naive: dict[str, float] = {}
        self.train_loader = make_mixed_loader(
            [data.windows[Split.TRAIN] for data in self.sets.values()],
            config.training.batch_size * config.training.accumulate,
            config.data.mix,
            config.seed,
            workers=runtime.num_workers,
            pin=self.device.type == "cuda",
        )
        self.load_targets()

    def _check_sets(self) -> None:
        model, counts = self.config.model, {name: len(data.columns) for name, data in self.sets.items()}
        if not self.config.model_config.trains:
            raise UserError(f"--model {model} does not train, so that data sets have nothing to share: name one.")
        if len(set(counts.values())) > 1 and not self.config.model_config.any_channels:
            told = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise UserError(
                f"--data {self.config.data.data}: {told} channels, and this {model} has weights for one number of them."
            )
        known = {name: data.known.names for name, data in self.sets.items()}
        if len(set(known.values())) > 1:
            told = ", ".join(f"{', '.join(names) or 'none'} in {name}" for name, names in known.items())
            raise UserError(f"--data {self.config.data.data}: the columns known in advance differ: {told}.")
        self.config.check_channels(max(counts.values()), len(self.data.known.names))

    @property
    def trained_series(self) -> list[ForecastData]:
        return list(self.sets.values())

    def sizes(self) -> dict[str, int]:
        channels = max(len(data.columns) for data in self.sets.values())
        return {"channels": channels, "season": self.data.season, "known": len(self.data.known.names)}

    def data_record(self) -> dict[str, Any]:
        return {
            "source": [data.source for data in self.sets.values()],
            "columns": [list(data.columns) for data in self.sets.values()],
            "features": self.config.data.features,
            "target": self.config.data.target,
        }

    def restore(self, folder: Path) -> None:
        super().restore(folder)
        if self.training.get("data_digest") not in (None, self.trained_on):
            raise UserError(
                f"{shown_path(folder)} was trained on several data sets, and these are others: to test it on them, "
                "leave --data_path out and name them by --target_data and --target_data_path."
            )

    def describe_data(self) -> list[str]:
        config, batches = self.config.data, self.train_loader.batch_sampler.counts
        few_shot = "" if config.percent == 100 else f", {config.percent} % of the training rows of each"
        lines = [f"trained on {len(self.sets)} data sets, windows of {config.seq_len} -> {config.pred_len}{few_shot}:"]
        for (name, data), count in zip(self.sets.items(), batches, strict=True):
            windows = ", ".join(f"{split.value} {len(windows):,}" for split, windows in data.windows.items())
            lines.append(f"  {name}: {len(data.columns)} channels, a row every {data.frequency}, {windows}")
            lines.append(f"    {count} of {len(self.train_loader)} batches an epoch ({config.mix})")
            lines += [f"    note: {note}" for note in data.notes]
        return [*lines, *self.describe_targets()]

    def validate(self) -> float:
        ratios = []
        for name, data in self.sets.items():
            sums = self._sums(data)
            predictor = self.predictor(len(data.columns))
            for batch, forecast in predictor.batches(data, data.windows[Split.VAL], f"validation, {name}"):
                sums.add(forecast, batch.y[..., data.scored], scored_targets(batch, data))
            if self.compute.is_main_process:
                ratios.append(sums.mse / self._naive_error(name))
        return float(np.mean(ratios)) if ratios else math.nan

    def _sums(self, data: ForecastData) -> ErrorSums:
        return ErrorSums(self.config.data.pred_len, len(data.scored_columns))

    def _naive_error(self, name: str) -> float:
        """Return the MSE of the naive forecast on the validation windows; 1 where these do not vary."""
        if name not in self.naive:
            data, sums = self.sets[name], self._sums(self.sets[name])
            forecast = references(data, self.config.sets[name].data, self.config.data.pred_len, model="")["naive"]
            windows, size = data.windows[Split.VAL], self.eval_batch_size(len(data.columns))
            for first in range(
                0, len(windows), size
            ):  # a loader would draw a random number, in a resumed run once more
                batch = windows.__getitems__(range(first, min(first + size, len(windows))))
                sums.add(forecast(batch.origins), batch.y[..., data.scored], scored_targets(batch, data))
            self.naive[name] = sums.mse if sums.mse > LEAST_ERROR else 1.0
            if sums.mse <= LEAST_ERROR:
                logger.info("note: %s does not vary over its validation windows: its MSE counts as it is", name)
        return self.naive[name]

    def test(self) -> list[dict[str, Any]]:
        records = []
        for name, data in self.sets.items():
            logger.info("\nin domain: %s, one of the data sets trained on", name)
            records += self.score_on(data, self.config.sets[name], name, self.calibrate(data), in_domain=True)
        return records + super().test()
