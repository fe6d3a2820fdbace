"""Hold the flags of a run as frozen, checked values; nothing below ``exp`` sees a flag.

Light: ``--help`` reads these fields without PyTorch.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from data_provider.config import AnyDataConfig, DataConfig
from data_provider.datasets import DATASETS, find_dataset
from exp.experiments import TASKS
from models import MODELS, find_config
from models.config import SIZES
from utils.errors import UserError, shown_path
from utils.flags import PATH, PRESENCE, SWITCH, TEXT, choice, flag, flags_of, from_json, given_for, whole
from utils.schedule import Schedule

logger = logging.getLogger(__name__)

RESULTS, PICTURES = Path("results"), Path("test_results")
# What --compile takes, and the mode of torch.compile that it means.
COMPILE = {"0": None, "1": "default", "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune"}


@dataclass(frozen=True)
class Command:
    """What one call of ``run.py`` is to do; none of it changes figures."""

    is_training: int = flag(1, SWITCH, "1 trains and tests; 0 tests a checkpoint")
    itr: int = flag(1, whole(high=10_000), "runs, with seeds seed, seed + 1, …", needs={"load": (None,)})
    overwrite: bool = flag(False, PRESENCE, "repeat what is finished already", needs={"is_training": (1,)})
    dry_run: bool = flag(False, PRESENCE, "print configuration, windows and what trains; no more")
    check_data: bool = flag(False, PRESENCE, "report on the file (gaps, missing values, outliers …); train nothing")
    do_predict: bool = flag(
        False, PRESENCE,
        "forecast what comes after the file's end; with --is_training 0 from a checkpoint, without a test",
    )  # fmt: skip
    load: str | None = flag(
        None, PATH, "with --is_training 0: test this checkpoint folder; all but the data file is as in training"
    )
    use_amp: bool = flag(False, PRESENCE, "--precision bf16 where the device has bfloat16")
    zero_shot: int = flag(0, SWITCH, "1 tests on --target_data, not on --data")
    target_data: str | None = flag(
        None, TEXT, "data sets of the zero-shot test, with commas between", needs={"zero_shot": (1,)}
    )
    target_root_path: str | None = flag(
        None, PATH, "folder of their files, if not their own", needs={"zero_shot": (1,)}
    )
    target_data_path: str | None = flag(
        None, PATH, "their files, with commas between; needed for custom", needs={"zero_shot": (1,)}
    )


@dataclass(frozen=True)
class Training:
    """How a run trains, beside its learning rate."""

    train_epochs: int = flag(10, whole(high=1_000_000), "epochs at most")
    batch_size: int = flag(32, whole(high=10_000_000), "windows per batch, over all processes")
    accumulate: int = flag(
        1, whole(high=1_000_000), "batches per step of the optimizer; an epoch has whole steps alone"
    )
    patience: int = flag(3, whole(high=1_000_000), "stop after that many epochs without a better one")
    precision: str = flag(
        "fp32", choice("fp32", "bf16", "fp16"), "matrix products in fp32, bf16 or fp16 (CUDA, with loss scaling)"
    )


@dataclass(frozen=True)
class Target:
    """A data set to test on without having trained on it; fields as in ``DataConfig``."""

    data: str
    root_path: str | None = None
    data_path: str | None = None


@dataclass(frozen=True)
class RuntimeOptions:
    """Where and how a run happens; none of it changes figures.

    Attributes:
        targets: data sets of a zero-shot test, in place of the one trained on.
        loaded_from: the setting of a checkpoint that is tested on other data than it was trained on.
    """

    device: str = flag("auto", TEXT, "auto, cpu, cuda or cuda:N")
    use_gpu: int = flag(1, SWITCH, "0 keeps auto on the CPU")
    gpu: int = flag(0, whole(0, 1023), "which card auto and cuda mean", needs={"use_gpu": (1,)})
    num_workers: int = flag(0, whole(0, 64), "loader processes; 0 is the fastest here")
    checkpoints: str = flag("./checkpoints/", PATH, "folder of all checkpoints")
    save_arrays: int = flag(1, SWITCH, "0 leaves out pred.npy and true.npy")
    inverse: bool = flag(
        False, PRESENCE, "write pred.npy and true.npy in the data's units", needs={"save_arrays": (1,)}
    )
    interval: str = flag("0.9", TEXT, "nominal coverage of the prediction intervals, or several: 0.5,0.9")
    predict_len: int | None = flag(
        None, whole(high=10_000_000),
        "steps to forecast; pred_len if left out. More than that rolls the forecast forward",
    )  # fmt: skip
    eval_batch_size: int | None = flag(
        None, whole(high=10_000_000), "windows per batch of validation and test; as many as fit well if left out"
    )
    compile: str = flag(
        "0", choice(*COMPILE),
        "1: torch.compile (its first start takes minutes); or one of its modes, of which reduce-overhead and "
        "max-autotune use CUDA graphs",
    )  # fmt: skip
    grad_checkpoint: int = flag(
        0, SWITCH, "1 saves memory while training: activations are computed again in the backward pass"
    )
    resume: str = flag(
        "auto", PATH,
        "auto: a training that was stopped goes on after its last finished epoch; never: it begins anew; or the "
        "checkpoint folder of a stopped training to go on from, also with other --train_epochs and --patience",
    )  # fmt: skip
    log: str = flag("csv", choice("csv", "tensorboard", "none"), "figures of each epoch: csv, tensorboard or none")
    targets: tuple[Target, ...] = ()
    loaded_from: str | None = None

    @property
    def compile_mode(self) -> str | None:
        """Return the mode of torch.compile; None for none."""
        return COMPILE[self.compile]

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """Return the nominal coverages of the prediction intervals.

        Raises:
            UserError: ``--interval`` names none.
        """
        from utils.conformal import parse_levels

        return parse_levels(self.interval)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run: one model, one data set, one seed.

    Attributes:
        data: which data and windows.
        network: the flags that the model reads, by name.
        schedule: the learning rate.
        training: how it trains otherwise.
        runtime: where and how it happens.
    """

    task_name: str = flag("long_term_forecast", choice(*TASKS), f"the task: {', '.join(TASKS)}")
    model: str = flag("CALF", choice(*MODELS), f"the forecaster: {', '.join(MODELS)}")
    model_id: str | None = flag(None, TEXT, "first part of the run's name; the data set's name if left out")
    des: str = flag("test", TEXT, "description, part of the run's name")
    seed: int = flag(2021, whole(0, 2**32 - 1), "seed of the (first) run")
    data: AnyDataConfig
    network: Mapping[str, Any]
    schedule: Schedule = field(default_factory=Schedule)
    training: Training = field(default_factory=Training)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)

    def __post_init__(self) -> None:
        task = TASKS[self.task_name]
        if not isinstance(self.data, resolve_name(task.data)):
            raise UserError(
                f"--task_name {self.task_name} does not go with --data {self.data.data}; it takes "
                f"{', '.join(name for name, spec in DATASETS.items() if spec.config == task.data)}."
            )
        if self.runtime.targets and not task.zero_shot:
            raise UserError(f"--zero_shot 1 does not go with --task_name {self.task_name}; leave it out.")
        self._check_losses()
        _ = self.runtime.levels

    def _check_losses(self) -> None:
        """Refuse losses that another task alone has what it takes for."""
        own = TASKS[self.task_name].losses
        foreign = {loss for task in TASKS.values() for loss in task.losses if loss not in own}
        for name, value in self.network.items():
            if name.endswith("_loss") and value in foreign:
                raise UserError(f"--{name} {value} is for M4; choose l1, smooth_l1 or mse.")

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> "RunConfig":
        """Sort the given flags into what they are for; all others have their defaults.

        Raises:
            UserError: a value contradicts another.
        """
        command, runtime = Command(**given_for(Command, given)), RuntimeOptions(**given_for(RuntimeOptions, given))
        own = given_for(cls, given)
        name = given.get("data") or _default_data(given)
        kind = resolve_name(find_dataset(name).config)
        config = find_config(own.get("model", cls.model))
        flags = {flag_name: one.default for flag_name, one in flags_of(config).items()}
        return cls(
            **own,
            data=kind(**{**given_for(kind, given), "data": name}),
            network=flags | given_for(config, given),
            schedule=Schedule(**given_for(Schedule, given)),
            training=Training(**{**given_for(Training, given), "precision": _precision(given, runtime)}),
            runtime=replace(runtime, targets=targets_of(command)),
        )

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any], runtime: RuntimeOptions) -> "RunConfig":
        """Rebuild the configuration that a checkpoint was trained with, from its ``config.json``.

        Raises:
            UserError: a part is missing, unknown or not possible.
        """
        try:
            content, data, model = identity_of(stored).values()
            kind = resolve_name(find_dataset(str(data.get("data"))).config)
            own = {name: content.pop(name) for name in flags_of(cls) if name in content} | {"model": model["name"]}
            schedule = {name: content.pop(name) for name in flags_of(Schedule) if name in content}
            sizes = dict.fromkeys(SIZES, 1)
            config = from_json(find_config(model["name"]), {**model["config"], **sizes})
            parts = {"schedule": from_json(Schedule, schedule), "training": from_json(Training, content)}
            network = {name: getattr(config, name) for name in flags_of(type(config))}
            return from_json(cls, own, data=kind.from_identity(data), network=network, runtime=runtime, **parts)
        except UserError as error:
            raise UserError(f"the stored configuration of the run is damaged: {error}") from error

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
        return {**run, **data, "model": model["name"], **model["config"]}

    @cached_property
    def setting(self) -> str:
        """Return the name of the run: readable, and by its hash unique to the configuration.

        Where a checkpoint is tested on other data, the name is made of both: no run was trained on these data.
        """
        if self.runtime.loaded_from:
            return f"{self.runtime.loaded_from}_on_{name_of_file(self.data)}"
        sizes = dict.fromkeys(SIZES, 1)
        model = "_".join(
            part for part in (self.model, self.data.slug, find_config(self.model)(**sizes, **self.network).slug) if part
        )
        slug = f"{self.task_name}_{self.model_id or self.data.data}_{model}_{self.des}_seed{self.seed}"
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', slug)[:180]}_{digest}"

    @property
    def trains(self) -> bool:
        """Return whether the model has anything to train."""
        return find_config(self.model).trains

    @property
    def results(self) -> Path:
        """Return the folder of its figures."""
        return RESULTS / self.setting

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
        return Path(self.runtime.checkpoints) / self.setting

    @cached_property
    def targets(self) -> dict[str, DataConfig]:
        """Return the data sets of a zero-shot test by name, windowed as the one trained on."""
        found = {}
        for target in self.runtime.targets:
            place = {**asdict(target), "root_path": target.root_path or self._beside_source(target)}
            config = replace(self.data, **place, percent=100, freq=None)
            found[_name(config)] = config
        return found

    def _beside_source(self, target: Target) -> str | None:
        """Return the source's folder if it was named and holds the target's file too, as the release expects it."""
        spec = DATASETS.get(target.data)
        file = target.data_path or (spec.file if spec else None)
        root = self.data.root_path
        return root if root and file and (Path(root) / file).is_file() else None


