"""Train the model of a tested run once more on all rows, for a forecast that has seen the newest ones."""

import logging
from dataclasses import replace

import numpy as np

from exp.config import RunConfig
from exp.experiments import experiment_of
from exp.trained_series import TrainedSeries
from models.base import Model
from models.checkpoint import copy_side_files, read_training
from utils.command import is_main_process
from utils.conformal import Intervals

logger = logging.getLogger(__name__)


def refit(config: RunConfig) -> None:
    """Train the model of a run on all rows of its file, for as many epochs as the run's test was made with.

    The new weights lie in a folder within the run's checkpoint, beside the figures of the test and its intervals: those
    were measured with the weights before, which is all that can be known of the new ones.
    """
    epochs = read_training(config.checkpoint)["best"]["epoch"]
    again = config.for_refit(epochs)
    if not config.model_config.trains:
        return
    what = "what was chosen" if config.model_config.chooses else f"{epochs} epoch(s), as the test run chose,"
    logger.info("\nrefit: %s on all rows; the figures of the test stay those above", what)
    experiment = experiment_of(again)
    experiment.refit()
    if is_main_process():
        _carry_over(config, again, experiment.model)


def _carry_over(tested: RunConfig, again: RunConfig, model: Model) -> None:
    """Copy what the test showed beside the new weights, and its intervals on the new scale."""
    import models

    copy_side_files(tested.checkpoint, again.checkpoint, but_training=True)
    old, new = (TrainedSeries.of(models.load(run.checkpoint)) for run in (tested, again))
    shape = (model.config.pred_len, len(new.columns[new.scored]))
    if (intervals := Intervals.load(tested.checkpoint, shape)) is not None:
        ratio = np.square(old.scale / new.scale)[..., new.scored]
        floor = intervals.floor * ratio.reshape(-1, ratio.shape[-1]).mean(axis=0)
        replace(intervals, floor=floor).save(again.checkpoint)
