"""Which checkpoint an evaluation means, and the configuration it was trained with."""

import json
import logging
from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from data_provider.config import DataConfig
from data_provider.m4 import M4Config
from exp.config import RunConfig, Surroundings
from exp.digests import digest_to_train, digests_of_outcomes
from utils.checkpoint import CONFIG, WEIGHTS, read_best, read_config, read_training
from utils.errors import UserError
from utils.records import modern_config, modern_record

logger = logging.getLogger(__name__)

# Parts of a configuration that say how a model was trained, and flags that set them: they do not change which
# model is meant, so an evaluation need not repeat them.
HOW_TRAINED = ("model_id", "description", "loss", "schedule", "batch_size", "accumulate", "train_epochs", "patience")
TRAINING_FLAGS = frozenset(
    {"model_id", "des", "learning_rate", "cos", "tmax", "lradj", "decay_fac", "batch_size", "accumulate",
     "train_epochs", "patience",
     "task_loss", "output_loss", "feature_loss", "task_w", "output_w", "feature_w"}
)  # fmt: skip
M4_FLAGS = {"protocol": "m4_protocol", "draws": "m4_draws"}
MOST_LISTED = 8  # checkpoints named in a message
DATA_FLAGS = frozenset({"data", "root_path", "data_path", "date_col", "freq", "fill", "tz"})


def finished(config: RunConfig) -> list[dict[str, Any]]:
    """The records of a run that ended before, with this configuration and these data; none if one is lacking."""
    found = {path: _read_record(path) for path in config.outcomes}
    if not all(record.get("config") == config.identity for record in found.values()):
        return []
    digests = digests_of_outcomes(config)
    if any(record.get("data_digest") != digests[path] for path, record in found.items()):
        logger.info("the data of %s have changed since its last test", config.setting)
        return []
    trained_on = digest_to_train(config)
    if any(_trained_on(record) != trained_on for record in found.values()):
        logger.info("the data of %s have changed since it was trained", config.setting)
        return []
    return list(found.values())


def is_trained(config: RunConfig) -> bool:
    """Whether training with this configuration and these data was finished before."""
    folder = config.checkpoint
    training = read_training(folder)
    trained_on, weights = training.get("data_digest"), read_best(folder)
    if trained_on is None or training.get("best", weights) != weights:  # another training had begun
        return False
    return trained_on == digest_to_train(config) and _identity(folder) == config.identity


def _trained_on(record: Mapping[str, Any]) -> Any:
    training = record.get("training")
    return training.get("data_digest") if isinstance(training, dict) else None


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return modern_record(record) if isinstance(record, dict) else {}


def _identity(folder: Path) -> Any:
    try:
        identity = read_config(folder).get("training")
    except UserError:
        return None
    return modern_config(identity) if isinstance(identity, dict) else None


def trained_config(folder: Path, surroundings: Surroundings) -> RunConfig:
    """The configuration that the model in ``folder`` was trained with.

    Raises:
        UserError: there is no checkpoint, or its configuration is damaged.
    """
    try:
        return RunConfig.from_identity(read_config(folder).get("training", {}), surroundings)
    except UserError as error:
        message = str(error)
        raise UserError(message if str(folder) in message else f"{folder} cannot be loaded: {message}") from error


def find_trained(wanted: RunConfig) -> tuple[Path, RunConfig]:
    """The checkpoint of a configuration: the one trained with just these flags, else the only one trained otherwise.

    Raises:
        UserError: there is none, or more than one.
    """
    exact = wanted.checkpoint
    if any((exact / name).is_file() for name in (CONFIG, WEIGHTS)):  # a run that ended at once leaves it empty
        return exact, wanted
    found = [folder for folder, identity in _checkpoints(exact.parent) if _model(identity) == _model(wanted.identity)]
    if not found:
        others = [f"\n  --load {folder}" for folder, _ in _checkpoints(exact.parent)][:MOST_LISTED]
        raise UserError(
            f"There is no checkpoint in {exact}, nor another of this model and data. Train it first"
            + (", or name one to use on these data:" + "".join(others) if others else ".")
        )
    if len(found) > 1:
        listed = "".join(f"\n  --load {folder}" for folder in sorted(found))
        raise UserError(f"There is no checkpoint in {exact}; several differ in how they were trained:{listed}")
    logger.info("testing %s, the only checkpoint of this model and data", found[0])
    return found[0], trained_config(found[0], wanted.surroundings)


def load_trained(folder: Path, wanted: RunConfig, given: Set[str]) -> RunConfig:
    """What a run does that was given a checkpoint: all is as in training, but for the data file if one was given.

    A file that is not where it was said to be is looked for beside the one trained on.

    Args:
        wanted: the configuration of all flags. given: the flags that stood on the command line.

    Raises:
        UserError: a given flag contradicts the checkpoint.
    """
    trained = trained_config(folder, wanted.surroundings)
    if type(wanted.data) is not type(trained.data) and "data" in given:
        raise UserError(f"--data is {wanted.data.data} here and {trained.data.data} in {folder}; leave it out.")
    own = {field.name for field in fields(trained.data)}
    moved = {name: getattr(wanted.data, name) for name in given & DATA_FLAGS & own}
    trained = replace(trained, data=replace(_beside(trained.data, moved), **moved))
    if trained.data.identity() != _identity(folder)["data"]:
        place = replace(trained.surroundings, loaded_from=folder.resolve().name)
        trained = replace(trained, surroundings=place)
    here, there = _flat(wanted.identity), _flat(trained.identity)
    for name in sorted((given - TRAINING_FLAGS - DATA_FLAGS) & here.keys()):
        if here[name] != there.get(name):
            raise UserError(f"--{name} is {here[name]} here and {there.get(name)} in {folder}; leave it out.")
    return trained


def _beside(data: DataConfig | M4Config, moved: Mapping[str, Any]) -> DataConfig | M4Config:
    """The data trained on, its folder as root where a file that was named without a folder lies there alone."""
    file = moved.get("data_path")
    if not file or "root_path" in moved or Path(file).exists() or not data.data_path:
        return data
    folder = Path(data.data_path).parent
    return replace(data, root_path=str(folder)) if (folder / file).is_file() else data


def _checkpoints(parent: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for folder in sorted(parent.glob("*")):
        identity = _identity(folder)
        if isinstance(identity, dict):
            yield folder, identity


def _model(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name not in HOW_TRAINED}


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the name of their flag."""
    lora = identity["lora"] or {}
    adapters = {"lora": int(bool(lora)), "r": lora.get("r"), "lora_alpha": lora.get("alpha")}
    data = {M4_FLAGS.get(name, name): value for name, value in identity["data"].items()}
    amp = {"use_amp": identity["precision"] != "fp32"}
    return {**identity, **data, **adapters, **amp, "lora_dropout": lora.get("dropout")}
