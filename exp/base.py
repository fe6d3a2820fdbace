"""Run one configuration: what all tasks share. A task adds its data, its validation, its test and its scores."""

import logging
import shutil
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import models
from exp.config import RunConfig, refit_folder
from exp.evaluation import Predictor, evaluation_batch_size
from exp.experiments import TASKS
from exp.header import count_parameters, describe_model, describe_training
from exp.recipes import PAPER, RECIPES
from exp.runs import digest_to_train, digests_of_outcomes, is_trained, stored_identity, trained_config
from exp.targets import name_of_file
from exp.trackers import check_log
from exp.training import Trainable, Training, save_training
from models.base import Model
from models.checkpoint import SIDE_FILES, read_training
from utils.command import raise_if_stopped
from utils.compute import Compute
from utils.device import (
    check_compiler,
    check_precision,
    device_name,
    environment,
    pick_device,
    return_freed,
    seed_everything,
)
from utils.errors import UserError, shown_path
from utils.files import alone_in, write_json
from utils.results import FORMAT, append_block, run_title

logger = logging.getLogger(__name__)


class Experiment(Trainable):
    """One run of one configuration. A task adds the abstract methods below and those of ``Trainable``.

    ``prepare`` or ``restore`` gives it a model, ``fit`` trains the model and keeps the best epoch on disk, ``test``
    scores it. ``train_and_test`` and ``test_stored`` are the two ways through.

    Attributes:
        training: how training went; empty where it was not finished.
    """

    folder: Path

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        runtime = config.runtime
        self.device = pick_device(runtime.device, runtime.use_gpu, runtime.gpu)
        self.compute = Compute(self.device, self._precision)
        self.best: dict[str, Any] = {}
        self.training: dict[str, Any] = {}
        self.load_data()
        # Hash the data before training, so that a file edited meanwhile is detected.
        self.trained_on = digest_to_train(config)
        self.digests = digests_of_outcomes(config)
        self.identity = config.identity

    @abstractmethod
    def load_data(self) -> None:
        """Read and check the data; raise before anything is written."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Return what a model must fit by the names of ``SIZES``: ``channels``, ``season`` and ``known`` of the data.

        Window lengths are those of the flags, where a task says nothing else.
        """

    @abstractmethod
    def data_record(self) -> dict[str, Any]:
        """Return what a checkpoint must know about the data to forecast elsewhere."""

    @abstractmethod
    def describe_data(self) -> list[str]:
        """Return lines for the header."""

    @abstractmethod
    def test(self) -> list[dict[str, Any]]:
        """Score the model on the whole test split, save and return the record, one for each data set tested.

        Only rank 0 scores and saves; other ranks help to compute forecasts and return [].
        """

    def train_and_test(self, dry_run: bool = False, overwrite: bool = False) -> list[dict[str, Any]]:
        """Train, test the best epoch, return the records; a dry run only says what it would do."""
        self.prepare(write=not dry_run)
        self.describe()
        if dry_run:
            return []
        config = self.config
        with self._alone(config.checkpoint, config.results, config.pictures):
            if overwrite or not self.compute.broadcast(is_trained(config)):  # by another run, meanwhile
                self.fit()
            self.compute.wait_for_everyone()  # until the best epoch lies on disk
            return_freed()  # a test of many channels takes what training took before
            raise_if_stopped()
            self.restore(config.checkpoint)
            return self.test()

    def train(self, overwrite: bool = False) -> None:
        """Train and test nothing; a training that was finished before is repeated with ``overwrite`` alone."""
        self.prepare()
        with self._alone(self.config.checkpoint, self.config.results):
            if overwrite or not self.compute.broadcast(is_trained(self.config)):
                self.fit()
            self.compute.wait_for_everyone()

    def test_stored(self, folder: Path, dry_run: bool = False) -> list[dict[str, Any]]:
        """Test the checkpoint in ``folder``, return the records; a dry run only says what it would do."""
        self.restore(folder)
        self.describe()
        if dry_run:
            return []
        with self._alone(self.config.results, self.config.pictures):
            return self.test()

    def _alone(self, *folders: Path) -> AbstractContextManager:
        """Keep other runs out of these folders within the block; rank 0 sees to it."""
        return alone_in(*folders) if self.compute.is_main_process else nullcontext()

    def prepare(self, write: bool = True) -> None:
        """Build an untrained model from the run's seed. Without ``write`` nothing lands on disk."""
        runtime, kind = self.config.runtime, models.find_model(self.config.model)
        check_precision(self.config.training.precision, self.device)
        check_log(runtime.log)
        config = kind.Config(**self._sizes(), **self.config.network)
        with self.compute.main_process_first():
            seed_everything(self.config.seed, self.device)
            self.model = kind.build(config, write)
        if self.device.type == "cuda":  # dropout of its own on each card
            torch.cuda.manual_seed(self.config.seed + self.compute.process_index)
        if runtime.grad_checkpoint and self._can("recompute_activations", "grad_checkpoint"):
            self.model.recompute_activations()
        if self.config.training.init_from:
            self.model.start_from(Path(self.config.training.init_from))
        self._place()

    def refuse_marks(self) -> None:
        """Raise UserError for calendar marks in a task whose windows have none."""
        if self.config.model_config.reads_marks:
            raise UserError(f"--marks 1 is for forecasts, not for --task_name {self.config.task_name}; leave it out.")

    def _sizes(self) -> dict[str, int]:
        data = self.config.data
        return {"seq_len": data.seq_len, "pred_len": data.pred_len, **self.sizes()}

    def _can(self, method: str, name: str) -> bool:
        """Return whether the model overrides a method of ``Model``; say of a flag without effect where it does not."""
        known = getattr(type(self.model), method) is not getattr(Model, method)
        if not known:
            logger.info("no effect on %s: --%s", self.config.model, name)
        return known

    def _place(self) -> None:
        """Move the model to the device, and compile it there if asked for."""
        mode = self.config.runtime.compile_mode
        self.model.to(self.device)
        if mode and self._can("compile_parts", "compile"):
            check_compiler(self.device)
            torch.compiler.reset()  # what belongs to an earlier model
            self.model.compile_parts(mode)

    def restore(self, folder: Path) -> None:
        """Load the model from a checkpoint.

        Raises:
            UserError: there is none, it is damaged, or it does not fit this run's data and windows.
        """
        seed_everything(self.config.seed, self.device)
        self.model = models.load(folder)
        stored, sizes, extras = self.model.config, self._sizes(), self.model.stored.extras
        trained = trained_config(folder, self.config.runtime)
        pairs = (
            ("--task_name", self.config.task_name, trained.task_name),
            ("--seq_len", sizes["seq_len"], stored.seq_len),
            ("--pred_len", sizes["pred_len"], stored.pred_len),
            ("the number of channels", sizes["channels"], stored.channels),
            ("the columns", self.data_record()["columns"], extras["data"].get("columns")),
            ("the number of columns known in advance", sizes["known"], stored.known),
            ("the number of classes", sizes.get("classes", 0), stored.classes),
        )
        for what, here, there in pairs:
            if here != there:
                raise UserError(f"{shown_path(folder)} does not fit this run: {what} is {here} here and {there} there.")
        self.folder = folder
        self.best = dict(self.model.stored.best)
        self.training = read_training(folder)
        if self.config.runtime.loaded_from:
            self.identity = stored_identity(folder)
        if self.training.get("data_digest") not in (None, self.trained_on):
            logger.info("note: the data are not those that %s was trained on", shown_path(folder))
        if not self.training:
            logger.info("note: training was not finished; %s holds the best epoch until then", shown_path(folder))
        self._place()

    def fit(self) -> None:
        """Train until the epochs or the patience run out; the best epoch is on disk at the end.

        A model without parameters is only validated and saved.

        Raises:
            UserError: a loss is not finite. What was saved before stays.
        """
        if self.model.parameter_groups():
            self.training = Training(self).run()
            return
        self.save_best(-1, self.compute.broadcast(self.validate()))
        self.training = save_training(self, seconds=0.0, epochs=[])

    def save_best(self, epoch: int, score: float) -> None:
        self.best = {"epoch": epoch + 1, self.score.key: score}
        extras = {
            "data": {"config": self.identity["data"], **self.data_record()},
            "run": {"config": self.identity["run"]},
        }
        if self.compute.is_main_process:
            self.model.save(self.config.checkpoint, extras, self.best)
            for name in SIDE_FILES:  # of an earlier training
                (self.config.checkpoint / name).unlink(missing_ok=True)
            if not self.config.is_refit:
                shutil.rmtree(refit_folder(self.config.checkpoint), ignore_errors=True)

    def predictor(self, channels: int) -> Predictor:
        """Return what forecasts windows of a series with the model as it is now."""
        return Predictor(self.model, self.compute, self.eval_batch_size(channels), self.config.runtime.num_workers)

    def eval_batch_size(self, channels: int) -> int:
        """Return the windows of a series per batch of validation and test, over all processes."""
        tokens = channels + self.sizes()["known"]
        size = evaluation_batch_size(tokens, self._sizes()["pred_len"]) * self.compute.num_processes
        return self.config.runtime.eval_batch_size or size

    @property
    def _precision(self) -> str:
        """Return the precision to compute in; a model trained in float16 is tested on the CPU in float32."""
        precision = self.config.training.precision
        return "fp32" if precision == "fp16" and self.device.type == "cpu" else precision

    def describe(self) -> None:
        """Print what is about to run: configuration, data, windows, and what trains at which rate."""
        config = self.config
        logger.info("%s on %s, seed %d", config.model, device_name(self.device), config.seed)
        logger.info("  run: %s", config.setting)
        training = describe_training(config, self.model, self.compute, self.eval_batch_size(self.sizes()["channels"]))
        for line in (*self.describe_data(), *describe_model(self.model), *training):
            logger.info("  %s", line)

    def record(
        self, path: Path, scores: Mapping[str, Any], data: Mapping[str, Any] | None = None, tested_on: str = ""
    ) -> dict[str, Any]:
        """Return the record of a test: run, data, model and scores.

        Args:
            scores: the model's own by metric, ``metrics`` of all forecasters by name, and more.
        """
        config, task = self.config, TASKS[self.config.task_name]
        elsewhere = tested_on or (name_of_file(config.data) if config.runtime.loaded_from else None)
        described = {"name": config.data.data, "config": self.identity["data"], "digest": self.digests[path]}
        described |= {"variant": config.data.variant} if config.data.variant else {}
        return {
            "format": FORMAT,
            "task": {"name": config.task_name, "title": task.title, "metrics": list(task.metrics)},
            "run": {
                "setting": config.setting,
                "seed": config.seed,
                "config": self.identity["run"],
                "best": self.best,
                "training": self.training,
                "environment": environment(self.device),
            },
            "data": described | dict(data or {}) | ({"target_data": elsewhere} if elsewhere else {}),
            "model": {
                "name": config.model,
                "config": asdict(self.model.config),
                "switches": self._switches(),
                "origin": self.model.origin,
                "parameters": count_parameters(self.model),
            },
            "scores": dict(scores),
        }

    def _switches(self) -> dict[str, str]:
        """Return the flags that set the model and its training apart from the published ones, by name."""
        recipe, averaged = self.config.recipe, self.config.training.averaged
        of_recipe = {name: str(value) for name, value in RECIPES[recipe].items()}
        own = {name: value for name, value in self.model.config.switches.items() if of_recipe.get(name) != value}
        return (
            own
            | ({"recipe": recipe} if recipe != PAPER else {})
            | ({"seed_average": str(averaged)} if averaged else {})
        )

    def save(self, path: Path, record: Mapping[str, Any], scores: Iterable[str], said: Iterable[str]) -> None:
        """Save a record, add its block to ``results_<task>.txt``, and print what is to be said of it.

        Args:
            scores: lines of scores for the block.
            said: lines to print.
        """
        parts = [run_title(record), f"seed {self.config.seed}", *self.model.origin_in_words()]
        title = ", ".join([*parts, f"best epoch {self.best.get('epoch')}"])
        append_block(self.config.summary_file, [self.config.setting, title, *scores])
        write_json(path, record)
        for line in (*said, f"figures: {shown_path(path)}"):
            logger.info(line)
