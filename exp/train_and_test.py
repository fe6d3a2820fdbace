"""Train and test a configuration, and repeat nothing that was done before."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from exp.config import RunConfig
from exp.experiments import experiment_of
from exp.resume import clear_state
from exp.runs import finished, is_trained
from utils.command import is_main_process
from utils.errors import shown_path
from utils.files import clear_after_kill
from utils.results import run_figures, run_title

logger = logging.getLogger(__name__)


def train_and_test(config: RunConfig, dry_run: bool = False, overwrite: bool = False) -> list[dict[str, Any]]:
    """Train and test, and return the records; of a finished run nothing is repeated, and a trained one only tested.

    Args:
        dry_run: only say what would be done.
        overwrite: repeat what is finished.
    """
    if not dry_run and is_main_process():
        clear_after_kill(config.checkpoint, config.results, config.pictures)
    if dry_run or overwrite:
        return experiment_of(config).train_and_test(dry_run, overwrite)
    records = finished(config)
    if records and is_trained(config) and _tests_more(config, records.values()):
        logger.info("%s is trained; it is tested again for what was asked for", config.setting)
        return experiment_of(config).test_stored(config.checkpoint)
    if records and (is_trained(config) or not config.runtime.goes_on):
        logger.info("%s is finished; --overwrite repeats it", config.setting)
        for path, record in records.items():
            title, figures = run_title(record), run_figures(record)
            logger.info("  %s, seed %d: %s (%s)", title, config.seed, figures, shown_path(path))
        return list(records.values())
    if is_trained(config):
        logger.info("%s is trained; --overwrite repeats it", config.setting)
        if is_main_process():
            clear_state(config.checkpoint)  # left by a kill just after the training's end
        return experiment_of(config).test_stored(config.checkpoint)
    return experiment_of(config).train_and_test()


def _tests_more(config: RunConfig, records: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a run asks for something of its test that the finished one did not leave."""
    runtime = config.runtime
    wanted = {f"{level:g}" for level in runtime.levels}
    measured = [record["scores"].get("intervals", {}).keys() for record in records]
    return bool(runtime.backtest or runtime.adaptive or any(levels and wanted - levels for levels in measured))
