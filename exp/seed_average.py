"""Average the forecasts of several seeds of a trained model, as one forecaster (``--itr N --seed_average``)."""

from dataclasses import replace

import models
from exp.base import Experiment
from exp.config import RunConfig
from exp.runs import is_trained, trained_config
from exp.training import save_training
from models.checkpoint import read_training
from models.members import SeedAverage
from utils.errors import UserError, shown_path


def averaging(base: type[Experiment]) -> type[Experiment]:
    """Return a way to run ``base`` whose model is the average of several that were trained before."""
    return type(f"Averaging{base.__name__}", (Averaging, base), {})


class Averaging(Experiment):
    """An experiment whose model is the average of the models of several seeds, each the run of a seed."""

    def prepare(self, write: bool = True) -> None:
        """Load the model of each seed.

        Raises:
            UserError: one is not trained.
        """
        members = self._members()
        if missing := [one for one in members if not is_trained(one)]:
            raise UserError(f"--seed_average: {shown_path(missing[0].checkpoint)} is not trained.")
        self.model = SeedAverage([models.load(one.checkpoint) for one in members], [one.seed for one in members])
        self._place()

    def fit(self) -> None:
        """Validate the average and save it.

        The seconds of its training are those of all members, its epoch is that of the member trained longest.
        """
        trainings = [read_training(one.checkpoint) for one in self._members()]
        score = self.compute.broadcast(self.validate()) if self.validates else 0.0
        self.save_best(max(training["best"]["epoch"] for training in trainings) - 1, score)
        self.training = save_training(self, sum(training["seconds"] for training in trainings), epochs=[])

    def _members(self) -> list[RunConfig]:
        """Return the configuration that each member was trained with: on all rows, where this one is."""
        config, runtime = self.config, replace(self.config.runtime, part_of=None, all_rows=False)
        if config.is_refit:
            config = trained_config(config.checkpoint.parent, runtime)
        alone = replace(config, training=replace(config.training, averaged=0), runtime=runtime)
        found = [replace(alone, seed=config.seed + i) for i in range(config.training.averaged)]
        if self.config.is_refit:
            return [one.for_refit(read_training(one.checkpoint)["best"]["epoch"]) for one in found]
        return found
