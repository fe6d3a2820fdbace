"""Zero-shot forecasting (CALF, section 4.4): train on one data set, test on others."""

import logging
from typing import Any

from data_provider.config import DataConfig
from data_provider.factory import ForecastData, load_data
from data_provider.windows import Split
from exp.long_term_forecast import LongTermForecast
from exp.targets import of_target, zero_shot_folder
from utils.errors import UserError

logger = logging.getLogger(__name__)


class ZeroShotForecast(LongTermForecast):
    """A long-term forecaster tested on other series, each standardised by its own training rows."""

    def load_data(self) -> None:
        super().load_data()
        self.targets = {name: self._load_target(config) for name, config in self.config.targets.items()}

    def describe_data(self) -> list[str]:
        return [*super().describe_data(), *(line for data in self.targets.values() for line in self._describe(data))]

    def test(self) -> list[dict[str, Any]]:
        return [record for name, data in self.targets.items() for record in self._test_target(name, data)]

    def _load_target(self, config: DataConfig) -> ForecastData:
        """Read a target.

        Raises:
            UserError: it cannot be used, or has another number of channels than the network.
        """
        try:
            data = load_data(config, any_target=True)
        except UserError as error:
            raise of_target(error) from error
        if len(data.columns) != len(self.data.columns):
            raise UserError(
                f"--target_data {config.data}: {data.source} has {len(data.columns)} channels, "
                f"{self.config.data.data} ({self.data.source}) has {len(self.data.columns)}; they have to be as many."
            )
        return data

    def _describe(self, data: ForecastData) -> list[str]:
        notes = list(data.notes)
        if data.frequency != self.data.frequency:
            notes.append(
                f"WARNING: the step is {data.frequency} here and {self.data.frequency} in {self.data.source}: "
                "the network meets another sampling frequency than it was trained on"
            )
        if data.columns != self.data.columns:
            notes.append(f"its columns are {', '.join(data.columns)}; the network takes them in this order")
        windows = data.windows[Split.TEST]
        return [
            f"zero-shot test: {data.source}, {len(data.dates):,} rows, {len(windows):,} windows",
            *(f"  note: {note}" for note in notes),
        ]

    def _test_target(self, name: str, data: ForecastData) -> list[dict[str, Any]]:
        logger.info("")
        logger.info("zero-shot: trained on %s, tested on %s", self.config.data.data, name)
        folder = zero_shot_folder(self.config.results, name)
        pictures = zero_shot_folder(self.config.pictures, name)
        target = self.config.targets[name]
        # Intervals of the source say nothing about another series, and a zero-shot test learns nothing from it.
        return self.score_on(data, target, folder, pictures, half_widths={}, tested_on=name)
