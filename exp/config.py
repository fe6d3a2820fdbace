"""The flags of a run as frozen, checked values. The argparse namespace ends here."""

import argparse
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from data_provider.config import DataConfig
from data_provider.datasets import DATASETS
from data_provider.m4 import M4Config
from layers.lora import LoRA
from models import MODELS
from utils.conformal import parse_levels
from utils.device import PRECISIONS, has_bfloat16, pick_device
from utils.errors import UserError
from utils.losses import MASKED_LOSSES, PLAIN_LOSSES, CALFLoss
from utils.records import modern_config
from utils.results import RECORD
from utils.schedule import Schedule

logger = logging.getLogger(__name__)

RESULTS, PICTURES = Path("results"), Path("test_results")
INITIALISATIONS = ("pretrained", "random")
LOGS = ("csv", "tensorboard", "none")
# What --compile takes, and the mode of torch.compile that it means.
COMPILE = {"0": None, "1": "default", "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune"}


@dataclass(frozen=True)
class Target:
    """A data set to test on without having trained on it: as in ``DataConfig``."""

    data: str
    root_path: str | None = None
    data_path: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """Where and how a run happens: nothing here changes its figures.

    Attributes:
        checkpoints: folder of all checkpoints.
        save_arrays: write pred.npy and true.npy. inverse: write them in the data's units.
        targets: zero-shot: the data sets to test on in place of the one trained on.
        interval: nominal coverages of the prediction intervals.
        predict_len: steps to forecast after the end of the file; None for pred_len.
        loaded_from: the setting of a checkpoint that is tested on other data than it was trained on.
        eval_batch_size: windows per batch of validation and test; None for as many as fit well.
        compile: a mode of torch.compile, or None. grad_checkpoint: recompute activations in the backward pass.
        resume: ``auto``, ``never``, or the folder of a stopped training. log: where figures of each epoch go.
    """

    device: str = "auto"
    use_gpu: bool = True
    gpu: int = 0
    num_workers: int = 0
    checkpoints: str = "./checkpoints/"
    save_arrays: bool = True
    inverse: bool = False
    targets: tuple[Target, ...] = ()
    interval: tuple[float, ...] = (0.9,)
    predict_len: int | None = None
    loaded_from: str | None = None
    eval_batch_size: int | None = None
    compile: str | None = None
    grad_checkpoint: bool = False
    resume: str = "auto"
    log: str = "csv"

    def __post_init__(self) -> None:
        if self.log not in LOGS:
            raise UserError(f"--log {self.log}: choose one of {', '.join(LOGS)}.")


