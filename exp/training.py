"""Train anything that fulfils a small protocol: epochs, early stopping, what is saved and logged after each."""

import logging
import math
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from data_provider.windows import Batch
from exp.averaging import WeightAverage
from exp.config import RunConfig
from exp.optimizer import FiniteLoss, build_optimizer, not_finite, set_rates
from exp.resume import TrainingState, clear_state, find_state
from exp.trackers import EpochLog
from models.base import Model
from models.checkpoint import TRAINING
from utils.compute import Compute
from utils.device import environment, peak_memory
from utils.errors import UserError, shown_path
from utils.files import write_json
from utils.plots import plot_losses
from utils.progress import Progress, clock
from utils.schedule import EarlyStopping

logger = logging.getLogger(__name__)

LOSSES = "loss.png"
SECONDS_TO_TELL, SECONDS_OF_A_LONG_RUN = 5.0, 60.0


class Score(NamedTuple):
    """What chooses the best epoch."""

    name: str
    key: str
    ties: bool = False  # whether of two equal epochs the later one is the better


LAST = Score("train loss", "train_loss")  # where the last epoch is kept, whatever its loss


class Trainable(ABC):
    """What the loop needs of whatever it trains.

    Attributes:
        train_loader: of batches of ``--batch_size`` times ``--accumulate`` windows, shuffled anew at each iteration.
        scored: the channels that loss and metrics look at.
        score: what ``validate`` returns.
    """

    config: RunConfig
    compute: Compute
    model: Model
    train_loader: DataLoader
    scored = slice(None)
    score = Score("val MSE", "validation_mse")
    best: dict[str, Any]
    trained_on: str

    @property
    def validates(self) -> bool:
        """Return whether there is something to choose the best epoch by; else the last one is kept."""
        return not self.config.is_refit

    def batch_loss(self, batch: Batch) -> Tensor:
        """Return the training loss of a batch, a mean over its windows."""
        batch = batch.to(self.compute.device)
        with self.compute.autocast():
            return self.model.training_loss(batch.x, batch.y, batch.mask, self.scored, **batch.covariates)

    def begin_epoch(self, epoch: int) -> None:
        """Tell training windows that differ between epochs which one begins."""
        begin = getattr(self.train_loader.dataset, "begin_epoch", None)
        if begin is not None:
            begin(epoch)

    @abstractmethod
    def validate(self) -> float:
        """Return the score of the current weights on the whole validation split; lower is better. Rank 0's counts."""

    @abstractmethod
    def save_best(self, epoch: int, score: float) -> None:
        """Keep the model as it is now."""


