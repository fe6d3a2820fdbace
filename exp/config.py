"""Hold the flags of a run as frozen, checked values; nothing below ``exp`` sees a flag.

Light: ``--help`` reads these fields without PyTorch.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from data_provider.config import AnyDataConfig, DataConfig
from exp.experiments import TASKS, config_class
from exp.options import NAME, RuntimeOptions, TrainingOptions
from exp.recipes import PAPER, RECIPES
from exp.targets import name_of_file, names_of_sets, target_configs, with_targets
from models import CHOICES, MODELS, find_config, find_model
from models.config import FEATURE_LOSSES, SIZES, ModelConfig
from utils.errors import UserError
from utils.flags import TEXT, flag, flags_of, from_json, given_for, row_of, whole
from utils.schedule import Schedule

logger = logging.getLogger(__name__)

MOST_SEED = 2**32 - 1  # that NumPy takes
RESULTS, PICTURES = Path("results"), Path("test_results")
REFIT = "refit"  # folder within those of a run: the same model, trained on all rows


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run: one model, one data set, one seed."""

    task_name: str = flag("long_term_forecast", row_of(TASKS), f"the task: {', '.join(TASKS)}")
    model: str = flag("CALF", row_of(MODELS | CHOICES), f"the forecaster: {', '.join(MODELS | CHOICES)}")
    model_id: str | None = flag(None, TEXT, "first part of the run's name, in place of the data set's", training=True)
    des: str = flag("test", TEXT, "description, part of the run's name", training=True)
    recipe: str = flag(
        PAPER, row_of(RECIPES),
        "settings for the flags that are not given: paper, those of the paper; best, those that validation chose",
        training=True,
    )  # fmt: skip
    seed: int = flag(2021, whole(0, MOST_SEED), "seed of the (first) run")
    data: AnyDataConfig
    network: Mapping[str, Any]
    schedule: Schedule = field(default_factory=Schedule)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)

    def __post_init__(self) -> None:
        task = TASKS[self.task_name]
        config_class(self.task_name, self.data.data)
        if task.trains and not self.model_config.trains:
            able = ", ".join(name for name in MODELS if find_config(name).trains)
            raise UserError(
                f"--model {self.model} learns nothing, and --task_name {self.task_name} is for models that do; choose "
                f"one of {able}."
            )
        if self.runtime.zero_shot and not task.zero_shot:
            raise UserError(f"--zero_shot 1 does not go with --task_name {self.task_name}; leave it out.")
        if self.runtime.zero_shot and self.holds_many:
            raise UserError(
                f"--zero_shot 1 is for one series, and --id_col {self.data.id_col} tells several apart: a network for "
                "many series takes others with --is_training 0 --load CHECKPOINT --data_path FILE."
            )
        if find_config(self.model).chooses and (self.task_name != "long_term_forecast" or "," in self.data.data):
            raise UserError(
                f"--model {self.model} chooses for one file: it goes neither with M4 nor with several sets."
            )
        foreign = {loss: name for name, other in TASKS.items() for loss in other.losses if loss not in task.losses}
        wanted = task.defaults.get("task_loss", self.network["task_loss"])
        if self.network["task_loss"] != wanted:
            raise UserError(
                f"--task_loss {self.network['task_loss']} is no loss of --task_name {self.task_name}: leave it out, "
                f"or say {wanted}."
            )
        for name, loss in self.network.items():
            if name.endswith("_loss") and loss in foreign:
                raise UserError(
                    f"--{name} {loss} is for --task_name {foreign[loss]}; choose one of {', '.join(FEATURE_LOSSES)}."
                )
        known = self.data.known_flags
        if known and not self.model_config.takes_known:
            able = ", ".join(name for name in MODELS if find_config(name).takes_known)
            raise UserError(f"{known[0]}: {self.model} cannot use columns known in advance; choose one of {able}.")
        if self.runtime.future_path and not getattr(self.data, "future_cols", None):
            raise UserError("--future_path holds the future of columns known in advance: name them with --future_cols.")
        _ = self.model_config, self.runtime.levels, self.runtime.shares  # which check their values, too

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> "RunConfig":
        """Sort the given flags into what they are for; raise UserError where one contradicts another.

        Those of ``--recipe`` count where they are not given.
        """
        given = {**RECIPES[given.get("recipe", cls.recipe)], **given}
        runtime, own = RuntimeOptions(**given_for(RuntimeOptions, given)), given_for(cls, given)
        task_name = own.get("task_name", cls.task_name)
        task = TASKS[task_name]
        name = given.get("data", "custom" if "data_path" in given else task.default_data)
        kind = config_class(task_name, name)
        config = find_config(own.get("model", cls.model))
        defaults = {name: task.defaults.get(name, one.default) for name, one in flags_of(config).items()}
        precision = _precision(given, runtime)
        return cls(
            **own,
            data=kind(**given_for(kind, {**given, "data": name})),
            network=defaults | given_for(config, given),
            schedule=Schedule(**given_for(Schedule, given)),
            training=TrainingOptions(**given_for(TrainingOptions, {**given, "precision": precision})),
            runtime=with_targets(runtime, name),
        )

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any], runtime: RuntimeOptions) -> "RunConfig":
        """Rebuild the configuration in a checkpoint's ``config.json``; raise UserError where a part is not possible."""
        run, data, model = identity_of(stored).values()
        task_name = run.get("task_name")
        if task_name not in TASKS:
            raise UserError(f"task_name is {str(task_name)[:40]!r}, not one of {', '.join(TASKS)}")
        kind = config_class(task_name, str(data.get("data")))
        from_json(find_config(model["name"]), model["config"] | SIZES)
        own, schedule = given_for(cls, run), given_for(Schedule, run)
        training = {name: run[name] for name in run.keys() - own.keys() - schedule.keys()}
        return from_json(
            cls,
            own | {"model": model["name"]},
            data=kind.from_identity(data),
            network=model["config"],
            schedule=from_json(Schedule, schedule),
            training=from_json(TrainingOptions, training),
            runtime=runtime,
        )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Return everything that figures depend on, as JSON: flags of the run, of its data and of its model."""
        run = {name: getattr(self, name) for name in flags_of(RunConfig) if name != "model"}
        return {
            "run": {**run, **asdict(self.schedule), **asdict(self.training)},
            "data": self.data.identity(),
            "model": {"name": self.model, "config": dict(self.network)},
        }

    @property
    def values(self) -> dict[str, Any]:
        """Return the value of every flag that figures depend on, by its name."""
        run, data, model = self.identity.values()
        use_amp = self.training.precision != "fp32"
        return {**run, **data, "model": model["name"], **model["config"], "use_amp": use_amp}

    @cached_property
    def setting(self) -> str:
        """Return the name of the run: readable, and by its hash unique to the configuration; ``--name`` shortens it.

        Where a checkpoint is tested on other data, the name is made of both: no run was trained on these data.
        """
        if self.runtime.loaded_from:
            return f"{self.runtime.loaded_from}_on_{name_of_file(self.data)}"
        if self.runtime.name:
            return f"{self.runtime.name}_{self.digest}"
        recipe = "" if self.recipe == PAPER else f"recipe-{self.recipe}"
        model = "_".join(part for part in (self.model, self.data.slug, self.model_config.slug, recipe) if part)
        averaged = f"-{self.seed + self.training.averaged - 1}-averaged" if self.training.averaged else ""
        slug = f"{self.task_name}_{self.model_id or self.data.data}_{model}_{self.des}_seed{self.seed}{averaged}"
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', slug)[:180]}_{self.digest}"

    @cached_property
    def digest(self) -> str:
        """Return the hash of everything that figures depend on; the name of the run is no part of it."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:8]

    def named_as(self, folder: Path) -> "RunConfig":
        """Return this run under the name that a checkpoint's folder has, where the folder has its hash."""
        plain, real = replace(self, runtime=replace(self.runtime, name=None)), folder.resolve().name
        name = real.removesuffix(f"_{self.digest}")
        if name == real or real == plain.setting or not NAME.accepts(name):
            return plain
        return replace(plain, runtime=replace(self.runtime, name=name))

    @cached_property
    def model_config(self) -> ModelConfig:
        """Return the configuration of the model, with sizes of 1 in place of those that follow from the data."""
        return find_config(self.model)(**SIZES, **self.network)

    def check_channels(self, channels: int, known: int = 0) -> None:
        """Raise UserError if the model has no room for so many channels beside the columns known in advance.

        It is told without building the model, as far as that is possible.
        """
        sizes = {**SIZES, "channels": channels, "known": known}
        find_model(self.model).check_channels(find_config(self.model)(**sizes, **self.network))

    @property
    def training_flags(self) -> frozenset[str]:
        """Return the flags that say how the model was trained: a test need not repeat them."""
        flags = flags_of(RunConfig) | flags_of(type(self.model_config))
        marked = {name for name, one in flags.items() if one.metadata["training"]}
        return frozenset({*marked, *flags_of(Schedule), *flags_of(TrainingOptions)} - {"precision"})

    @property
    def shuffle_input(self) -> str:
        """Return into which order a test puts the steps of its windows; ``none`` in tasks that have no such test."""
        unread = "shuffle_input" in TASKS[self.task_name].unread or self.sets
        return "none" if unread else self.runtime.shuffle_input

    @property
    def part(self) -> str:
        """Return where a run, or a part of one, lies below the folders of checkpoints and results."""
        return self.runtime.part_of or self.setting

    @property
    def results(self) -> Path:
        """Return the folder of its figures."""
        return RESULTS / self.part

    @property
    def summary_file(self) -> Path:
        """Return the text file that a block is added to."""
        return Path(f"results_{self.task_name}.txt")

    @property
    def pictures(self) -> Path:
        """Return the folder of its pictures."""
        return PICTURES / self.setting

    @property
    def checkpoint(self) -> Path:
        """Return the folder that it saves to."""
        return Path(self.runtime.checkpoints) / self.part

    @property
    def is_refit(self) -> bool:
        """Return whether a model is trained on all rows, with nothing left to validate or test it on."""
        return self.runtime.all_rows

    def for_refit(self, epochs: int) -> "RunConfig":
        """Return the configuration that trains this run's model once more, for as many epochs, on all rows."""
        share = {"percent": 100} if hasattr(self.data, "percent") else {}
        return replace(
            self,
            data=replace(self.data, **share),
            training=replace(self.training, train_epochs=epochs, patience=epochs),
            runtime=replace(self.runtime, part_of=f"{self.part}/{REFIT}", all_rows=True, resume="auto"),
        )

    @property
    def seconds(self) -> float:
        """Return how long training may take; infinite without a limit."""
        return min(self.training.seconds, self.runtime.seconds)

    @cached_property
    def sets(self) -> dict[str, DataConfig]:
        """Return the data sets that are trained on together by name; none for a run on one."""
        return names_of_sets(self.data) if "," in self.data.data else {}

    @property
    def holds_many(self) -> bool:
        """Return whether the data are many series of one file, told apart by ``--id_col``."""
        return not self.sets and getattr(self.data, "id_col", None) is not None

    @cached_property
    def targets(self) -> dict[str, DataConfig]:
        """Return the data sets of a zero-shot test by name; none for another run."""
        return target_configs(self.data, self.runtime)


def refit_folder(folder: Path) -> Path:
    """Return where the model of a checkpoint lies that was trained once more, on all rows, if it was."""
    return folder / REFIT


def identity_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``RunConfig.identity`` that a checkpoint or a record holds; raise UserError if it lacks a part."""
    try:
        run, data, model = stored["run"]["config"], stored["data"]["config"], stored["model"]
        config = {name: value for name, value in model["config"].items() if name not in SIZES}
        return {"run": {**run}, "data": {**data}, "model": {"name": str(model["name"]), "config": config}}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{error} is missing or no group of values") from error


def _precision(given: Mapping[str, Any], runtime: RuntimeOptions) -> str:
    precision = given.get("precision")
    if not given.get("use_amp"):
        return precision or "fp32"
    if precision not in (None, "bf16"):
        raise UserError(f"--use_amp and --precision {precision} contradict each other; leave --use_amp out.")
    from utils.device import has_bfloat16, pick_device

    device = pick_device(runtime.device, runtime.use_gpu, runtime.gpu)
    if precision or has_bfloat16(device):
        return "bf16"
    logger.info("note: --use_amp: %s has no bfloat16; computing in float32 (or choose --precision fp16)", device)
    return "fp32"