def identity_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``RunConfig.identity`` that a checkpoint's ``config.json`` tells.

    Raises:
        UserError: a part of it is missing.
    """
    try:
        run, data, model = stored["run"]["config"], stored["data"]["config"], stored["model"]
        config = {name: value for name, value in model["config"].items() if name not in SIZES}
        return {"run": {**run}, "data": {**data}, "model": {"name": str(model["name"]), "config": config}}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{error} is missing or no group of values") from error


def _default_data(given: Mapping[str, Any]) -> str:
    return "custom" if "data_path" in given else TASKS[given.get("task_name", RunConfig.task_name)].default_data


def _precision(given: Mapping[str, Any], runtime: RuntimeOptions) -> str:
    """Return the precision that ``--precision`` or the release's ``--use_amp`` asks for."""
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


def zero_shot_folder(results: Path, target: str) -> Path:
    """Return where a target's figures lie, below the results of the run that trained."""
    return results / f"zero_shot_{target}"


def of_target(error: UserError) -> UserError:
    """Return an error about a target in terms of the flags that name targets."""
    message = str(error)
    for name in ("--data", "--root_path", "--data_path"):
        message = re.sub(rf"{name}\b(?!_)", name.replace("--", "--target_"), message)
    return UserError(f"zero-shot target: {message}")


