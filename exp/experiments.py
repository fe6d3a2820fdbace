"""List the tasks by their name on the command line: a new one is a file with its experiment, and one more row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

from data_provider.datasets import ANOMALY, CSV, DATASETS, M4, MIX, UEA, config_place
from exp.options import NOT_OF_WINDOWS, OF_A_FORECAST
from utils.errors import UserError


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        experiment: place of its ``Experiment``.
        metrics: the scores that tables show, best known first; keys of a record's ``scores``.
        zero_shot: place of the ``Experiment`` for ``--zero_shot 1``; None where there is no zero-shot test.
        many: place of the ``Experiment`` for a file of many series; None where that is not possible.
        mixed: place of the ``Experiment`` that trains on several data sets; None where that is not possible.
        configs: place of the class of a data set's flags -> place of the class that holds them in this task.
        uses: what can be done with a trained model on a file, by the flag that asks for it -> place of the function
            (checkpoint folder, configuration, command) that does it.
        reports: whether ``--check_data`` can report on its file.
        losses: names of losses that need what only this task has.
        defaults: of flags of models that differ from the usual ones.
        fill_in: place of the function (given flags) that chooses lengths of windows for a file of the user's.
        trains: whether it is for models that train alone.
    """

    experiment: str
    title: str
    metrics: tuple[str, ...]
    configs: Mapping[str, str]
    default_data: str
    zero_shot: str | None = None
    many: str | None = None
    mixed: str | None = None
    uses: Mapping[str, str] = field(default_factory=dict)
    reports: bool = False
    losses: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fill_in: str | None = None
    trains: bool = False
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
    if config.training.averaged:
        experiment = resolve_name("exp.seed_average:averaging")(experiment)
    return experiment(config)


def config_class(task_name: str, data: str) -> Any:
    """Return the class of the data's flags in a task; raise UserError where the task has no use for the data set."""
    task, place = TASKS[task_name], config_place(data)
    if place not in task.configs:
        fitting = [name for name, spec in DATASETS.items() if spec.config in task.configs]
        raise UserError(f"--task_name {task_name} does not go with --data {data}; it takes {', '.join(fitting)}.")
    return resolve_name(task.configs[place])


TASKS = {
    "long_term_forecast": Task(
        experiment="exp.long_term_forecast:LongTermForecast",
        title="Long-term forecasting",
        metrics=("mse", "mae"),
        configs={place: place for place in (CSV, MIX)},
        default_data="sample",
        zero_shot="exp.long_term_forecast:ZeroShotForecast",
        many="exp.many_series:ManySeriesForecast",
        mixed="exp.mixed_forecast:MixedForecast",
        uses={"do_predict": "exp.predict:forecast_and_deliver"},
        reports=True,
        fill_in="exp.own_file:lengths_to_forecast",
    ),
    "short_term_forecast": Task(
        experiment="exp.short_term_forecast:ShortTermForecast",
        title="Short-term forecasting",
        metrics=("smape", "mase", "mape", "owa"),
        configs={M4: M4},
        default_data="m4",
        losses=("smape", "mape", "mase"),
        unread=frozenset(
            {"num_workers", "save_arrays", "inverse", "interval", "adaptive", "backtest", "verbose", "shuffle_input"}
        )
        | OF_A_FORECAST,
    ),
    "imputation": Task(
        experiment="exp.imputation:Imputation",
        title="Imputation",
        metrics=("mse", "mae"),
        configs={CSV: "data_provider.imputation_config:ImputationConfig"},
        default_data="sample",
        uses={"do_impute": "exp.impute:impute_file"},
        reports=True,
        fill_in="exp.own_file:length_to_reconstruct",
        trains=True,
        unread=NOT_OF_WINDOWS | {"shuffle_input"},
    ),
    "anomaly_detection": Task(
        experiment="exp.anomaly_detection:AnomalyDetection",
        title="Anomaly detection",
        metrics=("vus_pr", "auc_pr", "range_f", "f1", "pa_f1"),
        configs=dict.fromkeys((CSV, ANOMALY), ANOMALY),
        default_data="custom",
        uses={"do_detect": "exp.detect:detect_in_file"},
        fill_in="exp.own_file:length_to_reconstruct",
        trains=True,
        unread=NOT_OF_WINDOWS | {"shuffle_input"},
    ),
    "classification": Task(
        experiment="exp.classification:Classification",
        title="Classification",
        metrics=("accuracy", "balanced_accuracy", "macro_f1"),
        configs={UEA: UEA, CSV: UEA},
        default_data="JapaneseVowels",
        uses={"do_classify": "exp.classify:classify_file"},
        losses=("ce",),
        defaults={"task_loss": "ce"},
        trains=True,
        unread=NOT_OF_WINDOWS | {"shuffle_input"},
    ),
}
