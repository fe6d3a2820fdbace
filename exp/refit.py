"""Train the model of a tested run once more on all rows, for a forecast that has seen the newest ones."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from exp.config import RunConfig
from exp.experiments import experiment_of
from exp.runs import best_to_forecast
from exp.trained_series import TrainedSeries
from models.checkpoint import copy_side_files, read_training
from utils.command import is_main_process
from utils.conformal import Intervals

logger = logging.getLogger(__name__)


def refit(config: RunConfig) -> None:
    """Train the model of a run on all rows of its file, for as many epochs as the run's test was made with.

    The new weights lie in a folder within the run's checkpoint, beside the figures of the test and its intervals: those
    were measured with the weights before, which is all that can be known of the new ones.
    """
    import models

    if not models.load(config.checkpoint).trains:
        return
    epochs = read_training(config.checkpoint)["best"]["epoch"]
    again = config.for_refit(epochs)
    of_several = config.model_config.chooses or config.training.averaged
    what = "what was chosen" if of_several else f"{epochs} epoch(s), as the test run chose,"
    logger.info("\nrefit: %s on all rows; the figures of the test stay those above", what)
    experiment_of(again).train()
    carry_over(config.checkpoint)


def carry_over(tested: Path) -> None:
    """Copy what a test showed beside the weights trained on all rows, its intervals on their scale; or do nothing."""
    import models

    again = best_to_forecast(tested)
    if again == tested or not is_main_process():
        return
    copy_side_files(tested, again, but_training=True)
    loaded = [models.load(folder) for folder in (tested, again)]
    old, new = (TrainedSeries.of(model) for model in loaded)
    shape = (loaded[0].config.pred_len, len(new.columns[new.scored]))
    if (intervals := Intervals.load(tested, shape)) is not None:
        ratio = np.square(old.scale / new.scale)[..., new.scored]
        floor = intervals.floor * ratio.reshape(-1, ratio.shape[-1]).mean(axis=0)
        replace(intervals, floor=floor).save(again)
