"""List the tasks by their name on the command line: a new one is a file with its experiment, and one more row."""

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from exp.options import OF_A_FORECAST


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        experiment: place of its ``Experiment``.
        metrics: the scores that tables show, best known first; keys of a record's ``scores``.
        zero_shot: place of the ``Experiment`` for ``--zero_shot 1``; None where there is no zero-shot test.
        many: place of the ``Experiment`` for a file of many series; None where that is not possible.
        mixed: place of the ``Experiment`` that trains on several data sets; None where that is not possible.
        one_series: whether it works on one series in a file, which ``--do_predict`` and ``--check_data`` are for.
        losses: names of losses that need what only this task has.
    """

    experiment: str
    title: str
    metrics: tuple[str, ...]
    data: str
    default_data: str
    zero_shot: str | None = None
    many: str | None = None
    mixed: str | None = None
    one_series: bool = False
    losses: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()


def experiment_of(config: Any) -> Any:
    """Return the experiment that runs a configuration: by its task, its data and its model."""
    task = TASKS[config.task_name]
    place = task.mixed if config.sets else task.zero_shot if config.targets else task.experiment
    if config.holds_many:
        place = task.many
    experiment = resolve_name(place)
    if config.model_config.chooses:
        experiment = resolve_name("exp.auto:choosing")(experiment)
    return experiment(config)


TASKS = {
    "long_term_forecast": Task(
        experiment="exp.long_term_forecast:LongTermForecast",
        title="Long-term forecasting",
        metrics=("mse", "mae"),
        data="data_provider.config:DataConfig",
        default_data="sample",
        zero_shot="exp.long_term_forecast:ZeroShotForecast",
        many="exp.many_series:ManySeriesForecast",
        mixed="exp.mixed_forecast:MixedForecast",
        one_series=True,
    ),
    "short_term_forecast": Task(
        experiment="exp.short_term_forecast:ShortTermForecast",
        title="Short-term forecasting",
        metrics=("smape", "mase", "mape", "owa"),
        data="data_provider.config:M4Config",
        default_data="m4",
        losses=("smape", "mape", "mase"),
        unread=frozenset(
            {"num_workers", "save_arrays", "inverse", "interval", "adaptive", "backtest", "verbose", "shuffle_input"}
        )
        | OF_A_FORECAST,
    ),
}
