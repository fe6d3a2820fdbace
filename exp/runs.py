"""Find out which run is finished, which is trained, and which checkpoint an evaluation means."""

import json
import logging
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from data_provider.config import AnyDataConfig
from data_provider.datasets import config_place
from exp.config import RunConfig, identity_of, refit_folder
from exp.experiments import TASKS
from exp.options import RuntimeOptions
from exp.targets import in_domain_folder, shuffle_folder, with_targets, zero_shot_folder
from models.checkpoint import CONFIG, WEIGHTS, read_best, read_config, read_training
from utils.errors import UserError, shown_path
from utils.fingerprint import fingerprint_of_files
from utils.flags import flags_of
from utils.results import FORMAT, RECORD

logger = logging.getLogger(__name__)

MOST_LISTED = 8  # checkpoints named in a message


def digest_to_train(config: RunConfig) -> str:
    """Return the hash of all files that training depends on; raise UserError where one is missing."""
    return _hash(config.data.training_files())


def outcomes(config: RunConfig) -> dict[Path, list[Path]]:
    """Return the data files that figures depend on, for each record of a run: one record per data set tested.

    A test on shuffled windows has a record of its own.
    """
    targets = {in_domain_folder(config.results, name): () for name in config.sets}
    targets |= {zero_shot_folder(config.results, name): target.files() for name, target in config.targets.items()}
    own = config.data.files()
    usual = shuffle_folder(config.results, config.shuffle_input)
    return {folder / RECORD: [*own, *files] for folder, files in (targets or {usual: ()}).items()}


def digests_of_outcomes(config: RunConfig) -> dict[Path, str]:
    """Return the hash of the data files for each record of a run; raise UserError where one is missing."""
    return {path: _hash(files) for path, files in outcomes(config).items()}


def _hash(files: Iterable[Path]) -> str:
    try:
        return fingerprint_of_files(files)
    except FileNotFoundError as error:
        raise UserError(f"{shown_path(error.filename)} does not exist; check --root_path and --data_path.") from error


def finished(config: RunConfig) -> dict[Path, dict[str, Any]]:
    """Return the records of a run that ended before with these flags and these data; none if one is lacking."""
    found = {path: _read_record(path) for path in outcomes(config)}
    if not all(record and identity_of(record) == config.identity for record in found.values()):
        return {}
    digests = digests_of_outcomes(config)
    if any(record["data"].get("digest") != digests[path] for path, record in found.items()):
        logger.info("the data of %s have changed since its last test", config.setting)
        return {}
    trained_on = digest_to_train(config)
    if any(record["run"]["training"].get("data_digest") != trained_on for record in found.values()):
        logger.info("the data of %s have changed since it was trained", config.setting)
        return {}
    return found


def is_trained(config: RunConfig) -> bool:
    """Return whether training with these flags and these data was finished before."""
    folder = config.checkpoint
    training = read_training(folder)
    trained_on, weights = training.get("data_digest"), read_best(folder)
    if trained_on is None or training.get("best", weights) != weights:  # another training had begun
        return False
    return trained_on == digest_to_train(config) and stored_identity(folder) == config.identity


def best_to_forecast(folder: Path) -> Path:
    """Return the checkpoint to forecast with: the one trained on all rows where there is one, finished."""
    refit = refit_folder(folder)
    return refit if read_training(refit) else folder


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        identity_of(record)
        sound = record["format"] == FORMAT and isinstance(record["run"]["training"], dict)
    except (OSError, ValueError, RecursionError, KeyError, UserError):
        return {}
    return record if sound else {}


def stored_identity(folder: Path) -> dict[str, Any] | None:
    """Return the ``RunConfig.identity`` of a checkpoint; None where there is none."""
    try:
        return identity_of(read_config(folder))
    except UserError:
        return None


def trained_config(folder: Path, runtime: RuntimeOptions) -> RunConfig:
    """Return the configuration that the model in ``folder`` was trained with; raise UserError where it is damaged."""
    stored = read_config(folder)
    try:
        return RunConfig.from_stored(stored, runtime)
    except UserError as error:
        reason = f"the stored configuration of the run is damaged: {error}"
        raise UserError(f"{shown_path(folder)} cannot be loaded: {reason}") from error


def find_trained(wanted: RunConfig) -> tuple[Path, RunConfig]:
    """Return the checkpoint of a configuration: of just these flags, else the only one trained otherwise.

    Raises:
        UserError: there is none, or more than one.
    """
    exact = wanted.checkpoint
    if any((exact / name).is_file() for name in (CONFIG, WEIGHTS)):  # a run that ended at once leaves it empty
        return exact, wanted
    free = wanted.training_flags
    others = {folder: identity for folder in sorted(exact.parent.glob("*")) if (identity := stored_identity(folder))}
    found = [one for one, identity in others.items() if _model(identity, free) == _model(wanted.identity, free)]
    if not found:
        listed = _listing(list(others)[:MOST_LISTED])
        raise UserError(
            f"There is no checkpoint in {shown_path(exact)}, nor another of this model and data. Train it first"
            + (f", or name one to use on these data:{listed}" if listed else ".")
        )
    if len(found) > 1:
        raise UserError(
            f"There is no checkpoint in {shown_path(exact)}; several differ in how they were trained:{_listing(found)}"
        )
    logger.info("testing %s, the only checkpoint of this model and data", shown_path(found[0]))
    return found[0], trained_config(found[0], wanted.runtime).named_as(found[0])


def _listing(folders: Iterable[Path]) -> str:
    return "".join(f"\n  --load {shown_path(folder)}" for folder in folders)


def config_to_test(folder: Path, runtime: RuntimeOptions, given: Mapping[str, Any]) -> RunConfig:
    """Return the configuration to use a checkpoint with: that of its training, but for the data file if one is given.

    Raises:
        UserError: a given flag contradicts the checkpoint.
    """
    trained, where = trained_config(folder, runtime), shown_path(folder)
    trained = replace(trained, runtime=with_targets(runtime, trained.data.data))
    if "data" in given and not _same_kind(trained, given["data"]):
        raise UserError(f"--data is {given['data']} here and {trained.data.data} in {where}; leave it out.")
    may_differ = {*trained.training_flags, *trained.data.of_the_file, "data", "freq"}
    own = trained.values
    for name in sorted((given.keys() & own.keys()) - may_differ):
        if given[name] != own[name]:
            raise UserError(f"--{name} is {given[name]} here and {own[name]} in {where}; leave it out.")
    here = replace(trained, data=_moved(trained.data, given))
    if here.data.identity() != stored_identity(folder)["data"]:
        return replace(here, runtime=replace(here.runtime, loaded_from=folder.resolve().name))
    return here.named_as(folder)


def _same_kind(trained: RunConfig, data: str) -> bool:
    """Return whether a data set is read and windowed like the one that a model was trained on."""
    place = TASKS[trained.task_name].configs.get(config_place(data))
    return place is not None and resolve_name(place) is type(trained.data)


def _moved(data: AnyDataConfig, given: Mapping[str, Any]) -> AnyDataConfig:
    """Return the data trained on, or those that the given flags name in their place."""
    names = {*data.of_the_file, "data", "freq"} & flags_of(type(data)).keys()
    moved = {name: given[name] for name in names & given.keys()}
    if moved.get("data", data.data) != data.data:  # its own file, unless one is named
        moved = {"root_path": None, "data_path": None, **moved}
    file, trained_on = moved.get("data_path"), getattr(data, "data_path", None)
    if file and trained_on and "root_path" not in moved and not Path(file).exists():
        folder = Path(trained_on).parent
        if (folder / file).is_file():
            moved["root_path"] = str(folder)
    return replace(data, **moved)


def _model(identity: Mapping[str, Any], free: Container[str]) -> dict[str, Any]:
    """Return the part of an identity that says which model is meant: all but the flags that are free."""
    run, data, model = identity.values()
    kept = {name: value for name, value in {**run, **model["config"]}.items() if name not in free}
    return {"data": data, "name": model["name"], **kept}
