"""The one training loop. A task adds its data, its loss on a batch, its validation and its test."""

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from exp.config import RunConfig, name_of_file
from exp.digests import digest_to_train, digests_of_outcomes
from exp.network import Network, new_network, stored_network
from models import ParameterGroup
from models.checkpoints import SIDE_FILES
from models.stored import save_model
from utils.checkpoint import TRAINING, read_training
from utils.device import device_name, pick_device, seed_everything
from utils.early_stopping import EarlyStopping
from utils.errors import UserError
from utils.files import write_json
from utils.progress import Progress, clock
from utils.provenance import environment
from utils.schedule import Schedule

logger = logging.getLogger(__name__)


def build_optimiser(groups: list[ParameterGroup], learning_rate: float) -> torch.optim.Adam:
    """Adam over named groups, each at its constant rate or at ``learning_rate``."""
    parameters = [
        {"params": group.parameters, "lr": group.constant_rate or learning_rate, "name": group.name} for group in groups
    ]
    return torch.optim.Adam(parameters, fused=True)


def build_scheduler(
    optimiser: torch.optim.Adam, groups: list[ParameterGroup], schedule: Schedule
) -> torch.optim.lr_scheduler.LambdaLR:
    """Steps once an epoch; groups with a constant rate keep it."""

    def constant(epoch: int) -> float:
        return 1.0

    def scheduled(epoch: int) -> float:
        return schedule.rate(epoch) / schedule.learning_rate

    factors = [constant if group.constant_rate else scheduled for group in groups]
    return torch.optim.lr_scheduler.LambdaLR(optimiser, factors)


class Score(NamedTuple):
    """What chooses the best epoch: its name for people and its key in records."""

    name: str
    key: str


