"""What all experiments share. A task adds its data, its loss on a batch, its validation and its test."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from exp.config import RunConfig, name_of_file
from exp.digests import digest_to_train, digests_of_outcomes
from exp.network import Network, new_network, stored_network
from exp.stored import is_trained
from exp.trackers import check_log
from exp.training import Training
from models import ParameterGroup
from models.checkpoints import SIDE_FILES
from models.stored import save_model
from utils.batches import evaluation_batch_size
from utils.checkpoint import read_training
from utils.compute import Compute
from utils.device import (
    check_compiler,
    check_precision,
    device_name,
    has_fast_bfloat16,
    pick_device,
    return_freed,
    seed_everything,
)
from utils.errors import UserError
from utils.files import alone_in
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
        self.compute = Compute(self.device, self._precision)
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
        """Batches of ``--batch_size`` times ``--accumulate`` windows, shuffled anew each time they are iterated."""

    @abstractmethod
    def generators(self) -> dict[str, torch.Generator]:
        """Of the random numbers that the training batches depend on, by name."""

    @abstractmethod
    def batch_loss(self, batch: Any) -> Tensor:
        """The training loss of one batch, a mean over its windows."""

    @abstractmethod
    def validate(self) -> float:
        """Score of the current weights on the whole validation split; lower is better. The main process's counts."""

    @abstractmethod
    def test(self) -> list[dict[str, Any]]:
        """Score the network on the whole test split, save and return the record, one for each data set tested.

        Of several processes the main one does; the others help it forecast, and return none.
        """

    # What all tasks share.

    def train_and_test(self, dry_run: bool = False, overwrite: bool = False) -> list[dict[str, Any]]:
        """Train, test the best epoch, return the records; a dry run only says what it would do.

        Args:
            overwrite: train again what is trained already.
        """
        self.prepare(write=not dry_run)
        self.describe()
        if dry_run:
            return []
        config = self.config
        with self._alone(config.checkpoint, config.results, config.pictures):
            if overwrite or not self.compute.tell(is_trained(config)):  # by another run, meanwhile
                self.fit()
            self.compute.wait()  # until the best epoch lies on disk
            return_freed()  # a test of many channels takes what training took before
            self.restore(config.checkpoint)
            return self.test()

    def test_stored(self, folder: Path, dry_run: bool = False) -> list[dict[str, Any]]:
        """Test the checkpoint in ``folder``, return the records; a dry run only says what it would do."""
        self.restore(folder)
        self.describe()
        if dry_run:
            return []
        with self._alone(self.config.results, self.config.pictures):
            return self.test()

    def _alone(self, *folders: Path) -> AbstractContextManager:
        """No other run works in these folders meanwhile; of several processes the main one sees to it."""
        return alone_in(*folders) if self.compute.is_main else nullcontext()

    def prepare(self, write: bool = True) -> None:
        """Build an untrained network from the run's seed. Without ``write`` nothing lands on disk."""
        place = self.config.surroundings
        check_precision(self.config.precision, self.device)
        check_log(place.log)
        with self.compute.main_first():
            seed_everything(self.config.seed, self.device)
            self.network = new_network(self.config, self.channels, write)
        if self.device.type == "cuda":  # dropout of its own on each card
            torch.cuda.manual_seed(self.config.seed + self.compute.accelerator.process_index)
        if place.grad_checkpoint:
            self.network.model.checkpoint_activations()
        self._place()

    def _place(self) -> None:
        """The network onto the device; compiled there if asked for."""
        mode = self.config.surroundings.compile
        # The fused encoder layer of evaluation knows nothing of autocast once it is compiled.
        torch.backends.mha.set_fastpath_enabled(mode is None)
        self.network.model.to(self.device)
        if mode:
            check_compiler(self.device)
            torch.compiler.reset()  # what belongs to an earlier network
            if self.compute.processes > 1 and self.device.type == "cpu":
                logger.info("note: of several processes on the CPU evaluation alone is compiled")
            self.network.model.compile_parts(mode)

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
        self._place()

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
        precision = self.compute.describe_precision()
        yield f"learning rate: {schedule.learning_rate:g}, {course}; matrix products in {precision}"
        if config.precision == "bf16" and not has_fast_bfloat16(self.device):
            yield "note: this CPU has no instructions for bfloat16; float32 may be faster here"
        yield (
            f"at most {config.train_epochs} epochs of batches of {config.batch_size}{self._divided()}, patience "
            f"{config.patience}; evaluation in batches of {self.eval_batch_size}"
        )

    def _divided(self) -> str:
        """What a batch is part of, and divided into."""
        config, count = self.config, self.compute.processes
        summed = "" if config.accumulate == 1 else f", {config.accumulate} of them a step"
        return summed + ("" if count == 1 else f", divided among {count} processes")

    @property
    def eval_batch_size(self) -> int:
        """Windows per batch of validation and test, over all processes."""
        size = evaluation_batch_size(self.channels, self.config.data.pred_len) * self.compute.processes
        return self.config.surroundings.eval_batch_size or size

    @property
    def _precision(self) -> str:
        """A network trained in float16 is tested on the CPU in float32."""
        config = self.config
        return "fp32" if config.precision == "fp16" and self.device.type == "cpu" else config.precision

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
        """The network's forecast (B, H, C) of windows (B, L, C), in float32 on the device."""
        with torch.inference_mode(), self.compute.autocast():
            return self.network.model(x.to(self.device, non_blocking=True)).forecast.float()

    def forecast_together(self, x: Tensor) -> Tensor:
        """The same, on the CPU, the windows divided among the processes: each has to call it, and has it all."""
        return self.compute.spread(self.forecast, x).cpu()

    def fit(self) -> None:
        """Train until the epochs or the patience run out; the best epoch is on disk at the end.

        Raises:
            UserError: a loss is not finite. What was saved before stays.
        """
        groups, schedule = self.network.model.parameter_groups(), self.config.schedule
        optimiser = build_optimiser(groups, schedule.learning_rate)
        self.training = Training(self, optimiser, build_scheduler(optimiser, groups, schedule)).run()

    def save_best(self, epoch: int, score: float) -> None:
        """Keep the network as it is now."""
        self.best = {"epoch": epoch + 1, self.score.key: score}
        extras = {
            "data": self.data_record(),
            "word_embeddings": self.network.words,
            "training": self.config.identity,
        }
        if self.compute.is_main:
            save_model(self.config.checkpoint, self.network.model, self.network.backbone, extras, self.best)
            for name in SIDE_FILES:  # of an earlier training
                (self.config.checkpoint / name).unlink(missing_ok=True)
