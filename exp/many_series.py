"""Forecast many series of one file with one network: any lengths, each with a scale of its own."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_provider.many import ManyData, load_many
from data_provider.reading import spans, written_dates
from data_provider.series import SeriesWindows
from data_provider.windows import Split, make_loader
from exp.evaluation import Predictor
from exp.long_term_forecast import LongTermForecast
from exp.series_scores import in_units, references, score_series, wins
from exp.sums import TotalErrors
from exp.targets import shuffle_folder
from utils.answer import TargetErrors, answer_of
from utils.conformal import OF_TOTAL
from utils.device import peak_memory
from utils.errors import shown_path
from utils.files import replacing
from utils.plots import plot_series
from utils.results import RECORD, save_metrics, save_skill

logger = logging.getLogger(__name__)

SCORES = "series_scores.csv"
DRAWN, SHOWN = 6, 3  # series in the picture, and in the header


class ManySeriesForecast(LongTermForecast):
    """Train on random cuts of every series, validate and test on the windows at the end of each."""

    data: ManyData

    def load_data(self) -> None:
        config = self.config
        self.data = load_many(config.data, config.seed, marks=config.model_config.reads_marks, all_rows=config.is_refit)
        self.scored = self.data.scored
        self.train_loader = make_loader(
            self.data.samples,
            config.training.batch_size * config.training.accumulate,
            shuffle_seed=config.seed,
            pin=self.device.type == "cuda",
        )

    def validation_parts(self, data: ManyData) -> tuple[SeriesWindows, SeriesWindows]:
        """Return all validation windows twice: series have few, and choose the epoch and calibrate together."""
        return data.windows[Split.VAL], data.windows[Split.VAL]

    def data_record(self) -> dict[str, Any]:
        data, grid = self.data, self.data.panel.grid
        return {
            "source": data.source,
            "columns": list(data.columns),
            "features": self.config.data.features,
            "target": self.config.data.target,
            "date_column": grid.date_column,
            "id_column": data.panel.id_column,
            "value_column": None,
            "tz": self.config.data.tz,
            "frequency": grid.frequency,
            "season": data.season,
            "known": data.known.to_json(),
            "ids": list(data.panel.ids),
            "lowest": data.panel.lowest.tolist(),
            "scaler": {"mean": data.mean.tolist(), "scale": data.scale.tolist()},
        }

    def describe_data(self) -> list[str]:
        data, config = self.data, self.config.data
        lengths, grid = data.panel.lengths, data.panel.grid
        first, last = written_dates(grid.dates[[0, -1]], None, grid.form)
        counts = ", ".join(f"{split.value} {len(windows):,}" for split, windows in data.windows.items())
        return [
            f"data: {data.source}, {len(lengths):,} series of {lengths.min():,} to {lengths.max():,} rows, "
            f"{first} to {last} ({grid.frequency})",
            *(f"  {line}" for line in spans(data.panel, SHOWN)),
            f"one network for all, {len(data.columns)} channel(s) ({config.features}), target {data.columns[-1]}",
            *([f"known in advance: {', '.join(data.known.names)}"] if data.known.names else []),
            f"windows of {config.seq_len} -> {config.pred_len}: {counts}; {len(data.samples):,} random cuts an epoch, "
            f"{len(self.train_loader)} training batches",
            *(f"note: {note}" for note in data.notes),
        ]

    def test(self) -> list[dict[str, Any]]:
        config, data, name, runtime = self.config, self.data, self.config.model, self.config.runtime
        shuffle, predictor = config.shuffle_input, self.shuffled_predictor(len(data.columns))
        coverage = self._coverage()
        results, pictures = (shuffle_folder(at, shuffle) for at in (config.results, config.pictures))
        errors, totals = TargetErrors(len(data.windows[Split.TEST])), TotalErrors(len(data.panel.ids))
        reports, inside, table = score_series(
            predictor, data, name, references(data, config.data.pred_len, name), coverage, results,
            bool(runtime.save_arrays), runtime.inverse, errors, totals,
        )  # fmt: skip
        if not reports:
            return []
        own = reports[name]["standardised"]
        scores = {"mse": own["mse"], "mae": own["mae"], "metrics": reports}
        scores["arrays"] = "units of each series" if runtime.inverse else "standardised"
        if inside:
            scores["intervals"] = inside
        lines = list(wins(table, name))
        answer = answer_of(name, data.scored_columns[-1], reports, inside, errors, data.season, None)
        record = self.record(results / RECORD, scores, {"shuffle_input": shuffle} if shuffle != "none" else None)
        seconds = predictor.seconds / reports[name]["windows"]
        record["cost"] = {"milliseconds_per_forecast": 1e3 * seconds, "peak_memory": peak_memory(self.device)}
        if self._on_own_data and shuffle == "none":
            self._keep(lambda: save_skill(self.folder, record, answer))
            self._keep_intervals(coverage)
            if (of_total := totals.intervals()) is not None:
                self._keep(lambda: of_total.save(self.folder, OF_TOTAL))
        save_metrics(results, own)
        with replacing(results / SCORES) as temporary:
            table.to_csv(temporary, index=False, float_format="%.10g")
        picture = pictures / "series.png"
        self._draw(predictor, picture)
        said = (
            *self._said(reports, inside, answer, config.data), *lines,
            f"scores of each series, in its units: {shown_path(results / SCORES)}", f"picture: {picture}",
        )  # fmt: skip
        self.save(results / RECORD, record, [*self._score_lines(record), *lines], said)
        return [record]

    def _draw(self, predictor: Predictor, path: Path) -> None:
        """Draw the last test window of series evenly spread over the file, in their units."""
        data, windows = self.data, self.data.windows[Split.TEST]
        ends = torch.cat([windows.which.diff().nonzero().flatten(), torch.tensor([len(windows) - 1])])
        chosen = ends[torch.linspace(0, len(ends) - 1, min(DRAWN, len(ends))).round().long()].unique()
        which = windows.which[chosen].numpy()
        model = predictor.model
        seen = windows.looking_back(model.lookback, model.least_lookback, data.source)
        batch = seen.__getitems__(chosen.tolist())
        with predictor.evaluating():
            forecast = predictor.forecast(batch.x, **batch.covariates)[..., data.scored].cpu()
        simple = {key: one(windows.which[chosen], windows.origins[chosen]) for key, one in self._one_simple().items()}
        target = [in_units(values.numpy(), data, which)[..., -1] for values in (forecast, *simple.values())]
        starts = np.maximum(batch.origins.numpy() - self.config.data.seq_len, data.panel.offsets[which])
        values = data.panel.values[:, -1]
        plot_series(
            path,
            [data.panel.ids[i] for i in which],
            [values[start:end] for start, end in zip(starts, batch.origins.tolist(), strict=True)],
            np.stack([values[origin : origin + self.config.data.pred_len] for origin in batch.origins.tolist()]),
            dict(zip((self.config.model, *simple), target, strict=True)),
            f"{self.config.model} on {shown_path(Path(data.source).name)}, {data.columns[-1]}: the last test windows",
        )

    def _one_simple(self) -> Mapping[str, Any]:
        """Return the best known of the simple forecasts, to draw beside the model's."""
        found = references(self.data, self.config.data.pred_len, self.config.model)
        return dict([*found.items()][-1:])
