"""Run a task on the windows of one series: what forecasting and imputation share."""

from typing import Any

from data_provider.factory import ForecastData
from data_provider.reading import written_dates
from data_provider.windows import Split, make_loader
from exp.base import Experiment


class OnSeries(Experiment):
    """An experiment on windows of one standardized series. A task adds what it reads, validates and tests."""

    data: ForecastData

    def load_batches(self) -> None:
        """Make the training batches of the data."""
        self.scored = self.data.scored
        self.train_loader = make_loader(
            self.data.windows[Split.TRAIN],
            self.config.training.batch_size * self.config.training.accumulate,
            shuffle_seed=self.config.seed,
            workers=self.config.runtime.num_workers,
            pin=self.device.type == "cuda",
        )

    def sizes(self) -> dict[str, int]:
        return {"channels": len(self.data.columns), "season": self.data.season, "known": len(self.data.known.names)}

    def data_record(self) -> dict[str, Any]:
        return {
            "source": self.data.source,
            "columns": list(self.data.columns),
            "features": self.config.data.features,
            "target": self.config.data.target,
            "date_column": self.data.date_column,
            "value_column": self.data.value_column,
            "tz": self.config.data.tz,
            "frequency": self.data.frequency,
            "season": self.data.season,
            "known": self.data.known.to_json(),
            "lowest": self.data.lowest.tolist(),
            "scaler": {"mean": self.data.scaler.mean_.tolist(), "scale": self.data.scaler.scale_.tolist()},
        }

    def describe_data(self) -> list[str]:
        data, config = self.data, self.config.data
        counts = ", ".join(f"{split.value} {len(windows):,}" for split, windows in data.windows.items())
        few_shot = "" if config.percent == 100 else f", {config.percent} % of the training rows"
        first, last = written_dates(data.dates[[0, -1]], None, data.form)
        return [
            f"data: {data.source}, {len(data.dates):,} rows, {first} to {last} ({data.frequency})",
            f"channels: {len(data.columns)} ({config.features}), target {data.columns[-1]}",
            *([f"known in advance: {', '.join(data.known.names)}"] if data.known.names else []),
            f"windows of {self.windows_in_words()}: {counts}; {len(self.train_loader)} training batches{few_shot}",
            *(f"note: {note}" for note in data.notes),
        ]

    def windows_in_words(self) -> str:
        """Return the length of the windows for the header."""
        return f"{self.config.data.seq_len} -> {self.config.data.pred_len}"