def _name(target: DataConfig) -> str:
    """Return a target's part of a folder's name: that of the data set, of an own file also its own."""
    if target.data_path is None and target.data != "custom":
        return target.data
    try:
        return f"{target.data}-{name_of_file(target)}"
    except UserError as error:
        raise of_target(error) from error


def name_of_file(data: AnyDataConfig) -> str:
    """Return a data set's first file as part of a name: its own name, and a hash of where it lies."""
    path = next(iter(data.files()), Path("sample"))
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', shown_path(path.stem))[:30]}_{digest}"


def targets_of(command: Command) -> tuple[Target, ...]:
    """Return the data sets of a zero-shot test.

    Raises:
        UserError: the flags that name them contradict each other.
    """
    if not command.zero_shot:
        return ()
    names = _parts(command.target_data)
    files = _parts(command.target_data_path) or [None] * len(names)
    if not names or not all(names):
        raise UserError("--zero_shot 1 needs --target_data: the data set to test on, or several with commas between.")
    if len(files) != len(names):
        raise UserError(
            f"--target_data names {len(names)} data set(s) and --target_data_path {len(files)} file(s); "
            "give one file for each, with commas between."
        )
    targets = tuple(Target(name, command.target_root_path, file) for name, file in zip(names, files, strict=True))
    twice = next((target for i, target in enumerate(targets) if target in targets[:i]), None)
    if twice:
        raise UserError(f"--target_data names {twice.data} twice with the same file.")
    return targets


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []
