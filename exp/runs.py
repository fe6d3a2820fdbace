"""Find out which run is finished, which is trained, and which checkpoint an evaluation means."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_provider.config import AnyDataConfig
from data_provider.datasets import find_dataset
from exp.config import RunConfig, RuntimeOptions, Training, identity_of, zero_shot_folder
from models.checkpoint import CONFIG, WEIGHTS, read_best, read_config, read_training
from utils.errors import UserError, shown_path
from utils.fingerprint import fingerprint_of_files
from utils.flags import flags_of, given_for
from utils.results import RECORD
from utils.schedule import Schedule

logger = logging.getLogger(__name__)

# Flags that say how a model was trained, not which model is meant: an evaluation need not repeat them.
HOW_TRAINED = frozenset(
    {"model_id", "des", *flags_of(Schedule), *flags_of(Training), "task_loss", "output_loss", "feature_loss", "task_w",
     "output_w", "feature_w"} - {"precision"}
)  # fmt: skip
DATA_PLACE = frozenset({"data", "root_path", "data_path", "date_col", "freq", "fill", "tz"})
MOST_LISTED = 8  # checkpoints named in a message


def outcomes(config: RunConfig) -> dict[Path, tuple[AnyDataConfig, ...]]:
    """Return the records that a run leaves, each with the data that its figures depend on.

    A zero-shot test leaves one for each target.
    """
    if not config.targets:
        return {config.results / RECORD: (config.data,)}
    return {
        zero_shot_folder(config.results, name) / RECORD: (config.data, target)
        for name, target in config.targets.items()
    }


def digest_to_train(config: RunConfig) -> str:
    """Return the hash of all files that training depends on.

    Raises:
        UserError: a file is missing.
    """
    return fingerprint_of_files(config.data.training_files())


def digests_of_outcomes(config: RunConfig) -> dict[Path, str]:
    """Return, per record of a run, the hash of the data files that its figures depend on.

    Raises:
        UserError: a file is missing.
    """
    return {
        path: fingerprint_of_files(file for one in data for file in one.files())
        for path, data in outcomes(config).items()
    }


def finished(config: RunConfig) -> list[dict[str, Any]]:
    """Return the records of a run that ended before with these flags and these data; none if one is lacking."""
    found = {path: _read_record(path) for path in outcomes(config)}
    if not all(_record_identity(record) == config.identity for record in found.values()):
        return []
    digests = digests_of_outcomes(config)
    if any(record["data"].get("digest") != digests[path] for path, record in found.items()):
        logger.info("the data of %s have changed since its last test", config.setting)
        return []
    trained_on = digest_to_train(config)
    if any(_trained_on(record) != trained_on for record in found.values()):
        logger.info("the data of %s have changed since it was trained", config.setting)
        return []
    return list(found.values())


def is_trained(config: RunConfig) -> bool:
    """Return whether training with these flags and these data was finished before."""
    folder = config.checkpoint
    training = read_training(folder)
    trained_on, weights = training.get("data_digest"), read_best(folder)
    if trained_on is None or training.get("best", weights) != weights:  # another training had begun
        return False
    return trained_on == digest_to_train(config) and stored_identity(folder) == config.identity


def _trained_on(record: Mapping[str, Any]) -> Any:
    training = record["run"].get("training")
    return training.get("data_digest") if isinstance(training, dict) else None


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _record_identity(record: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return identity_of(record)
    except UserError:
        return None


def stored_identity(folder: Path) -> dict[str, Any] | None:
    """Return the ``RunConfig.identity`` of a checkpoint; None where there is none."""
    try:
        return identity_of(read_config(folder))
    except UserError:
        return None


def trained_config(folder: Path, runtime: RuntimeOptions) -> RunConfig:
    """Return the configuration that the model in ``folder`` was trained with.

    Raises:
        UserError: there is no checkpoint, or its configuration is damaged.
    """
    stored = read_config(folder)
    try:
        return RunConfig.from_stored(stored, runtime)
    except UserError as error:
        raise UserError(f"{shown_path(folder)} cannot be loaded: {error}") from error


def find_trained(wanted: RunConfig) -> tuple[Path, RunConfig]:
    """Return the checkpoint of a configuration: of just these flags, else the only one trained otherwise.

    Raises:
        UserError: there is none, or more than one.
    """
    exact = wanted.checkpoint
    if any((exact / name).is_file() for name in (CONFIG, WEIGHTS)):  # a run that ended at once leaves it empty
        return exact, wanted
    found = [folder for folder, identity in _checkpoints(exact.parent) if _model(identity) == _model(wanted.identity)]
    if not found:
        others = [f"\n  --load {shown_path(folder)}" for folder, _ in _checkpoints(exact.parent)][:MOST_LISTED]
        raise UserError(
            f"There is no checkpoint in {shown_path(exact)}, nor another of this model and data. Train it first"
            + (", or name one to use on these data:" + "".join(others) if others else ".")
        )
    if len(found) > 1:
        listed = "".join(f"\n  --load {shown_path(folder)}" for folder in sorted(found))
        raise UserError(f"There is no checkpoint in {exact}; several differ in how they were trained:{listed}")
    logger.info("testing %s, the only checkpoint of this model and data", found[0])
    return found[0], trained_config(found[0], wanted.runtime)


def load_trained(folder: Path, runtime: RuntimeOptions, given: Mapping[str, Any]) -> RunConfig:
    """Return what to do with a checkpoint: all as in training, but for the data file if one is given.

    A file that is not where it was said to be is looked for beside the one trained on.

    Args:
        folder: the checkpoint.
        runtime: where and how to test.
        given: the flags of the command line, by name.

    Raises:
        UserError: a given flag contradicts the checkpoint.
    """
    trained = trained_config(folder, runtime)
    if "data" in given and find_dataset(given["data"]).config != find_dataset(trained.data.data).config:
        raise UserError(
            f"--data is {given['data']} here and {trained.data.data} in {shown_path(folder)}; leave it out."
        )
    moved = {name: value for name, value in given_for(type(trained.data), given).items() if name in DATA_PLACE}
    here = replace(trained, data=replace(_beside(trained.data, moved), **moved))
    if here.data.identity() != stored_identity(folder)["data"]:
        here = replace(here, runtime=replace(runtime, loaded_from=folder.resolve().name))
    own = trained.values
    for name in sorted((given.keys() - HOW_TRAINED - DATA_PLACE) & own.keys()):
        if given[name] != own[name]:
            raise UserError(f"--{name} is {given[name]} here and {own[name]} in {shown_path(folder)}; leave it out.")
    return here


def _beside(data: AnyDataConfig, moved: Mapping[str, Any]) -> AnyDataConfig:
    """Return the data trained on; with its folder as root where a file named without a folder lies there alone."""
    file = moved.get("data_path")
    if not file or "root_path" in moved or Path(file).exists() or not data.data_path:
        return data
    folder = Path(data.data_path).parent
    return replace(data, root_path=str(folder)) if (folder / file).is_file() else data


def _checkpoints(parent: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for folder in sorted(parent.glob("*")):
        identity = stored_identity(folder)
        if identity is not None:
            yield folder, identity


def _model(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an identity that says which model is meant."""
    run, data, model = identity.values()
    flags = {**run, **model["config"]}
    kept = {name: value for name, value in flags.items() if name not in HOW_TRAINED}
    return {"data": data, "name": model["name"], **kept}
