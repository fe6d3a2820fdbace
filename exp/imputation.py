"""Find hidden values of windows again, beside fills that need no model (TimesNet, section 4.3; GPT4TS, section 4.4)."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from data_provider.datasets import find_dataset
from data_provider.hidden import HiddenWindows, load_hidden
from data_provider.reading import counted
from data_provider.windows import Batch, Split
from exp.evaluation import original_units, scored_targets
from exp.on_series import OnSeries
from models.base import check_finite
from utils.device import peak_memory
from utils.errors import UserError, shown_path
from utils.files import write_json, writing_array
from utils.interpolation import FILLS
from utils.metrics import ErrorSums, window_errors
from utils.plots import first_and_last, plot_filled
from utils.results import ERRORS, RECORD, TEST, comparison, imputation_verdict, save_metrics

DRAWN = 3  # windows


class Imputation(OnSeries):
    """Train on hidden values of training windows, score on those of all test windows, which every model shares."""

    def load_data(self) -> None:
        config = self.config
        self.refuse_marks()
        self.data = load_hidden(config.data, config.seed, config.model_config.takes_visible)
        self.load_batches()

    def sizes(self) -> dict[str, int]:
        released = self.config.data.imputation_protocol == "release"
        of_window = {"pred_len": self.config.data.seq_len, "reconstructs": 1, "mean_of_all": int(released)}
        return super().sizes() | of_window

    def windows_in_words(self) -> str:
        config = self.config.data
        hidden = "single values" if config.mask_kind == "point" else "gaps"
        where = "as released" if config.imputation_protocol == "release" else "inside their split"
        return f"{config.seq_len} steps {where}, {float(config.mask_rate):.4g} of their values hidden ({hidden})"

    def validate(self) -> float:
        sums = ErrorSums(self.config.data.seq_len, len(self.data.scored_columns))
        windows = self.data.windows[Split.VAL]
        for batch, found in self.predictor(len(self.data.columns)).batches(self.data, windows, "validation"):
            sums.add(found, batch.y[..., self.data.scored], scored_targets(batch, self.data))
        return sums.mse if self.compute.is_main_process else math.nan

    def test(self) -> list[dict[str, Any]]:
        config, data, results = self.config, self.data, self.config.results
        reports, share, seconds = self._score(results)
        if not reports:
            return []
        model = config.model
        self._draw(config.pictures)
        own = reports[model]["standardised"]
        scores = {"mse": own["mse"], "mae": own["mae"], "hidden_share": share, "metrics": reports}
        record = self.record(results / RECORD, scores)
        windows = reports[model]["windows"]
        record["cost"] = {"milliseconds_per_window": 1e3 * seconds / windows, "peak_memory": peak_memory(self.device)}
        save_metrics(results, own)
        if not config.runtime.loaded_from:  # what is measured on other data does not go with the checkpoint
            write_json(self.folder / TEST, {"model": model, "windows": windows, "metrics": reports})
        said = [*self._said(reports), f"pictures: {shown_path(config.pictures)}"]
        lines = [f"mse:{own['mse']:.6f}, mae:{own['mae']:.6f} (standardised, hidden values of {windows} windows)"]
        lines += [
            f"{name} mse:{report['standardised']['mse']:.6f}, mae:{report['standardised']['mae']:.6f}"
            for name, report in reports.items()
            if name != model
        ]
        self.save(results / RECORD, record, [*lines, f"hidden: {share:.4f} of {data.source}"], said)
        return [record]

    def _score(self, folder: Path) -> tuple[dict[str, Any], float, float]:
        """Score the model and the fills on all hidden values of the test windows.

        Returns:
            ``ErrorSums.report`` by name, the model first; the share of the values that was hidden; seconds of the
            model. All empty on every rank but 0.
        """
        data, model = self.data, self.config.model
        windows: HiddenWindows = data.windows[Split.TEST]
        shape = (windows.seq_len, len(data.scored_columns))
        sums = {name: ErrorSums(*shape) for name in (model, *FILLS)}
        predictor = self.predictor(len(data.columns))
        if not self.compute.is_main_process:
            for _ in predictor.batches(data, windows, "test"):
                pass
            return {}, 0.0, 0.0
        with writing_array(folder / ERRORS, (len(windows), 2)) as keep:
            for batch, found in predictor.batches(data, windows, "test"):
                check_finite(found, data.source)
                truth, hidden = batch.y[..., data.scored], scored_targets(batch, data)
                sums[model].add(found, truth, hidden)
                for name, filled in self._fills(batch, windows):
                    sums[name].add(filled, truth, hidden)
                keep(window_errors(found, truth, hidden).numpy())
        count = sums[model].counts.sum()
        if count == 0:
            raise UserError(f"{data.source}: nothing is hidden in the test windows: raise --mask_rate.")
        scale = data.scaler.scale_[data.scored]
        reports = {name: one.report(data.scored_columns, scale) for name, one in sums.items()}
        return reports, float(count / (len(windows) * shape[0] * shape[1])), predictor.seconds

    def _fills(self, batch: Batch, windows: HiddenWindows) -> Iterator[tuple[str, Tensor]]:
        """Yield what each fill puts in the scored channels of a batch, by its name."""
        shown = windows.shown(batch.origins)[..., self.data.scored]
        x = batch.x[..., self.data.scored].double()
        for name, fill in FILLS.items():
            yield name, fill(x, shown)

    def _said(self, reports: Mapping[str, Any]) -> Iterator[str]:
        """Yield the tables of a test, and whether the model beats the fills."""
        if not find_dataset(self.config.data.data).named_by_user or self.config.runtime.verbose:
            yield from comparison(reports)
        yield from imputation_verdict(reports, self.config.model)

    def _draw(self, pictures: Path) -> None:
        """Draw the first, the middle and the last test window, in the data's units."""
        data, windows = self.data, self.data.windows[Split.TEST]
        chosen = sorted({0, len(windows) // 2, len(windows) - 1})[:DRAWN]
        batch = windows.__getitems__(chosen)
        predictor = self.predictor(len(data.columns))
        with predictor.evaluating():
            found = predictor.forecast(batch.x, **batch.covariates)[..., data.scored].cpu().numpy()
        lines = dict(self._fills(batch, windows))
        hidden = scored_targets(batch, data).numpy()
        for i, index in enumerate(chosen):
            first = int(batch.origins[i])
            linear = original_units(lines["linear_interpolation"][i].numpy(), data)
            plot_filled(
                pictures / f"window_{index:05d}.png",
                counted(data.dates[first : first + windows.seq_len], data.form),
                original_units(windows.window(index)[:, data.scored], data),
                hidden[i],
                {self.config.model: original_units(found[i], data), "linear interpolation": linear},
                first_and_last(data.scored_columns),
                f"{self.config.model} on {data.source}, test window {index}",
            )
