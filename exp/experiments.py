"""The experiments, by the name of their task on the command line."""

from exp.base import Experiment
from exp.config import RunConfig
from exp.long_term_forecast import LongTermForecast
from exp.short_term_forecast import ShortTermForecast
from exp.zero_shot_forecast import ZeroShotForecast

EXPERIMENTS: dict[str, type[Experiment]] = {
    "long_term_forecast": LongTermForecast,
    "short_term_forecast": ShortTermForecast,
}


def experiment_of(config: RunConfig) -> type[Experiment]:
    """The kind of experiment that a configuration asks for."""
    return ZeroShotForecast if config.targets else EXPERIMENTS[config.task_name]