@dataclass(frozen=True)
class RunConfig:
    """One run: one model, one data set, one seed."""

    task_name: str
    model: str
    model_id: str
    description: str
    data: DataConfig | M4Config
    gpt_layers: int
    llm: str
    llm_init: str
    lora: LoRA | None
    word_embedding_path: str | None
    loss: CALFLoss
    schedule: Schedule
    batch_size: int
    train_epochs: int
    patience: int
    precision: str
    seed: int
    surroundings: Surroundings
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise UserError(f"--model {self.model}: no such model; choose one of {', '.join(MODELS)}.")
        if self.llm_init not in INITIALISATIONS:
            raise UserError(f"--llm_init {self.llm_init}: choose one of {', '.join(INITIALISATIONS)}.")
        if self.precision not in PRECISIONS:
            raise UserError(f"--precision {self.precision}: choose one of {', '.join(PRECISIONS)}.")
        for flag, name in (("--task_loss", self.loss.task), ("--output_loss", self.loss.output)):
            if name in MASKED_LOSSES and self.task_name != "short_term_forecast":
                raise UserError(f"{flag} {name} is for M4; choose one of {', '.join(PLAIN_LOSSES)}.")
        if (self.task_name == "short_term_forecast") != isinstance(self.data, M4Config):
            raise UserError(
                f"--task_name {self.task_name} does not go with --data {self.data.data}: short_term_forecast is the "
                "task of m4, and of m4 alone."
            )
        if self.surroundings.targets and isinstance(self.data, M4Config):
            raise UserError("--zero_shot 1 does not go with --data m4; leave it out.")

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "RunConfig":
        """Sort the flags into what they are for.

        Raises:
            UserError: a value is unknown or contradicts another.
        """
        return cls(
            task_name=args.task_name,
            model=args.model,
            model_id=args.model_id or args.data,
            description=args.des,
            data=_m4(args) if args.data == "m4" else _series(args),
            gpt_layers=args.gpt_layers,
            llm=str(Path(args.llm).resolve()) if Path(args.llm).is_dir() else args.llm,
            llm_init=args.llm_init,
            lora=LoRA(args.r, args.lora_alpha, args.lora_dropout) if args.lora else None,
            word_embedding_path=args.word_embedding_path and str(Path(args.word_embedding_path).resolve()),
            loss=CALFLoss(
                args.task_loss, args.output_loss, args.feature_loss, args.task_w, args.output_w, args.feature_w
            ),
            schedule=Schedule(args.learning_rate, bool(args.cos), args.tmax, args.lradj, args.decay_fac),
            batch_size=args.batch_size,
            train_epochs=args.train_epochs,
            patience=args.patience,
            precision=_precision(args),
            accumulate=args.accumulate,
            seed=args.seed,
            surroundings=Surroundings(
                device=args.device,
                use_gpu=args.use_gpu,
                gpu=args.gpu,
                num_workers=args.num_workers,
                checkpoints=args.checkpoints,
                save_arrays=bool(args.save_arrays),
                inverse=args.inverse,
                targets=_targets(args),
                interval=parse_levels(args.interval),
                predict_len=args.predict_len,
                eval_batch_size=args.eval_batch_size,
                compile=_compile_mode(args.compile),
                grad_checkpoint=bool(args.grad_checkpoint),
                resume=args.resume,
                log=args.log,
            ),
        )

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any], surroundings: Surroundings) -> "RunConfig":
        """The configuration that has this :attr:`identity`.

        Raises:
            UserError: a part is missing, unknown or cannot be used.
        """
        try:
            content = modern_config(identity)
            data, lora = dict(content.pop("data")), content.pop("lora")
            kind = M4Config if data["data"] == "m4" else DataConfig
            return cls(
                **{name: value for name, value in content.items() if name not in ("loss", "schedule")},
                data=kind.from_identity(data),
                lora=LoRA(**lora) if lora else None,
                loss=CALFLoss(**content["loss"]),
                schedule=Schedule(**content["schedule"]),
                surroundings=surroundings,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"the stored configuration of the run is damaged ({error!r}).") from error

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the figures depend on, as JSON; the data file by its absolute path."""
        content = asdict(self)
        del content["surroundings"]
        if self.accumulate == 1:  # then it does not stand in a run's name, as before there was such a flag
            del content["accumulate"]
        return {**content, "data": self.data.identity()}

    @cached_property
    def setting(self) -> str:
        """Name of the run: readable, and by its hash unique to the configuration.

        Where a checkpoint is tested on other data, it is named after both: no run that was trained on them.
        """
        if self.surroundings.loaded_from:
            return f"{self.surroundings.loaded_from}_on_{name_of_file(self.data)}"
        words = (
            f"{self.task_name}_{self.model_id}_{self.model}_{self.data.words}"
            f"_{Path(self.llm).name}-{self.llm_init}{self.gpt_layers}_{self.description}_seed{self.seed}"
        )
        content = dict(self.identity)
        precision = content.pop("precision")  # under the flag it had once, so that runs keep their names
        content["use_amp"] = {"fp32": False, "bf16": True}.get(precision, precision)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', words)[:180]}_{digest}"

    @property
    def results(self) -> Path:
        """The folder of its figures."""
        return RESULTS / self.setting

    @property
    def pictures(self) -> Path:
        """The folder of its pictures."""
        return PICTURES / self.setting

    @cached_property
    def targets(self) -> dict[str, DataConfig]:
        """The data sets of a zero-shot test by name, windowed as the one trained on."""
        found = {}
        for target in self.surroundings.targets:
            place = {**asdict(target), "root_path": target.root_path or self._beside_source(target)}
            tz = self.data.tz if target.data == "custom" else None
            config = replace(self.data, **place, percent=100, freq=None, tz=tz)
            found[_name(config)] = config
        return found

    def _beside_source(self, target: Target) -> str | None:
        """The source's folder if it was named and a target's file lies there too, as the release expects it."""
        spec = DATASETS.get(target.data)
        file = target.data_path or (spec.file if spec else None)
        root = self.data.root_path
        return root if root and file and (Path(root) / file).is_file() else None

    @property
    def outcomes(self) -> dict[Path, tuple[DataConfig | M4Config, ...]]:
        """The records that this run leaves, each with the data that its figures depend on.

        Its own, or one for each target of a zero-shot test.
        """
        if not self.targets:
            return {self.results / RECORD: (self.data,)}
        return {
            zero_shot_folder(self.results, name) / RECORD: (self.data, target) for name, target in self.targets.items()
        }

    @property
    def checkpoint(self) -> Path:
        """The folder this run saves to."""
        return Path(self.surroundings.checkpoints) / self.setting


def _compile_mode(choice: str) -> str | None:
    if choice not in COMPILE:
        raise UserError(f"--compile {choice}: choose one of {', '.join(COMPILE)}.")
    return COMPILE[choice]


def _precision(args: argparse.Namespace) -> str:
    if args.precision and args.use_amp and args.precision != "bf16":
        raise UserError(f"--use_amp and --precision {args.precision} contradict each other; leave --use_amp out.")
    if args.precision or not args.use_amp:
        return args.precision or "fp32"
    device = pick_device(args.device, args.use_gpu, args.gpu)
    if has_bfloat16(device):
        return "bf16"
    logger.info("note: --use_amp: %s has no bfloat16; computing in float32 (or choose --precision fp16)", device)
    return "fp32"


def zero_shot_folder(results: Path, target: str) -> Path:
    """Where, below the results of the run it was trained by, a target's figures lie."""
    return results / f"zero_shot_{target}"


