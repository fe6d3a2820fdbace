"""Save and restore a training between two epochs: all that the next epoch depends on, in one file without code."""

import json
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.utils.data import DataLoader

from exp.averaging import WeightAverage
from exp.config import RunConfig
from exp.runs import is_trained
from models.base import Model
from models.checkpoint import read_stored, write_checkpoint
from utils.compute import Compute
from utils.errors import UserError, shown_path
from utils.files import save_tensors

logger = logging.getLogger(__name__)

STATE = "resume.safetensors"
PROGRESS = "progress"
# What may differ between a stopped training and the one that goes on from its folder.
FREE = ("train_epochs", "patience", "time_limit", "model_id", "des")


@dataclass
class TrainingState:
    """A training between two epochs.

    Attributes:
        tensors: trained tensors and buffers of the model, their averages, Adam's moments, states of random generators.
        progress: everything else, as JSON.
        source: the folder that it was read from.
    """

    tensors: dict[str, Tensor]
    progress: dict[str, Any]
    source: Path | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        optimizer: torch.optim.Adam,
        compute: Compute,
        loader: DataLoader,
        average: WeightAverage | None = None,
    ) -> "TrainingState":
        """Collect the state of a training; a call of every rank, as on CUDA each has random numbers of its own."""
        adam = optimizer.state_dict()
        tensors = {f"model.{name}": tensor for name, tensor in model.trained_state().items()}
        if average:
            tensors |= {f"average.{name}": tensor for name, tensor in average.tensors.items()}
        for index, moments in adam["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        tensors |= {f"random.{name}": generator.get_state() for name, generator in _generators(loader).items()}
        keys = np.random.get_state()
        tensors["random.torch"] = torch.get_rng_state()
        tensors["random.numpy"] = torch.from_numpy(keys[1].astype(np.int64))
        if compute.device.type == "cuda":
            own = torch.cuda.get_rng_state(compute.device)
            tensors["random.cuda"] = compute.gather(own[None].to(compute.device)).cpu()
        scaler = compute.scaler
        progress = {
            "groups": adam["param_groups"],
            "steps_averaged": average.steps if average else 0,
            "scaler": None if scaler is None else scaler.state_dict(),
            "python": random.getstate(),
            "numpy": [keys[0], *keys[2:]],
        }
        return cls(tensors, progress)

    def save(self, folder: Path) -> None:
        """Write the state, whole or not at all."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        save_tensors(folder / STATE, tensors, {PROGRESS: json.dumps(self.progress)})

    @classmethod
    def load(cls, folder: Path) -> "TrainingState":
        """Read the state in a folder, without running code from it; raise UserError where it is damaged."""
        path = folder / STATE
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
                progress = json.loads((file.metadata() or {})[PROGRESS])
            history, flags = progress["history"], progress["flags"]
            if not isinstance(history, list) or not history or not isinstance(flags, dict):
                raise ValueError("it holds no finished epoch")
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{shown_path(path)} is damaged ({error}); --resume never begins the training anew, or restore it."
            ) from error
        return cls(tensors, progress, folder)

    def restore(
        self,
        model: Model,
        optimizer: torch.optim.Adam,
        compute: Compute,
        loader: DataLoader,
        average: WeightAverage | None = None,
    ) -> None:
        """Put everything back where :meth:`of` collects it.

        Raises:
            UserError: something is missing or does not fit.
        """
        try:
            trained = {name: self.tensors[f"model.{name}"] for name in model.trained_state()}
            model.load_state_dict(trained, strict=False)  # what is frozen is there already
            if average:
                for name, tensor in average.tensors.items():
                    tensor.copy_(self.tensors[f"average.{name}"])
                average.steps = self.progress["steps_averaged"]
            moments: dict[int, dict[str, Tensor]] = {}
            for name, tensor in self.tensors.items():
                if name.startswith("adam."):
                    _, index, moment = name.split(".")
                    moments.setdefault(int(index), {})[moment] = tensor
            optimizer.load_state_dict({"state": moments, "param_groups": self.progress["groups"]})
            if compute.scaler is not None and self.progress["scaler"]:
                compute.scaler.load_state_dict(self.progress["scaler"])
            self._restore_random(compute, loader)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(
                f"{self.source / STATE} does not fit this run ({error}); --resume never begins the training anew."
            ) from error

    def _restore_random(self, compute: Compute, loader: DataLoader) -> None:
        for name, generator in _generators(loader).items():
            generator.set_state(self.tensors[f"random.{name}"])
        torch.set_rng_state(self.tensors["random.torch"])
        name, *rest = self.progress["numpy"]
        np.random.set_state((name, self.tensors["random.numpy"].numpy().astype(np.uint32), *rest))
        version, numbers, following = self.progress["python"]
        random.setstate((version, tuple(numbers), following))
        cards, rank = self.tensors.get("random.cuda"), compute.process_index
        if compute.device.type == "cuda" and cards is not None and rank < len(cards):
            torch.cuda.set_rng_state(cards[rank], compute.device)


def find_state(
    config: RunConfig, trained_on: str, fingerprints: Mapping[str, str], compute: Compute
) -> TrainingState | None:
    """Return the state that a run goes on from, by its ``--resume``; None to begin anew.

    Raises:
        UserError: ``--resume`` names a folder without a usable state, or the run's own is damaged.
    """
    resume = config.runtime.resume
    if resume == "never":
        return None
    own = _own_state(config, trained_on, fingerprints)
    if resume == "auto":
        return own
    folder = Path(resume)
    if not (folder / STATE).is_file():
        raise UserError(
            f"--resume {resume}: there is no {STATE} in this folder, which a stopped training leaves; or choose auto "
            "or never."
        )
    state = TrainingState.load(folder)
    if reason := _misfit(state, config, trained_on, fingerprints):
        raise UserError(f"--resume {resume} does not fit this run: {reason}.")
    done, most = len(state.progress["history"]), config.training.train_epochs
    if done > most:
        raise UserError(f"--resume {resume}: {done} epochs are finished there, more than --train_epochs {most}.")
    if own is not None and len(own.progress["history"]) >= done:
        return own  # this run went on from there before, and was stopped itself
    if folder.resolve() != config.checkpoint.resolve() and compute.is_main_process:
        _take_best(state, config)
    return state


def clear_state(folder: Path) -> None:
    """Remove the state of a training that is over, or begins anew."""
    (folder / STATE).unlink(missing_ok=True)


def _own_state(config: RunConfig, trained_on: str, fingerprints: Mapping[str, str]) -> TrainingState | None:
    if not (config.checkpoint / STATE).is_file():
        return None
    if is_trained(config):  # the training ended, and was killed before it had cleared its state
        return None
    state = TrainingState.load(config.checkpoint)
    if reason := _misfit(state, config, trained_on, fingerprints):
        logger.info("note: %s was stopped earlier, but %s: beginning anew", config.checkpoint, reason)
        return None
    return state


def _misfit(state: TrainingState, config: RunConfig, trained_on: str, fingerprints: Mapping[str, str]) -> str | None:
    """Return why a run cannot go on from a state; None where it can."""
    here, there = config.values, state.progress["flags"]
    for name in sorted({*here, *there} - {*FREE}):
        if here.get(name) != there.get(name):
            return f"{name} is {here.get(name)} here and {there.get(name)} there"
    if state.progress.get("data_digest") != trained_on:
        return "its data have changed since"
    there = state.progress.get("fingerprints", {})
    return next((f"its {name} differs" for name, own in fingerprints.items() if there.get(name) != own), None)


def _take_best(state: TrainingState, config: RunConfig) -> None:
    """Copy the best epoch so far into this run's own checkpoint."""
    stored = read_stored(state.source)
    if stored.best != state.progress["best"] and len(state.progress["history"]) >= config.training.train_epochs:
        raise UserError(
            f"--resume {state.source}: its model is of epoch {stored.best.get('epoch')}, which was not finished when "
            f"it was stopped; give more than --train_epochs {config.training.train_epochs}."
        )
    model = {"name": stored.name, "config": stored.config, "origin": stored.origin}
    tensors = dict(stored.values({name: torch.empty(shape, device="meta") for name, shape in stored.shapes.items()}))
    extras = {**stored.extras, "run": {**stored.extras["run"], "config": config.identity["run"]}}
    write_checkpoint(config.checkpoint, model, tensors, extras, stored.best)


def _generators(loader: DataLoader) -> dict[str, torch.Generator]:
    """Return the random generators that training batches depend on: their order, and cuts that a data set makes."""
    found = {"order": loader.generator, "cuts": getattr(loader.dataset, "generator", None)}
    return {name: generator for name, generator in found.items() if generator}
