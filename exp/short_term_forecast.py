"""Short-term forecasting on M4 (CALF, section 4.2) and M3: one network per sampling frequency, many series."""

import logging
import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import torch

from data_provider.datasets import find_dataset
from data_provider.m4 import M4Data
from data_provider.series import FlatSeries, M4Samples, last_windows
from data_provider.windows import make_loader
from exp.base import Experiment
from exp.config import RESULTS
from exp.evaluation import baselines
from exp.experiments import TASKS
from exp.training import Score
from models.base import check_finite
from models.config import SIZES
from utils.errors import UserError
from utils.files import write_table
from utils.m4.naive2 import naive2
from utils.m4.patterns import COMPETITIONS
from utils.m4.scores import Scores, family_of, pool_records, score, seasonal_scale
from utils.plots import plot_series
from utils.progress import Progress
from utils.results import RECORD, compare
from utils.tables.records import read_records

logger = logging.getLogger(__name__)

DRAWN = 6  # series in the picture
MOST_SAMPLES = 20_000_000  # in an epoch: their order takes 40 bytes each


class ShortTermForecast(Experiment):
    """Train on random cuts of every series, forecast the last values of each, score as the competition did."""

    def load_data(self) -> None:
        config = self.config.data
        if self.config.model_config.reads_marks:
            raise UserError(f"--marks 1: the series of {config.competition.name} have no dates; leave it out.")
        self.pattern = config.pattern
        spec = find_dataset(config.data)
        self.data: M4Data = resolve_name(spec.read)(config, spec)
        self.series = FlatSeries(self.data.values, self.data.offsets)
        self._held_out = 0 if config.selects_on_test else self.pattern.horizon
        samples = M4Samples(
            self.series,
            self.pattern,
            config.seq_len,
            held_out=self._held_out,
            draws=config.samples_per_series,
            seed=self.config.seed,
        )
        if len(samples) > MOST_SAMPLES:
            raise UserError(
                f"--m4_draws {config.samples_per_series}: {len(samples):,} samples an epoch, more than "
                f"{MOST_SAMPLES:,}; choose fewer."
            )
        self.train_loader = make_loader(
            samples,
            self.config.training.batch_size * self.config.training.accumulate,
            shuffle_seed=self.config.seed,
            drop_last=False,
        )
        if config.selects_on_test:
            self.selected_on, self.score = "test", Score("test sMAPE (selected on test)", "test_smape")
        else:
            self.selected_on, self.score = "validation", Score("val sMAPE", "validation_smape")

    def sizes(self) -> dict[str, int]:
        return {"channels": 1, "season": self.pattern.season, "known": 0}

    def data_record(self) -> dict[str, Any]:
        return {
            "source": self.data.source,
            "columns": ["value"],
            "seasonal_patterns": self.pattern.name,
            "season": self.pattern.season,
            "selected_on": self.selected_on,
        }

    def describe_data(self) -> list[str]:
        config, pattern, lengths = self.config.data, self.pattern, np.diff(self.data.offsets)
        chosen_on = (
            "the test set, as the release does: this run is selected on test"
            if config.selects_on_test
            else f"the last {pattern.horizon} values of each training series, which no sample sees"
        )
        return [
            f"data: {self.data.source}, {len(lengths):,} series of {lengths.min():,} to {lengths.max():,} values",
            f"windows of {config.seq_len} -> {pattern.horizon}, season {pattern.season}; "
            f"{len(self.train_loader)} training batches, {config.samples_per_series} sample(s) of each series",
            f"the best epoch is chosen on {chosen_on}",
            *(f"note: {note}" for note in self.data.notes),
        ]

    def validate(self) -> float:
        forecast = self._forecast_all(self._held_out, "validation")
        if not np.isfinite(forecast).all():
            return math.nan
        truth = self.data.test
        if self._held_out:
            ends = self.data.offsets[1:, None]
            truth = self.data.values[ends - self._held_out + np.arange(self._held_out)]
        return score(forecast, truth, np.zeros(len(truth))).smape

    def test(self) -> list[dict[str, Any]]:
        forecast = self._forecast_all(0, "test")
        if not self.compute.is_main_process:
            return []
        check_finite(torch.from_numpy(forecast), self.data.source)
        forecasts = {self.config.model: forecast, **self._baselines()}
        names = [f"V{step + 1}" for step in range(self.pattern.horizon)]
        folder = f"{self.config.model}{'_selected-on-test' if self.config.data.selects_on_test else ''}"
        path = Path(f"{self.config.data.data}_results") / folder / f"{self.pattern.name}_forecast.csv"
        for place in (path, self.config.results / path.name):  # the first is that of the latest run
            write_table(place, self.data.ids, forecast, names)
        picture = self.config.pictures / "series.png"
        self._draw(forecasts, picture)
        scores = self._score(forecasts)
        own = {metric: getattr(scores[self.config.model], metric) for metric in TASKS[self.config.task_name].metrics}
        record = self.record(
            self.config.results / RECORD,
            {**own, "metrics": {name: asdict(s) for name, s in scores.items()}},
            {"selected_on": self.selected_on, "naive2": "computed" if self.data.naive2 is None else "official"},
        )
        may_differ = {*SIZES, *self.config.training_flags}
        said = (*_report(record, may_differ), f"forecasts: {path}", f"picture: {picture}")
        self.save(self.config.results / RECORD, record, _score_lines(record), said)
        return [record]

    def _forecast_all(self, before_end: int, name: str) -> np.ndarray:
        """Return the forecasts (N, H) that follow the value ``before_end`` before the end of each training series."""
        x = last_windows(self.series, max(self.config.data.seq_len, self.model.lookback), before_end)
        predictor = self.predictor(self.sizes()["channels"])
        parts = x.split(predictor.batch_size)
        with predictor.evaluating():
            forecasts = [predictor.forecast_sharded(part) for part in Progress(parts, name, len(parts))]
        return torch.cat(forecasts)[..., 0].double().numpy()

    def _baselines(self) -> dict[str, np.ndarray]:
        """Return the forecasts (N, H) that need no training, computed in float64."""
        values, offsets, pattern = self.data.values, self.data.offsets, self.pattern
        series = FlatSeries(values, offsets, np.float64)
        models = baselines(pattern.horizon, 1, pattern.season, self.config.model)
        found = {
            name: model(last_windows(series, model.lookback, 0)).forecast[..., 0].numpy()
            for name, model in models.items()
        }
        official = self.data.naive2
        found["naive2"] = naive2(values, offsets, pattern.horizon, pattern.season) if official is None else official
        return found

    def _score(self, forecasts: Mapping[str, np.ndarray]) -> dict[str, Scores]:
        scale = seasonal_scale(self.data.values, self.data.offsets, self.pattern.season)
        reference = score(forecasts["naive2"], self.data.test, scale)
        return {name: score(forecast, self.data.test, scale, reference) for name, forecast in forecasts.items()}

    def _draw(self, forecasts: Mapping[str, np.ndarray], path: Path) -> None:
        """Draw series evenly spread over the file, with the values that the model saw."""
        chosen = np.unique(np.linspace(0, len(self.data.ids) - 1, DRAWN).round().astype(int))
        selected = ", selected on test" if self.config.data.selects_on_test else ""
        plot_series(
            path,
            [self.data.ids[i] for i in chosen],
            [self.data.series(i)[-self.config.data.seq_len :] for i in chosen],
            self.data.test[chosen],
            {name: forecasts[name][chosen] for name in (self.config.model, "naive2")},
            f"{self.config.model} on {self.config.data.competition.name} {self.pattern.name}{selected}",
        )


