"""The one training loop: epochs, early stopping, what is saved and logged after each."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from exp.resume import TrainingState, clear_state, find_state
from exp.trackers import start_tracker
from utils.checkpoint import TRAINING
from utils.device import environment, peak_memory
from utils.errors import UserError
from utils.files import write_json
from utils.fingerprint import fingerprint
from utils.plots import plot_losses
from utils.progress import Progress, clock
from utils.schedule import EarlyStopping

if TYPE_CHECKING:
    from exp.base import Experiment

logger = logging.getLogger(__name__)

LOSSES = "loss.png"


class FiniteLoss:
    """Sums the losses of an epoch and raises UserError at one that is not finite.

    On CUDA a loss is looked at one step later, so that the host never waits for the card.
    """

    def __init__(self, epoch: int, device: torch.device, precision: str) -> None:
        self._epoch, self._late, self._precision = epoch, device.type == "cuda", precision
        self._unseen: Tensor | None = None
        self.total, self.steps = 0.0, 0

    def add(self, loss: Tensor) -> None:
        """Take the loss of the next step."""
        seen, self._unseen = (self._unseen, loss) if self._late else (loss, None)
        self._look(seen)

    def finish(self) -> float:
        """The mean loss of the epoch."""
        self._look(self._unseen)
        return self.total / self.steps

    def _look(self, loss: Tensor | None) -> None:
        if loss is None:
            return
        value, self.steps = loss.item(), self.steps + 1
        if not math.isfinite(value):
            raise UserError(not_finite("training loss", self._epoch, self.steps, self._precision))
        self.total += value


class Training:
    """One training of an experiment's network, from its start or from where an earlier one was stopped.

    What an epoch leaves is saved after it, so that whatever ends the process, the next one goes on from there.
    """

    def __init__(
        self,
        experiment: "Experiment",
        optimiser: torch.optim.Adam,
        scheduler: torch.optim.lr_scheduler.LambdaLR,
    ) -> None:
        self.experiment, self.config, self.compute = experiment, experiment.config, experiment.compute
        self.model, self.optimiser, self.scheduler = experiment.network.model, optimiser, scheduler
        self.parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        self.stopping = EarlyStopping(self.config.patience)
        self.history: list[dict[str, Any]] = []  # of each epoch, the same in every repetition
        self.log: list[dict[str, Any]] = []  # the same, and how fast it was
        self.seconds = 0.0
        self.epochs_saved = 0

    def run(self) -> dict[str, Any]:
        """Train until the epochs or the patience run out; the best epoch is on disk at the end.

        Returns:
            the record of the training.

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
        folder, record = self.config.checkpoint, self._record()
        if self.compute.is_main:
            plot_losses(self.config.results / LOSSES, self.history, self.experiment.score.key, self.config.setting)
            write_json(folder / TRAINING, record)
            clear_state(folder)
        score = self.experiment.score.name
        logger.info("best epoch %d, %s %.5f", self.stopping.best_epoch + 1, score, self.stopping.best)
        logger.info("checkpoint: %s", folder)
        return record

    def _begin(self) -> None:
        """Take up the state of a training that was stopped, if there is one."""
        experiment = self.experiment
        state = find_state(self.config, experiment.trained_on, self._fingerprints, self.compute)
        done = 0 if state is None else len(state.progress["history"])
        if done != (elsewhere := self.compute.tell(done)):
            raise UserError(
                f"{done} finished epochs are saved here and {elsewhere} where the main process is: --checkpoints has "
                "to be a folder that all nodes share."
            )
        if state is None:
            if self.compute.is_main:
                clear_state(self.config.checkpoint)
            return
        state.restore(self.model, self.optimiser, self.scheduler, self.compute, experiment.generators())
        self.stopping = EarlyStopping(self.config.patience, **state.progress["stopping"])
        self.history, self.log = state.progress["history"], state.progress["log"]
        self.seconds, self.epochs_saved = state.progress["seconds"], len(self.history)
        experiment.best = state.progress["best"]
        logger.info("going on after epoch %d of %d (%s)", self.epochs_saved, self.config.train_epochs, state.source)

    def _train(self) -> None:
        config, score = self.config, self.experiment.score
        with start_tracker(config, self.log, self.compute) as track:
            epochs = Progress(
                range(self.epochs_saved, config.train_epochs), "epochs", config.train_epochs, lines=False,
                initial=self.epochs_saved,
            )  # fmt: skip
            for epoch in epochs:
                if self.stopping.should_stop:
                    break
                self._epoch(epoch, track)
                epochs.show(val=f"{self.log[-1][score.key]:.4f}", best=f"{self.stopping.best:.4f}")
        if self.stopping.should_stop:
            logger.info("no better epoch for %d epochs: stopping early", config.patience)

    def _epoch(self, epoch: int, track: Callable[[dict[str, Any]], None]) -> None:
        """One epoch: train, validate, log, save."""
        config, score, started = self.config, self.experiment.score, time.monotonic()
        rates = {group["name"]: group["lr"] for group in self.optimiser.param_groups}
        train_loss, samples = self._pass(epoch)
        training_seconds = time.monotonic() - started
        value = self.compute.tell(self.experiment.validate())
        if not math.isfinite(value):
            raise UserError(not_finite("validation error", epoch, None, config.precision))
        self.scheduler.step()
        best = self.stopping.update(value, epoch)
        self.seconds += time.monotonic() - started
        figures = {"epoch": epoch + 1, "train_loss": train_loss, score.key: value, "rate": config.schedule.rate(epoch)}
        speed = samples / training_seconds
        pace = {"seconds": self.seconds, "samples_per_second": speed, "memory": peak_memory(self.compute.device)}
        self.history.append(figures)
        self.log.append({**figures, **{f"rate_{name}": rate for name, rate in rates.items()}, **pace})
        track(self.log[-1])  # before it is saved: what a kill leaves too much is dropped later, what lacked never came
        self._save(epoch, value, best)
        left = self.seconds / (epoch + 1) * (config.train_epochs - epoch - 1)
        logger.info(
            "epoch %d/%d | train loss %.5f | %s %.5f%s | rate %.3g | %.0f samples/s | %s elapsed, at most %s left",
            epoch + 1, config.train_epochs, train_loss, score.name, value, " (best)" if best else "", figures["rate"],
            speed, clock(self.seconds), clock(left),
        )  # fmt: skip

    def _pass(self, epoch: int) -> tuple[float, int]:
        """One pass over the training batches: the mean loss, and how many windows there were."""
        self.model.train()
        batches = self.experiment.train_batches()
        losses, samples = FiniteLoss(epoch, self.compute.device, self.config.precision), 0
        progress = Progress(batches, f"epoch {epoch + 1}", len(batches))
        for batch in progress:
            self._step(batch, losses)
            samples += len(batch[0])
            if losses.steps:
                progress.show(loss=f"{losses.total / losses.steps:.4f}")
        return losses.finish(), samples

    def _step(self, batch: Sequence[Tensor | None], losses: FiniteLoss) -> None:
        """One step of the optimiser: the batch in parts of ``--batch_size``, each divided among the processes."""
        self.optimiser.zero_grad(set_to_none=True)
        if self.config.surroundings.compile:
            torch.compiler.cudagraph_mark_step_begin()  # the memory of the last step's graphs may be used again
        count, loss = len(batch[0]), torch.zeros((), device=self.compute.device)
        for first in range(0, count, self.config.batch_size):
            rows = slice(first, min(first + self.config.batch_size, count))
            loss += self._backward(_rows(batch, rows), (rows.stop - rows.start) / count)
        loss = self.compute.sum_step(self.parameters, loss)
        losses.add(loss)
        scaler = self.compute.accelerator.scaler
        if scaler is None:
            self.optimiser.step()
        else:
            scaler.step(self.optimiser)
            scaler.update()

    def _backward(self, batch: Sequence[Tensor | None], weight: float) -> Tensor:
        """Add the gradients of this process's rows; their part of the loss."""
        share = self.compute.share(len(batch[0]))
        with self.compute.same_dropout(share):
            loss = self.experiment.batch_loss(_rows(batch, share.rows)) * (share.weight * weight)
            scaler = self.compute.accelerator.scaler
            (loss if scaler is None else scaler.scale(loss)).backward()
        return loss.detach()

    def _save(self, epoch: int, value: float, best: bool) -> None:
        """The network if it is the best so far, then the state to go on from: what a kill between them loses is
        computed again, to the same numbers."""
        if best:
            self.experiment.save_best(epoch, value)
        state = TrainingState.of(self.model, self.optimiser, self.scheduler, self.compute, self.experiment.generators())
        state.progress |= {
            "stopping": {name: getattr(self.stopping, name) for name in ("best", "best_epoch", "epochs_without")},
            "history": self.history,
            "log": self.log,
            "seconds": self.seconds,
            "best": self.experiment.best,
            "identity": self.config.identity,
            "data_digest": self.experiment.trained_on,
            "fingerprints": self._fingerprints,
        }
        if self.compute.is_main:
            state.save(self.config.checkpoint)
        self.epochs_saved = epoch + 1

    def _record(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds,
            "data_digest": self.experiment.trained_on,
            "environment": {**environment(self.compute.device), "processes": self.compute.processes},
            "best": self.experiment.best,
            "epochs": self.history,
        }

    @property
    def _fingerprints(self) -> dict[str, str]:
        """Of what the network holds and does not train."""
        backbone = self.experiment.network.backbone["fingerprint"]
        return {"backbone": backbone, "word embeddings": fingerprint({"words": self.model.match.words})}

    def _where_it_stands(self) -> str:
        if not self.epochs_saved:
            return "No epoch was finished; the same command begins anew:"
        return (
            f"{self.epochs_saved} of at most {self.config.train_epochs} epochs are saved in {self.config.checkpoint}; "
            "the same command goes on from there:"
        )


def _rows(batch: Sequence[Tensor | None], rows: slice) -> Any:
    """Some rows of a named tuple of tensors."""
    return type(batch)(*(None if part is None else part[rows] for part in batch))


def not_finite(what: str, epoch: int, step: int | None, precision: str) -> str:
    """What to say of a loss that is not finite, and the remedy."""
    place = f"epoch {epoch + 1}" + (f", step {step}" if step else "")
    narrow = "float16 holds no numbers above 65,504: choose --precision bf16 or fp32. Otherwise the "
    return (
        f"The {what} is not finite in {place}. {narrow if precision == 'fp16' else 'The '}learning rate is the likely "
        "cause: lower --learning_rate, and check the data for extreme values. The best epoch before, if any, stays "
        "saved."
    )
