"""Figures of each epoch for people and tools: a CSV file or TensorBoard, by way of accelerate's trackers."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker, TensorBoardTracker

from exp.config import RunConfig
from utils.compute import Compute
from utils.errors import UserError
from utils.files import replacing

LOG, EVENTS = "log.csv", "tensorboard"

Figures = Mapping[str, Any]


class CSVTracker(GeneralTracker):
    """A table with a row per epoch, written anew after each: it is whole at any time, and has no epoch twice.

    Args:
        path: the file. rows: of the epochs before.
    """

    name = "csv"
    requires_logging_directory = False

    def __init__(self, path: Path, rows: Sequence[Figures]) -> None:
        super().__init__()
        self._path, self._rows = path, list(rows)

    @property
    def tracker(self) -> Path:
        return self._path

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Nothing: the configuration lies with the results."""

    def log(self, values: Figures, step: int | None = None, **kwargs: Any) -> None:
        """Add a row."""
        self._rows.append(dict(values))
        columns = dict.fromkeys(name for row in self._rows for name in row)
        with replacing(self._path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self._rows)


def check_log(log: str) -> None:
    """Raise UserError where what ``--log`` asks for is not installed."""
    if log == "tensorboard" and find_spec("tensorboard") is None:
        raise UserError("--log tensorboard needs its package: python -m pip install tensorboard, or choose csv.")


@contextmanager
def start_tracker(
    config: RunConfig, history: Sequence[Figures], compute: Compute
) -> Iterator[Callable[[Figures], None]]:
    """What to call with the figures of each epoch.

    Args:
        history: figures of the epochs before, of a training that goes on.
    """
    accelerator, log = compute.accelerator, config.runtime.log
    trackers: list[GeneralTracker] = []
    if compute.is_main and log == "csv":
        trackers = [CSVTracker(config.results / LOG, history)]
    elif compute.is_main and log == "tensorboard":
        # What a killed run logged beyond its last saved epoch is dropped.
        trackers = [TensorBoardTracker(EVENTS, str(config.results), purge_step=len(history) + 1)]
    accelerator.log_with, accelerator.trackers = trackers, []
    accelerator.init_trackers(config.setting)

    def track(figures: Figures) -> None:
        accelerator.log({name: value for name, value in figures.items() if value is not None}, step=figures["epoch"])

    try:
        yield track
    finally:
        for tracker in accelerator.trackers:  # end_training would end the processes' connection too
            tracker.finish()
        accelerator.trackers = []