class Training:
    """Trains a model from its start, or from where an earlier training was stopped.

    Everything that the next epoch depends on is saved after each epoch: whatever ends the process, the next one goes on
    from there.
    """

    def __init__(self, trainable: Trainable) -> None:
        self.trainable, self.config, self.compute = trainable, trainable.config, trainable.compute
        self.model = trainable.model
        self.score = trainable.score if trainable.validates else LAST
        self.groups = self.model.parameter_groups()
        self.optimizer = build_optimizer(self.groups, self.config.schedule.learning_rate)
        self.plan = self.config.training
        self.average = WeightAverage(self.model, self.plan.ema) if self.plan.ema else None
        self.frozen = self.model.frozen_parts()
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.stopping = EarlyStopping(self.plan.patience, ties=self.score.ties)
        self.history: list[dict[str, Any]] = []  # figures of each epoch that every repetition gives
        self.log: list[dict[str, Any]] = []  # these figures, and how fast the epoch was
        self.seconds = 0.0
        self.epochs_saved = 0

    def run(self) -> dict[str, Any]:
        """Train until the epochs or the patience run out; the best epoch is on disk at the end.

        Returns:
            the record of the training: seconds, machine, losses of every epoch.

        Raises:
            UserError: a loss is not finite, or the state to go on from cannot be used. What was saved before stays.
            KeyboardInterrupt: stopped by hand, with a note on what is saved.
        """
        self._begin()
        try:
            self._train()
        except KeyboardInterrupt as stop:
            stop.add_note(self._where_it_stands())
            raise
        folder = self.config.checkpoint
        if self.compute.is_main_process:
            plot_losses(self.config.results / LOSSES, self.history, self.score.key, self.config.setting)
        record = save_training(self.trainable, self.seconds, self.history)
        if self.compute.is_main_process:
            clear_state(folder)
        if self.trainable.validates:
            logger.info("best epoch %d, %s %.5f", self.stopping.best_epoch + 1, self.score.name, self.stopping.best)
        logger.info("checkpoint: %s", shown_path(folder))
        return record

    def _begin(self) -> None:
        """Take up the state of a training that was stopped, if there is one."""
        state = find_state(self.config, self.trainable.trained_on, self.frozen, self.compute)
        done = 0 if state is None else len(state.progress["history"])
        if done != (elsewhere := self.compute.broadcast(done)):
            raise UserError(
                f"{done} finished epochs are saved here and {elsewhere} where the main process is: --checkpoints has "
                "to be a folder that all nodes share."
            )
        if state is None:
            if self.compute.is_main_process:
                clear_state(self.config.checkpoint)
            return
        state.restore(self.model, self.optimizer, self.compute, self.trainable.train_loader, self.average)
        self.stopping = EarlyStopping(self.plan.patience, ties=self.score.ties, **state.progress["stopping"])
        self.history, self.log = state.progress["history"], state.progress["log"]
        self.seconds, self.epochs_saved = state.progress["seconds"], len(self.history)
        self.trainable.best = state.progress["best"]
        logger.info("going on after epoch %d of %d (%s)", self.epochs_saved, self.plan.train_epochs, state.source)

    def _train(self) -> None:
        done, most = self.epochs_saved, self.plan.train_epochs
        with EpochLog(self.config, done) if self.compute.is_main_process else nullcontext() as log:
            epochs = Progress(range(done, most), "epochs", most, lines=False, initial=done)
            for epoch in epochs:
                if self.stopping.should_stop or self._is_late():
                    break
                self._epoch(epoch, log)
                epochs.show(val=f"{self.log[-1][self.score.key]:.4f}", best=f"{self.stopping.best:.4f}")
        if self.stopping.should_stop:
            logger.info("no better epoch for %d epochs: stopping early", self.plan.patience)
        elif self.epochs_saved < most:
            logger.info("the time of --time_limit has passed: %d of %d epochs", self.epochs_saved, most)
        elif self.trainable.validates and 1 < most == self.stopping.best_epoch + 1:
            logger.info("still improving at the last epoch: raise --train_epochs %d", most)

    def _is_late(self) -> bool:
        """Return whether another epoch would end after the time limit; the first one always begins."""
        seconds = self.compute.broadcast(self.seconds)
        return self.epochs_saved > 0 and seconds * (1 + 1 / self.epochs_saved) > self.config.seconds

    def _epoch(self, epoch: int, log: EpochLog | None) -> None:
        """Train, validate, log and save one epoch."""
        config, score, started = self.config, self.score, time.monotonic()
        set_rates(self.optimizer, self.groups, config.schedule, epoch)
        train_loss, samples = self._pass(epoch)
        training_seconds = time.monotonic() - started
        self.compute.average_statistics(self.model)
        with self._averaged():
            value = self.compute.broadcast(self.trainable.validate()) if self.trainable.validates else train_loss
        if not math.isfinite(value):
            raise UserError(not_finite("validation error", epoch, None, self.plan.precision))
        best = self.stopping.update(value, epoch) or not self.trainable.validates
        self.seconds += time.monotonic() - started
        figures = {"epoch": epoch + 1, "train_loss": train_loss, score.key: value, "rate": config.schedule.rate(epoch)}
        speed = samples / training_seconds
        pace = {"seconds": self.seconds, "samples_per_second": speed, "memory": peak_memory(self.compute.device)}
        self.history.append(figures)
        rates = {f"rate_{group['name']}": group["lr"] for group in self.optimizer.param_groups}
        self.log.append({**figures, **rates, **pace})
        if log:
            log.write(self.log)  # before the state: what a kill leaves too much is dropped later
        self._save(epoch, value, best)
        left = self.seconds / (epoch + 1) * (self.plan.train_epochs - epoch - 1)
        logger.info(
            "epoch %d/%d | train loss %.5f%s | rate %.3g | %.0f samples/s | %s elapsed, at most %s left",
            epoch + 1, self.plan.train_epochs, train_loss, self._scored(value, best),
            figures["rate"], speed, clock(self.seconds), clock(left),
        )  # fmt: skip

    def _foretell(self, passed: float, share: float) -> bool:
        """Say how long a long training will take, once its first steps have shown it; return whether that is known.

        Args:
            share: of the first epoch that took the seconds ``passed``.
        """
        if passed < SECONDS_TO_TELL:
            return False
        whole = min(passed / share * self.plan.train_epochs, self.config.seconds)
        if whole > SECONDS_OF_A_LONG_RUN:
            most = f"{self.plan.train_epochs} epochs" if whole < self.config.seconds else "--time_limit"
            logger.info("training will take %s at most (%s), validation not counted", clock(whole), most)
        return True

    def _scored(self, value: float, best: bool) -> str:
        """Return the score of an epoch in words; empty where nothing is validated."""
        if not self.trainable.validates:
            return ""
        return f" | {self.score.name} {value:.5f}{' (best)' if best else ''}"

    def _pass(self, epoch: int) -> tuple[float, int]:
        """Train on every batch once; return the mean loss and the number of windows."""
        self.model.train()
        self.trainable.begin_epoch(epoch)
        batches = self.trainable.train_loader
        losses, samples = FiniteLoss(epoch, self.compute.device, self.plan.precision), 0
        progress = Progress(batches, f"epoch {epoch + 1}", len(batches))
        started, told = time.monotonic(), self.epochs_saved > 0
        for batch in progress:
            self._step(batch, losses)
            samples += batch.size
            if losses.steps:
                progress.show(loss=f"{losses.total / losses.steps:.4f}")
            passed = time.monotonic() - started
            told = told or self._foretell(passed, samples / (len(batches) * batch.size))
            # Several processes would not stop at the same step.
            if self.seconds + passed > self.config.seconds and self.compute.num_processes == 1:
                break
        return losses.finish(), samples

    def _step(self, batch: Batch, losses: FiniteLoss) -> None:
        """Take one step of the optimizer: the batch in parts of ``--batch_size``, each sharded over the processes."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.config.runtime.compile_mode:
            torch.compiler.cudagraph_mark_step_begin()  # the memory of the last step's graphs may be used again
        count, loss = batch.size, torch.zeros((), device=self.compute.device)
        for first in range(0, count, self.plan.batch_size):
            rows = slice(first, min(first + self.plan.batch_size, count))
            loss += self._backward(batch.rows(rows), (rows.stop - rows.start) / count)
        loss = self.compute.all_reduce(self.parameters, loss)
        losses.add(loss)
        scaler = self.compute.scaler
        if scaler is None:
            self.optimizer.step()
        else:
            scaler.step(self.optimizer)
            scaler.update()
        if self.average:
            self.average.update()

    def _backward(self, batch: Batch, weight: float) -> Tensor:
        """Add the gradients of this rank's rows, and return their part of the loss."""
        rows, share = self.compute.shard(batch.size)
        loss = self.trainable.batch_loss(batch.rows(rows)) * (share * weight)
        scaler = self.compute.scaler
        (loss if scaler is None else scaler.scale(loss)).backward()
        return loss.detach()

    def _averaged(self) -> AbstractContextManager[None]:
        """Let the model hold the averaged weights within the block, where they are averaged."""
        return self.average.in_use() if self.average else nullcontext()

    def _save(self, epoch: int, value: float, best: bool) -> None:
        """Save the model if it is the best so far, then the state to go on from."""
        if best:
            with self._averaged():
                self.trainable.save_best(epoch, value)
        state = TrainingState.of(self.model, self.optimizer, self.compute, self.trainable.train_loader, self.average)
        state.progress |= {
            "stopping": {name: getattr(self.stopping, name) for name in ("best", "best_epoch", "epochs_without")},
            "history": self.history,
            "log": self.log,
            "seconds": self.seconds,
            "best": self.trainable.best,
            "flags": self.config.values,
            "data_digest": self.trainable.trained_on,
            "fingerprints": self.frozen,
        }
        if self.compute.is_main_process:
            state.save(self.config.checkpoint)
        self.epochs_saved = epoch + 1

    def _where_it_stands(self) -> str:
        if not self.epochs_saved:
            return "No epoch was finished; the same command begins anew:"
        return (
            f"{self.epochs_saved} of at most {self.plan.train_epochs} epochs are saved in "
            f"{shown_path(self.config.checkpoint)}; "
            "the same command goes on from there:"
        )


def save_training(trainable: Trainable, seconds: float, epochs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the record of a training that has ended: seconds, machine, figures of each epoch; rank 0 saves it.

    The record in the checkpoint's folder is the sign that the training was finished.
    """
    compute = trainable.compute
    record = {
        "seconds": seconds,
        "data_digest": trainable.trained_on,
        "environment": {**environment(compute.device), "processes": compute.num_processes},
        "best": trainable.best,
        "epochs": epochs,
    }
    if compute.is_main_process:
        write_json(trainable.config.checkpoint / TRAINING, record)
    return record