def _score_lines(record: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} smape:{_shown(s['smape'])}, mase:{_shown(s['mase'])}, mape:{_shown(s['mape'])}, owa:{_shown(s['owa'])}"
        for name, s in record["scores"]["metrics"].items()
    ]


def _report(record: Mapping[str, Any], may_differ: Container[str]) -> Iterator[str]:
    """Yield the competition's table over all patterns run with one seed and backbone, and the verdict on this one."""
    competition = COMPETITIONS[record["data"]["name"]]
    found, _ = read_records(RESULTS)
    others = [other for other in found if family_of(other.content, may_differ) == family_of(record, may_differ)]
    others.sort(key=lambda other: other.modified)
    selected = ", selected on test" if record["data"]["selected_on"] == "test" else ""
    yield ""
    yield f"{competition.name}, seed {record['run']['seed']}{selected}"
    yield f"  {'':<10}{'forecast':<16}{'sMAPE':>10}{'MASE':>10}{'MAPE':>10}{'OWA':>10}"
    for pool, group in pool_records([*(other.content for other in others), record]).items():
        for i, (name, scores) in enumerate(group.scores.items()):
            figures = "".join(f"{_shown(value):>10}" for value in (scores.smape, scores.mase, scores.mape, scores.owa))
            yield f"  {'' if i else pool:<10}{name.replace('_', ' '):<16}{figures}"
        if not group.missing:
            for name, published in competition.published.items():
                yield f"  {'':<10}{f'{name}, published':<17}{_shown(published[pool]):>9}"
        if group.missing:
            yield f"  {'':<10}without {', '.join(group.missing)}: not run with this seed and backbone"
    yield ""
    scores, model = record["scores"]["metrics"], record["model"]["name"]
    measure, title = ("owa", "OWA") if scores[model]["owa"] is not None else ("smape", "sMAPE")
    for name in (name for name in ("naive2", "seasonal_naive") if name in scores):
        rival = f"{name.replace('_', ' ')} forecast on {record['data']['config']['seasonal_patterns']}"
        said = compare(model, rival, title, scores[model][measure], scores[name][measure])
        yield f"{said.removesuffix('.')}{selected}."


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