class Experiment(ABC):
    """One run of one configuration.

    ``prepare`` or ``restore`` gives it a network, ``fit`` trains it and keeps the best epoch on disk,
    ``test`` scores it. ``train_and_test`` and ``test_stored`` are the two ways through.
    """

    network: Network
    folder: Path  # of the checkpoint in use
    stored_data: dict[str, Any]  # its data_record
    score = Score("val MSE", "validation_mse")

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        place = config.surroundings
        self.device = pick_device(place.device, place.use_gpu, place.gpu)
        self.best: dict[str, Any] = {}
        self.training: dict[str, Any] = {}
        self.load_data()
        # Now, not once it is trained: a file that changes meanwhile must not pass for the one that was used.
        self.trained_on = digest_to_train(config)
        self.digests = digests_of_outcomes(config)
        self.identity = config.identity  # what the network was trained with

    # What a task adds.

    @abstractmethod
    def load_data(self) -> None:
        """Read and check the data; raise before anything is written."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels the model sees."""

    @abstractmethod
    def data_record(self) -> dict[str, Any]:
        """What a checkpoint must know about the data to forecast elsewhere."""

    @abstractmethod
    def describe_data(self) -> list[str]:
        """Lines for the header."""

    @abstractmethod
    def train_batches(self) -> DataLoader:
        """The training batches, shuffled anew each time they are iterated."""

    @abstractmethod
    def batch_loss(self, batch: Any) -> Tensor:
        """The training loss of one batch."""

    @abstractmethod
    def validate(self) -> float:
        """Score of the current weights on the whole validation split; lower is better."""

    @abstractmethod
    def test(self) -> list[dict[str, Any]]:
        """Score the network on the whole test split, save and return the record, one for each data set tested."""

    # What all tasks share.

    def train_and_test(self, dry_run: bool = False) -> list[dict[str, Any]]:
        """Train from scratch, test the best epoch, return the records; a dry run only says what it would do."""
        self.prepare(write=not dry_run)
        self.describe()
        if dry_run:
            return []
        self.fit()
        self.restore(self.config.checkpoint)
        return self.test()

    def test_stored(self, folder: Path, dry_run: bool = False) -> list[dict[str, Any]]:
        """Test the checkpoint in ``folder``, return the records; a dry run only says what it would do."""
        self.restore(folder)
        self.describe()
        return [] if dry_run else self.test()

    def prepare(self, write: bool = True) -> None:
        """Build an untrained network from the run's seed. Without ``write`` nothing lands on disk."""
        seed_everything(self.config.seed, self.device)
        self.network = new_network(self.config, self.channels, write)
        self.network.model.to(self.device)

    def restore(self, folder: Path) -> None:
        """Load the network from a checkpoint.

        Raises:
            UserError: there is none, it is damaged, or it does not fit this run's data and windows.
        """
        seed_everything(self.config.seed, self.device)
        self.network, extras = stored_network(folder)
        sizes, wanted = self.network.model.config, self.config.data
        for flag, here, stored in (
            ("--task_name", self.config.task_name, sizes.task_name),
            ("--seq_len", wanted.seq_len, sizes.seq_len),
            ("--pred_len", wanted.pred_len, sizes.pred_len),
            ("the number of channels", self.channels, sizes.channels),
            ("the columns", self.data_record()["columns"], extras["data"].get("columns")),
        ):
            if here != stored:
                raise UserError(f"{folder} does not fit this run: {flag} is {here} here and {stored} there.")
        self.folder, self.stored_data = folder, extras["data"]
        self.best = extras["best"]
        self.training = read_training(folder)
        if self.config.surroundings.loaded_from:
            self.identity = extras.get("training")
        if self.training.get("data_digest") not in (None, self.trained_on):
            logger.info("note: the data are not those that %s was trained on", folder)
        if not self.training:
            logger.info("note: training was not finished; %s holds the best epoch until then", folder)
        self.network.model.to(self.device)

    @property
    def tested_on(self) -> dict[str, str]:
        """For the record: the data of a test that are not those trained on."""
        elsewhere = self.config.surroundings.loaded_from
        return {"target_data": name_of_file(self.config.data)} if elsewhere else {}

    def describe(self) -> None:
        """Print what is about to run: configuration, data, windows, backbone, and what trains at which rate."""
        config = self.config
        logger.info("%s on %s, seed %d", config.model, device_name(self.device), config.seed)
        logger.info("  run: %s", config.setting)
        for line in (*self.describe_data(), *self._describe_network(), *self._describe_training()):
            logger.info("  %s", line)

    def _describe_network(self) -> Iterator[str]:
        model, network = self.network.model, self.network
        yield f"backbone: {network.backbone_name}, {network.backbone['config']['n_layer']} blocks"
        yield f"word embeddings: {len(model.match.words)} words, {network.words_name}"
        lora = model.config.lora
        yield f"LoRA: rank {lora.r}, alpha {lora.alpha}, dropout {lora.dropout:g}" if lora else "LoRA: off"
        row = "{:<18} {:4d} tensors {:>12,} parameters"
        for group in model.parameter_groups():
            count = sum(p.numel() for p in group.parameters)
            rate = f"{group.constant_rate:g}, constant" if group.constant_rate else "--learning_rate"
            yield row.format(f"trains: {group.name}", len(group.parameters), count) + f" at {rate}"
        frozen = model.frozen_state().values()
        yield row.format("frozen", len(frozen), sum(tensor.numel() for tensor in frozen))

    def _describe_training(self) -> Iterator[str]:
        config, loss, schedule = self.config, self.config.loss, self.config.schedule
        yield (
            f"loss: {loss.task_w:g} task ({loss.task}) + {loss.output_w:g} output ({loss.output}) "
            f"+ {loss.feature_w:g} feature ({loss.feature})"
        )
        course = f"cosine, tmax {schedule.tmax}" if schedule.cosine else schedule.lradj
        yield f"learning rate: {schedule.learning_rate:g}, {course}; matrix products in {self._precision}"
        yield f"at most {config.train_epochs} epochs of batches of {config.batch_size}, patience {config.patience}"

    @property
    def _precision(self) -> str:
        return "bfloat16" if self.config.use_amp else "float32"

    def autocast(self) -> AbstractContextManager:
        """bf16 matrix products where ``--use_amp`` asks for them."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.use_amp)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The whole model in evaluation mode, its adapters merged; what was, afterwards."""
        model = self.network.model
        training = model.training
        model.eval()
        try:
            with model.merged_adapters():
                yield
        finally:
            model.train(training)

    def forecast(self, x: Tensor) -> Tensor:
        """The network's forecast (B, H, C) of windows (B, L, C), on the CPU in float32."""
        with torch.inference_mode(), self.autocast():
            return self.network.model(x.to(self.device, non_blocking=True)).forecast.float().cpu()

    def fit(self) -> None:
        """Train until the epochs or the patience run out; the best epoch is on disk at the end.

        Raises:
            UserError: a loss is not finite. What was saved before stays.
        """
        config, model = self.config, self.network.model
        groups = model.parameter_groups()
        optimiser = build_optimiser(groups, config.schedule.learning_rate)
        scheduler = build_scheduler(optimiser, groups, config.schedule)
        stopping = EarlyStopping(config.patience)
        history: list[dict[str, float]] = []
        for name in SIDE_FILES:  # of an earlier training; one of them says that it was finished
            (config.checkpoint / name).unlink(missing_ok=True)
        started = time.monotonic()
        epochs = Progress(range(config.train_epochs), "epochs", config.train_epochs, lines=False)
        for epoch in epochs:
            rate = config.schedule.rate(epoch)
            train_loss = self._train_epoch(epoch, optimiser)
            score = self.validate()
            scheduler.step()
            best = stopping.update(score, epoch)
            if best:
                self._save(epoch, score)
            history.append({"epoch": epoch + 1, "train_loss": train_loss, self.score.key: score, "rate": rate})
            elapsed = time.monotonic() - started
            logger.info(
                "epoch %d/%d | train loss %.5f | %s %.5f%s | rate %.3g | %s elapsed, at most %s left",
                epoch + 1, config.train_epochs, train_loss, self.score.name, score, " (best)" if best else "", rate,
                clock(elapsed), clock(elapsed / (epoch + 1) * (config.train_epochs - epoch - 1)),
            )  # fmt: skip
            epochs.show(val=f"{score:.4f}", best=f"{stopping.best:.4f}")
            if not math.isfinite(score):
                raise UserError(_not_finite("validation error", epoch, None))
            if stopping.should_stop:
                logger.info("no better epoch for %d epochs: stopping early", config.patience)
                break
        seconds = time.monotonic() - started
        self.training = {
            "seconds": seconds,
            "data_digest": self.trained_on,
            "environment": environment(self.device),
            "epochs": history,
        }
        write_json(config.checkpoint / TRAINING, self.training)
        logger.info("best epoch %d, %s %.5f", stopping.best_epoch + 1, self.score.name, stopping.best)
        logger.info("checkpoint: %s", config.checkpoint)

    def _train_epoch(self, epoch: int, optimiser: torch.optim.Optimizer) -> float:
        """One pass over the training batches; the mean loss."""
        self.network.model.train()
        batches = self.train_batches()
        total = 0.0
        progress = Progress(batches, f"epoch {epoch + 1}", len(batches))
        for step, batch in enumerate(progress, start=1):
            optimiser.zero_grad(set_to_none=True)
            loss = self.batch_loss(batch)
            loss.backward()
            value = loss.item()
            if not math.isfinite(value):
                raise UserError(_not_finite("training loss", epoch, step))
            optimiser.step()
            total += value
            progress.show(loss=f"{total / step:.4f}", rate=f"{optimiser.param_groups[-1]['lr']:.2e}")
        return total / len(batches)

    def _save(self, epoch: int, score: float) -> None:
        self.best = {"epoch": epoch + 1, self.score.key: score}
        extras = {
            "data": self.data_record(),
            "word_embeddings": self.network.words,
            "training": self.config.identity,
        }
        save_model(self.config.checkpoint, self.network.model, self.network.backbone, extras, self.best)


def _not_finite(what: str, epoch: int, step: int | None) -> str:
    place = f"epoch {epoch + 1}" + (f", step {step}" if step else "")
    return (
        f"The {what} is not finite in {place}. The learning rate is the likely cause: lower --learning_rate, "
        "and check the data for extreme values. The best epoch before, if any, stays saved."
    )
