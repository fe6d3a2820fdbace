"""Find rows that a model cannot give back (TimesNet, section 4.5; GPT4TS, section 4.5), scored without their labels.

Shapes: N training rows, M test rows, W windows, C channels, B batch, L seq_len.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_provider.anomaly import STEPS, AnomalyData, RowWindows, apart, every, load_anomalies
from data_provider.windows import make_loader
from exp.anomaly_rivals import rivals
from exp.base import Experiment
from models.base import check_finite
from utils.anomaly_scores import scores_of
from utils.device import peak_memory
from utils.errors import shown_path
from utils.files import save_tensors, writing_array
from utils.plots import plot_scores
from utils.progress import Progress
from utils.results import RECORD, SCORES, anomaly_table, anomaly_verdict, format_metric

logger = logging.getLogger(__name__)

ARRAY, PICTURE = "scores.npy", "scores.png"
MANY_ROWS = 50_000  # from which on the scores take long enough to say so


class AnomalyDetection(Experiment):
    """Train to give back windows of training rows, score test rows by the squared error of their reconstruction."""

    def load_data(self) -> None:
        config = self.config.data
        self.refuse_marks()
        self.data: AnomalyData = load_anomalies(config)
        self.length = config.seq_len
        step = config.window_step or STEPS.get(config.data, 1)
        self.step = STEPS.get(config.data, 1) if config.released else step
        self.train_loader = make_loader(
            RowWindows(self.data.train, every(self.data.parts["train"], self.length, step), self.length),
            self.config.training.batch_size * self.config.training.accumulate,
            shuffle_seed=self.config.seed,
            workers=self.config.runtime.num_workers,
            pin=self.device.type == "cuda",
        )

    def sizes(self) -> dict[str, int]:
        columns = len(self.data.rows.columns)
        return {"pred_len": self.length, "channels": columns, "season": 1, "known": 0, "reconstructs": 1}

    def data_record(self) -> dict[str, Any]:
        rows, scaler = self.data.rows, self.data.scaler
        return {
            "source": rows.source,
            "columns": list(rows.columns),
            "date_column": rows.date_column,
            "frequency": rows.frequency,
            "scaler": {"mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist()},
        }

    def describe_data(self) -> list[str]:
        rows, config, parts = self.data.rows, self.config.data, self.data.parts
        joined = f", {len(rows.series)} series joined" if rows.series else ""
        known = "no labels" if rows.labels is None else f"{rows.labels.mean():.2%} of the test rows are anomalous"
        counts = ", ".join(f"{name} {sum(last - first for first, last in spans):,}" for name, spans in parts.items())
        return [
            f"data: {rows.source}, {len(rows.columns)} channel(s){joined}; {known}",
            f"rows: {counts}; windows of {config.seq_len}, {len(self.train_loader)} training batches",
            f"protocol: {config.anomaly_protocol}" + (", as in the authors' code" if config.released else ""),
            *(f"note: {note}" for note in rows.notes),
        ]

    def validate(self) -> float:
        total, count = 0.0, 0
        for errors in self.errors(self.data.train, self.windows_of("validation"), "validation"):
            total, count = total + float(errors.sum(dtype=np.float64)), count + errors.size
        return total / count if self.compute.is_main_process else math.nan

    def windows_of(self, part: str) -> tuple[Tensor, Tensor]:
        """Return where the windows of a part begin that score its rows, and how many of their last rows are scored.

        With the release's protocol windows overlap, and all of their rows are.
        """
        spans = self.data.parts[part]
        if not self.config.data.released:
            return apart(spans, self.length)
        starts = every(spans, self.length, self.step)
        return starts, torch.full_like(starts, self.length)

    def errors(self, values: Tensor, windows: tuple[Tensor, Tensor], name: str) -> Iterator[np.ndarray]:
        """Yield the squared errors (rows, C) of the rows that windows score, in their order; on rank 0 alone."""
        starts, new = windows
        predictor = self.predictor(values.shape[1])
        loader = make_loader(RowWindows(values, starts, self.length), predictor.batch_size)
        first = 0
        with predictor.evaluating():
            for batch in Progress(loader, name, len(loader)):
                found = predictor.forecast_sharded(batch.x)
                counts = new[first : first + batch.size]
                first += batch.size
                if self.compute.is_main_process:
                    check_finite(found, self.data.rows.source)
                    scored = torch.arange(self.length) >= self.length - counts[:, None]  # (B, L)
                    yield (found - batch.x).square()[scored].numpy()

    def energies(self, part: str) -> np.ndarray:
        """Return the mean over channels of the squared error of each row of a part of training (rank 0)."""
        found = [errors.mean(axis=1) for errors in self.errors(self.data.train, self.windows_of(part), part)]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def test(self) -> list[dict[str, Any]]:
        config, rows, results = self.config, self.data.rows, self.config.results
        before = {part: self.energies(part) for part in ("train", "validation")}
        test = self._score_test(results / ARRAY)
        if not self.compute.is_main_process:
            return []
        threshold = self.threshold(before, test)
        self._keep(before)
        labels, series = self._labels(), self._series()
        metrics = {config.model: self._scored(test, threshold, labels, series)}
        for name, (energies, limit) in self._rivals().items():
            metrics[name] = self._scored(energies, limit, labels, series)
        record = self.record(results / RECORD, {**metrics[config.model], "metrics": metrics})
        record["cost"] = {"peak_memory": peak_memory(self.device)}
        picture = config.pictures / PICTURE
        plot_scores(picture, test, threshold, labels, f"{config.model} on {Path(rows.source).name}: score of test rows")
        said = [*anomaly_table(metrics), *anomaly_verdict(metrics, config.model), f"scores: {results / ARRAY}"]
        lines = [
            f"{name} " + ", ".join(f"{key}:{format_metric(value)}" for key, value in one.items() if _is_figure(value))
            for name, one in metrics.items()
        ]
        self.save(results / RECORD, record, lines, [*said, f"picture: {shown_path(picture)}"])
        return [record]

    def _score_test(self, path: Path) -> np.ndarray:
        """Return the energy of each scored test row, and write it before the errors of its channels, (M, 1 + C)."""
        windows, channels = self.windows_of("test"), self.data.test.shape[1]
        if not self.compute.is_main_process:
            for _ in self.errors(self.data.test, windows, "test"):
                pass
            return np.zeros(0)
        found = []
        with writing_array(path, (int(windows[1].sum()), 1 + channels)) as keep:
            for errors in self.errors(self.data.test, windows, "test"):
                found.append(errors.mean(axis=1))
                keep(np.concatenate([found[-1][:, None], errors], axis=1))
        return np.concatenate(found)

    def threshold(self, before: Mapping[str, np.ndarray], test: np.ndarray) -> float:
        """Return the energy above which a row counts as anomalous.

        A quantile of the energies of training and validation, with ``--alarm_rate`` of validation alone; as the release
        has it, of training and test.
        """
        config = self.config.data
        if config.released:
            return float(np.percentile(np.concatenate([before["train"], test]), 100 - config.anomaly_ratio))
        if config.alarm_rate is not None:
            return float(np.quantile(before["validation"], 1 - config.alarm_rate))
        return float(np.percentile(np.concatenate([*before.values()]), 100 - config.anomaly_ratio))

    def _labels(self) -> np.ndarray | None:
        """Return the labels of the scored rows."""
        labels = self.data.rows.labels
        if labels is None or not self.config.data.released:
            return labels
        return labels[(self.windows_of("test")[0][:, None] + torch.arange(self.length)).flatten().numpy()]

    def _series(self) -> dict[str, slice]:
        """Return the scored rows of each series."""
        if self.config.data.released:
            return {"": slice(None)}
        return {name: slice(*span) for name, span in zip(self.data.names, self.data.parts["test"], strict=True)}

    def _scored(
        self, energies: np.ndarray, threshold: float, labels: np.ndarray | None, series: Mapping[str, slice]
    ) -> dict[str, Any]:
        if labels is None:
            unknown = dict.fromkeys(("vus_pr", "auc_pr", "range_f", "f1", "pa_f1"))
            return {**unknown, "threshold": threshold, "flagged": int((energies > threshold).sum())}
        if len(energies) > MANY_ROWS and len(series) == 1:
            logger.info("VUS-PR of %s rows takes a while (minutes for a million)", f"{len(energies):,}")
        return scores_of(energies, threshold, labels, series, self.config.data.released)

    def _rivals(self) -> dict[str, tuple[np.ndarray, float]]:
        """Return energies of the scored test rows and threshold of each score that needs no network."""
        data, released = self.data, self.config.data.released
        found = {}
        for name, score in rivals(data.train, data.parts["train"], self.length, self.config.seed).items():
            before = {part: score(data.train, data.parts[part]) for part in ("train", "validation")}
            test = score(data.test, data.parts["test"])
            if released:
                test = test[(self.windows_of("test")[0][:, None] + torch.arange(self.length)).flatten().numpy()]
            found[name] = test, self.threshold(before, test)
        return found

    def _keep(self, before: Mapping[str, np.ndarray]) -> None:
        """Save the scores of training and validation beside the checkpoint: thresholds come from them."""
        if self.config.runtime.loaded_from:
            return
        tensors = {part: torch.from_numpy(np.sort(energies)) for part, energies in before.items()}
        try:
            save_tensors(self.folder / SCORES, tensors, {})
        except OSError as error:
            logger.info("note: %s cannot be written to (%s)", shown_path(self.folder), error.strerror or error)


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float)