def of_target(error: UserError) -> UserError:
    """What is wrong with a target, in terms of the flags that name targets."""
    message = str(error)
    for flag in ("--data", "--root_path", "--data_path"):
        message = re.sub(rf"{flag}\b(?!_)", flag.replace("--", "--target_"), message)
    return UserError(f"zero-shot target: {message}")


def _name(target: DataConfig) -> str:
    """A target in the name of a folder: that of the data set, of an own file also its own."""
    if target.data_path is None and target.data != "custom":
        return target.data
    try:
        return f"{target.data}-{name_of_file(target)}"
    except UserError as error:
        raise of_target(error) from error


def name_of_file(data: DataConfig | M4Config) -> str:
    """The first file of a data set as part of a file's name: its own name, and a hash of where it lies."""
    path = next(iter(data.files()), Path("sample"))
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', path.stem)[:30]}_{digest}"


def _series(args: argparse.Namespace) -> DataConfig:
    return DataConfig(
        data=args.data,
        seq_len=args.seq_len,
        pred_len=args.pred_len,
        root_path=args.root_path,
        data_path=args.data_path,
        features=args.features,
        target=args.target,
        percent=args.percent,
        freq=args.freq,
        date_col=args.date_col,
        fill=args.fill,
        tz=args.tz,
    )


def _m4(args: argparse.Namespace) -> M4Config:
    if args.percent != 100:
        raise UserError(f"--percent {args.percent}: there is no few-shot M4; leave it out.")
    return M4Config(args.data, args.seasonal_patterns, args.m4_protocol, args.m4_draws, args.root_path)


def _targets(args: argparse.Namespace) -> tuple[Target, ...]:
    if not args.zero_shot:
        return ()
    names = _parts(args.target_data)
    files = _parts(args.target_data_path) or [None] * len(names)
    if not names or not all(names):
        raise UserError("--zero_shot 1 needs --target_data: the data set to test on, or several with commas between.")
    if len(files) != len(names):
        raise UserError(
            f"--target_data names {len(names)} data set(s) and --target_data_path {len(files)} file(s); "
            "give one file for each, with commas between."
        )
    targets = tuple(Target(name, args.target_root_path, file) for name, file in zip(names, files, strict=True))
    twice = next((target for i, target in enumerate(targets) if target in targets[:i]), None)
    if twice:
        raise UserError(f"--target_data names {twice.data} twice with the same file.")
    return targets


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []
