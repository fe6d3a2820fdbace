"""The flags of a run as frozen, checked values. The argparse namespace ends here."""

import argparse
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_provider.datasets import find_dataset
from data_provider.factory import DataConfig, data_file
from layers.branches import LoRA
from models import MODELS
from utils.errors import UserError
from utils.losses import MASKED_LOSSES, PLAIN_LOSSES, CALFLoss
from utils.schedule import Schedule

INITIALISATIONS = ("pretrained", "random")


@dataclass(frozen=True)
class Surroundings:
    """Where and how a run happens: nothing here changes its figures.

    Attributes:
        checkpoints: folder of all checkpoints.
        save_arrays: write pred.npy and true.npy. inverse: write them in the data's units.
    """

    device: str = "auto"
    use_gpu: bool = True
    gpu: int = 0
    num_workers: int = 0
    checkpoints: str = "./checkpoints/"
    save_arrays: bool = True
    inverse: bool = False


@dataclass(frozen=True)
class RunConfig:
    """One run: one model, one data set, one seed."""

    task_name: str
    model: str
    model_id: str
    description: str
    data: DataConfig
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
    use_amp: bool
    seed: int
    surroundings: Surroundings

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise UserError(f"--model {self.model}: no such model; choose one of {', '.join(MODELS)}.")
        if self.llm_init not in INITIALISATIONS:
            raise UserError(f"--llm_init {self.llm_init}: choose one of {', '.join(INITIALISATIONS)}.")
        for flag, name in (("--task_loss", self.loss.task), ("--output_loss", self.loss.output)):
            if name in MASKED_LOSSES and self.task_name != "short_term_forecast":
                raise UserError(f"{flag} {name} is for M4; choose one of {', '.join(PLAIN_LOSSES)}.")

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
            data=DataConfig(
                data=args.data,
                seq_len=args.seq_len,
                pred_len=args.pred_len,
                root_path=args.root_path,
                data_path=args.data_path,
                features=args.features,
                target=args.target,
                percent=args.percent,
                freq=args.freq,
            ),
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
            use_amp=args.use_amp,
            seed=args.seed,
            surroundings=Surroundings(
                device=args.device,
                use_gpu=args.use_gpu,
                gpu=args.gpu,
                num_workers=args.num_workers,
                checkpoints=args.checkpoints,
                save_arrays=bool(args.save_arrays),
                inverse=args.inverse,
            ),
        )

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any], surroundings: Surroundings) -> "RunConfig":
        """The configuration that has this :attr:`identity`.

        Raises:
            UserError: a part is missing, unknown or cannot be used.
        """
        try:
            content = dict(identity)
            data = dict(content.pop("data"))
            file, lora = data.pop("file"), content.pop("lora")
            return cls(
                **{name: value for name, value in content.items() if name not in ("loss", "schedule")},
                data=DataConfig(**data, data_path=file),
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
        spec = find_dataset(self.data.data)
        del content["data"]["root_path"], content["data"]["data_path"]
        content["data"]["file"] = None if self.data.data == "sample" else str(data_file(self.data, spec).resolve())
        return content

    @cached_property
    def setting(self) -> str:
        """Name of the run: readable, and by its hash unique to the configuration."""
        data = self.data
        few_shot = "" if data.percent == 100 else f"_p{data.percent}"
        words = (
            f"{self.task_name}_{self.model_id}_{self.model}_{data.data}_ft{data.features}"
            f"_sl{data.seq_len}_pl{data.pred_len}{few_shot}"
            f"_{Path(self.llm).name}-{self.llm_init}{self.gpt_layers}_{self.description}_seed{self.seed}"
        )
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', words)[:180]}_{digest}"

    @property
    def checkpoint(self) -> Path:
        """The folder this run saves to."""
        return Path(self.surroundings.checkpoints) / self.setting
