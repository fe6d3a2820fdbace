"""Choose how many steps a model sees, by its error on the validation windows (``--seq_len search``)."""

import logging
from collections.abc import Iterator
from dataclasses import replace

from data_provider.config import LOOK_BACKS, SEARCH
from data_provider.windows import Split
from exp.config import RunConfig
from exp.experiments import experiment_of
from exp.training import Trainable
from models.checkpoint import read_training
from utils.errors import UserError

logger = logging.getLogger(__name__)


def with_best_look_back(config: RunConfig, dry_run: bool = False, overwrite: bool = False) -> RunConfig:
    """Train a model with each look-back, and return the configuration of the one with the lowest validation error.

    The truth of the validation windows is the same for all of them. The test split is not looked at. What was trained
    before is not trained again.

    Args:
        dry_run: only say what would be trained, and return the configuration of the shortest.
        overwrite: repeat what is trained.

    Raises:
        UserError: the model trains nothing, chooses among others, or is for many series.
    """
    if config.model_config.chooses or not config.model_config.trains or config.holds_many:
        what = "many series" if config.holds_many else f"--model {config.model}"
        raise UserError(f"--seq_len {SEARCH} does not go with {what}: give a number of steps.")
    found: dict[int, float] = {}
    candidates = [*_candidates(config)]
    for one in candidates:
        logger.info("\nlook-back: %d steps", one.data.seq_len)
        experiment = experiment_of(one)
        if dry_run:
            experiment.train_and_test(dry_run=True)
            continue
        experiment.train(overwrite)
        found[one.data.seq_len] = read_training(one.checkpoint)["best"][Trainable.score.key]
    if dry_run:
        return candidates[0]
    best = min(found, key=found.__getitem__)
    logger.info("\nlook-back   %s", Trainable.score.name)
    for steps, error in found.items():
        logger.info("%9d   %.5f%s", steps, error, " (chosen)" if steps == best else "")
    return next(one for one in candidates if one.data.seq_len == best)


def _candidates(config: RunConfig) -> Iterator[RunConfig]:
    """Yield a configuration for each look-back that leaves the file a training window, the shortest first.

    What suits a file of the user's is one of them.
    """
    shortest, *longer = sorted({*LOOK_BACKS, config.data.seq_len})
    first = replace(config, data=replace(config.data, seq_len=shortest, searched=True))
    windows = experiment_of(first).data.windows[Split.TRAIN]
    rows = len(windows) + windows.seq_len - 1
    yield first
    for steps in longer:
        if steps <= rows:
            yield replace(first, data=replace(first.data, seq_len=steps))
        else:
            logger.info("look-back of %d steps: left out, the training rows are too few", steps)
