"""Forecast windows of one series (CALF, section 4.1), or of others than the one trained on (section 4.4)."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_provider.config import DataConfig
from data_provider.datasets import find_dataset
from data_provider.factory import ForecastData, load_data
from data_provider.reading import nanoseconds_of
from data_provider.windows import Split, WindowDataset
from exp.backtest import Backtest, remove_backtest
from exp.bands import Wanted
from exp.evaluation import (
    Predictor,
    ShuffledPredictor,
    draw_windows,
    references,
    score_windows,
    scored_targets,
    seen_by,
)
from exp.on_series import OnSeries
from exp.targets import in_domain_folder, of_target, shuffle_folder, zero_shot_folder
from models.base import check_finite
from utils.answer import TargetErrors, answer_lines, answer_of
from utils.conformal import Intervals
from utils.coverage import Calibration, Coverage
from utils.device import peak_memory
from utils.errors import UserError, shown_path
from utils.metrics import ErrorSums
from utils.results import RECORD, comparison, coverage_lines, save_metrics, save_skill, verdict

logger = logging.getLogger(__name__)

FEWEST_OF_A_SLOW_MODEL, FITS_OF_A_SLOW_MODEL = 20, 400  # windows, and series of windows, of a split that are scored
FEWEST_APART = 40  # validation windows, from which on the epoch and the intervals have windows of their own


class LongTermForecast(OnSeries):
    """Train on windows, validate and test on every window, beside the forecasts that need no model."""

    def load_data(self) -> None:
        reads_marks = self.config.model_config.reads_marks
        self.data = load_data(self.config.data, marks=reads_marks, all_rows=self.config.is_refit)
        self.load_batches()

    def validate(self) -> float:
        sums = ErrorSums(self.config.data.pred_len, len(self.data.scored_columns))
        windows, _ = self.validation_parts(self.data)
        for batch, forecast in self.predictor(len(self.data.columns)).batches(self.data, windows, "validation"):
            sums.add(forecast, batch.y[..., self.data.scored], scored_targets(batch, self.data))
        return sums.mse if self.compute.is_main_process else math.nan

    def _place(self) -> None:
        super()._place()
        if self.model.config.slow or any(member.config.slow for member in getattr(self.model, "members", ())):
            self._thin()

    def _thin(self) -> None:
        """Score a model whose forecasts take long on some of the windows, evenly spaced."""
        most = max(FEWEST_OF_A_SLOW_MODEL, FITS_OF_A_SLOW_MODEL // len(self.data.scored_columns))
        windows = {split: windows.thinned(most) for split, windows in self.data.windows.items() if len(windows)}
        for split in windows.keys() - {Split.TRAIN}:
            if len(windows[split]) < len(self.data.windows[split]):
                logger.info(
                    "  note: a forecast of %s takes long: %d of the %d windows of %s are scored, evenly spaced",
                    self.config.model, len(windows[split]), len(self.data.windows[split]), split.value,
                )  # fmt: skip
        kept = {split: windows for split, windows in self.data.windows.items() if split is Split.TRAIN}
        self.data = replace(self.data, windows=windows | kept)

    def validation_parts(self, data: ForecastData) -> tuple[WindowDataset, WindowDataset]:
        """Return the validation windows that choose the epoch, and those that the intervals are calibrated on.

        Of a file of the user's, the older half chooses. Published protocols choose the epoch on all windows. Intervals
        are calibrated on the newer half and on the windows after it that begin before the test.
        """
        windows = data.windows[Split.VAL]
        count, own = len(windows), find_dataset(self.config.data.parts[0].data).named_by_user
        half = count // 2 if count >= FEWEST_APART else 0
        newer = windows.part(half, count)
        newer = replace(newer, last=min(newer.last + newer.pred_len - 1, data.windows[Split.TEST].last))
        return windows.part(0, half) if own and half else windows, newer

    def test(self) -> list[dict[str, Any]]:
        keep = self.folder if self._on_own_data and self.config.shuffle_input == "none" else None
        coverage = self._coverage()
        records = self.score_on(self.data, self.config.data, "", coverage, keep)
        if keep:
            self._keep_intervals(coverage, nanoseconds_of(self.data.dates, self.data.offset))
        return records

    def _keep_intervals(self, coverage: Coverage | None, moments: np.ndarray | None = None) -> None:
        """Save the intervals that are known after a test beside the checkpoint (rank 0); ``moments`` date the rows."""
        if coverage is not None:
            self._keep(lambda: coverage.finish(moments).save(self.folder))

    def score_on(
        self,
        data: ForecastData,
        config: DataConfig,
        target: str,
        coverage: Coverage | None,
        keep: Path | None = None,
        in_domain: bool = False,
    ) -> list[dict[str, Any]]:
        """Score the model on a series, leave arrays, pictures and figures, and return the record (rank 0).

        Args:
            target: name of the series, where it is not the only one trained on; else empty.
            coverage: counts how often prediction intervals hold; None where there are none.
            keep: folder of the checkpoint, to keep the verdict beside it; None to keep none.
            in_domain: whether the target is one of several data sets that were trained on.
        """
        name, runtime = self.config.model, self.config.runtime
        shuffle = "none" if target else self.config.shuffle_input
        predictor = self.predictor(len(data.columns)) if target else self.shuffled_predictor(len(data.columns))
        results, pictures = (shuffle_folder(at, shuffle) for at in (self.config.results, self.config.pictures))
        if target:
            below = in_domain_folder if in_domain else zero_shot_folder
            results, pictures = (below(folder, target) for folder in (results, pictures))
        others = references(data, config.data, config.pred_len, name)
        arrays = bool(runtime.save_arrays)
        errors, backtest = TargetErrors(len(data.windows[Split.TEST])), None
        if runtime.backtest:
            backtest = Backtest(data, runtime.backtest, *Wanted.of(runtime).limits(data.lowest[data.scored]))
        reports, inside = score_windows(
            predictor, data, name, others, coverage, results, arrays, runtime.inverse, errors, backtest
        )
        if not reports:
            return []
        answer = answer_of(
            name, data.scored_columns[-1], reports, inside, errors, data.season, self._seasonal_step(data)
        )
        draw_windows(predictor, data, pictures, self._title(data, config))
        own = reports[name]["standardised"]
        scores = {"mse": own["mse"], "mae": own["mae"], "metrics": reports}
        scores["arrays"] = "original units" if runtime.inverse else "standardised"
        if inside:
            scores["intervals"] = inside
        record = self.record(results / RECORD, scores, tested_on=target)
        seconds = predictor.seconds / reports[name]["windows"]
        if shuffle != "none":
            record["data"]["shuffle_input"] = shuffle
        if in_domain:
            record["data"]["in_domain"] = True
        record["cost"] = {"milliseconds_per_forecast": 1e3 * seconds, "peak_memory": peak_memory(self.device)}
        if keep:
            self._keep(lambda: save_skill(keep, record, answer))
        save_metrics(results, own)
        if backtest is None:
            remove_backtest(results)
        else:
            backtest.save(results)
            backtest.draw(results, f"{self._title(data, config)}: {len(backtest.chosen)} past forecasts")
        said = [*self._said(reports, inside, answer, config), *(backtest.lines() if backtest else ())]
        self.save(results / RECORD, record, self._score_lines(record), [*said, f"pictures: {pictures}"])
        return [record]

    def _said(
        self, reports: Mapping[str, Any], inside: Mapping[str, Any], answer: Mapping[str, Any], config: DataConfig
    ) -> Iterator[str]:
        """Yield what a test has to say: tables for research, for a file of the user's a short answer."""
        own = find_dataset(config.data).named_by_user
        if not own or self.config.runtime.verbose:
            yield from (*comparison(reports), *coverage_lines(inside), *verdict(reports, self.config.model))
        if own and not self.config.runtime.goes_on:
            yield from ("", *answer_lines(answer))

    @staticmethod
    def _seasonal_step(data: ForecastData) -> float | None:
        """Return the mean absolute change of the target over a season in the training rows, in the data's units."""
        train = data.series.values[: data.windows[Split.TRAIN].last, -1]
        season = data.season if data.season < len(train) else 1
        change = float(np.abs(train[season:] - train[:-season]).mean() * data.scaler.scale_[-1])
        return change if change > 0 else None

    def shuffled_predictor(self, channels: int) -> Predictor:
        """Return what forecasts windows whose steps ``--shuffle_input`` puts into another order first."""
        usual, shuffle = self.predictor(channels), self.config.shuffle_input
        return usual if shuffle == "none" else ShuffledPredictor(usual, shuffle, self.config.seed)

    def _title(self, data: ForecastData, config: DataConfig) -> str:
        own = self.config.data
        name = shown_path(Path(data.source).name) if find_dataset(config.data).named_by_user else config.data
        trained = "" if config is own else f", trained on {own.data},"
        return f"{self.config.model}{trained} on {name}"

    @property
    def _on_own_data(self) -> bool:
        """Return whether the data are those of training: what is measured on others does not go with the checkpoint."""
        same = self.training.get("data_digest") in (None, self.trained_on)
        return same and not self.config.runtime.loaded_from

    def _coverage(self) -> Coverage | None:
        """Return what counts the test's intervals: calibrated here, or with those of a checkpoint on other data."""
        if self._on_own_data:
            return self.calibrate(self.data)
        if not self.compute.is_main_process:
            return None
        before = Intervals.load(self.folder, (self.config.data.pred_len, len(self.data.scored_columns)))
        if before is None:
            logger.info("note: %s holds no prediction intervals", shown_path(self.folder))
            return None
        return self._counting(self._calibration(self.data, 0, before), self.data)

    def calibrate(self, data: ForecastData) -> Coverage | None:
        """Return what counts intervals from the errors on validation windows of a series trained on (rank 0)."""
        _, windows = self.validation_parts(data)
        calibration = self._calibration(data, len(windows))
        for batch, forecast in self.predictor(len(data.columns)).batches(data, windows, "calibration"):
            check_finite(forecast, data.source)
            seen, truth = seen_by(batch, self.config.data.seq_len, data.scored), batch.y[..., data.scored]
            calibration.add(seen, forecast, truth, scored_targets(batch, data), batch.origins)
        return self._counting(calibration, data) if self.compute.is_main_process else None

    def _calibration(self, data: ForecastData, windows: int, before: Intervals | None = None) -> Calibration:
        """Return an empty calibration with room for some windows and those of the test."""
        count = windows + len(data.windows[Split.TEST])
        return Calibration(count, self.config.data.pred_len, len(data.scored_columns), before)

    def _counting(self, calibration: Calibration, data: ForecastData) -> Coverage:
        runtime = self.config.runtime
        adaptive = bool(runtime.adaptive) and not self.config.holds_many  # whose windows are in no order of time
        return Coverage(calibration, runtime.levels, len(data.windows[Split.TEST]), adaptive)

    def _keep(self, save: Callable[[], None]) -> None:
        """Save beside the checkpoint; where its folder cannot be written to, say so and go on."""
        try:
            save()
        except OSError as error:
            logger.info("note: %s cannot be written to (%s)", shown_path(self.folder), error.strerror or error)

    def _score_lines(self, record: Mapping[str, Any]) -> list[str]:
        scores, model = record["scores"], self.config.model
        windows = scores["metrics"][model]["windows"]
        figures = {name: report["standardised"] for name, report in scores["metrics"].items() if name != model}
        intervals = scores.get("intervals", {}).items()
        return [
            f"mse:{scores['mse']:.6f}, mae:{scores['mae']:.6f} (standardised, {windows} windows)",
            *(f"{name} mse:{f['mse']:.6f}, mae:{f['mae']:.6f}" for name, f in figures.items()),
            *(f"coverage of {level}: {f['coverage']:.4f}" for level, f in intervals if f["coverage"] is not None),
        ]


class ZeroShotForecast(LongTermForecast):
    """A long-term forecaster tested on other series, each standardized by its own training rows."""

    def load_data(self) -> None:
        super().load_data()
        self.load_targets()

    def load_targets(self) -> None:
        """Read the series to test on."""
        self.targets = {name: self._load_target(config) for name, config in self.config.targets.items()}

    @property
    def trained_series(self) -> list[ForecastData]:
        """Return the series trained on."""
        return [self.data]

    def describe_data(self) -> list[str]:
        return [*super().describe_data(), *self.describe_targets()]

    def describe_targets(self) -> list[str]:
        """Return lines on the series to test on, for the header."""
        return [line for data in self.targets.values() for line in self._describe(data)]

    def test(self) -> list[dict[str, Any]]:
        records = []
        for name, data in self.targets.items():
            logger.info("\nzero-shot: trained on %s, tested on %s", self.config.data.data, name)
            # Intervals of the source say nothing about another series, and a zero-shot test learns nothing from it.
            records += self.score_on(data, self.config.targets[name], name, coverage=None)
        return records

    def _load_target(self, config: DataConfig) -> ForecastData:
        """Read a target."""
        own, channels = self.config, self.sizes()["channels"]
        try:
            data = load_data(config, any_target=True, marks=own.model_config.reads_marks)
        except UserError as error:
            raise of_target(error) from error
        if len(data.columns) != channels and not own.model_config.any_channels:
            raise UserError(
                f"--target_data {config.data}: {data.source} has {len(data.columns)} channels, {own.data.data} has "
                f"{channels}, and this {own.model} has weights for one number of them."
            )
        if (known := [one.known.names for one in self.trained_series])[0] != data.known.names:
            raise UserError(
                f"--target_data {config.data}: known in advance are {', '.join(data.known.names) or 'no columns'} here "
                f"and {', '.join(known[0])} in training."
            )
        own.check_channels(len(data.columns), len(data.known.names))
        return data

    def _describe(self, data: ForecastData) -> list[str]:
        notes, trained = list(data.notes), self.trained_series
        if data.frequency not in (steps := [one.frequency for one in trained]):
            notes.append(
                f"WARNING: the step is {data.frequency} here and {', '.join(dict.fromkeys(steps))} in training: "
                "the model meets another sampling frequency than it was trained on"
            )
        if len(trained) == 1 and data.columns != self.data.columns:
            notes.append(f"its columns are {', '.join(data.columns)}; the model takes them in this order")
        windows = data.windows[Split.TEST]
        return [
            f"zero-shot test: {data.source}, {len(data.dates):,} rows, {len(windows):,} windows",
            *(f"  note: {note}" for note in notes),
        ]
