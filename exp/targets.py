"""Name the data sets of a zero-shot test: from the flags of the command line to folders of results."""

import hashlib
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

from data_provider.config import AnyDataConfig, DataConfig
from data_provider.datasets import DATASETS, find_dataset
from exp.options import Command, Target
from utils.errors import UserError, shown_path


def parse_targets(command: Command) -> tuple[Target, ...]:
    """Return the data sets of a zero-shot test; none for another run.

    Raises:
        UserError: the flags that name them contradict each other.
    """
    if not command.zero_shot:
        return ()
    names = _split(command.target_data)
    files = _split(command.target_data_path) or [None] * len(names)
    if not names or not all(names):
        raise UserError("--zero_shot 1 needs --target_data: the data set to test on, or several with commas between.")
    if len(files) != len(names):
        raise UserError(
            f"--target_data names {len(names)} data set(s) and --target_data_path {len(files)} file(s); "
            "give one file for each, with commas between."
        )
    targets = tuple(Target(name, command.target_root_path, file) for name, file in zip(names, files, strict=True))
    twice = next((target for i, target in enumerate(targets) if target in targets[:i]), None)
    if twice:
        raise UserError(f"--target_data names {twice.data} twice with the same file.")
    return targets


def target_configs(source: DataConfig, targets: tuple[Target, ...]) -> dict[str, DataConfig]:
    """Return the configurations of the targets by name, windowed like the data trained on.

    Raises:
        UserError: a target is unknown or of another kind than the source, or its file was not named.
    """
    found = {}
    for target in targets:
        _check_kind(source, target)
        location = {**asdict(target), "root_path": target.root_path or _folder_of_source(source, target)}
        tz = source.tz if target.data == "custom" else None
        config = replace(source, **location, percent=100, freq=None, tz=tz)
        found[_name(config)] = config
    return found


def zero_shot_folder(results: Path, target: str) -> Path:
    """Return where a target's figures lie, below the results of the run that trained."""
    return results / f"zero_shot_{target}"


def of_target(error: UserError) -> UserError:
    """Return an error about a target in terms of the flags that name targets."""
    message = str(error)
    for name in ("--data", "--root_path", "--data_path"):
        message = re.sub(rf"{name}\b(?!_)", name.replace("--", "--target_"), message)
    return UserError(f"zero-shot target: {message}")


def name_of_file(data: AnyDataConfig) -> str:
    """Return a data set's first file as part of a name: the file's own name, and a hash of where it lies."""
    path = next(iter(data.files()), Path("sample"))
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', shown_path(path.stem))[:30]}_{digest}"


def _check_kind(source: DataConfig, target: Target) -> None:
    kind = find_dataset(source.data).config
    fitting = [name for name, spec in DATASETS.items() if spec.config == kind]
    if target.data not in fitting:
        raise UserError(
            f"zero-shot target: --target_data {target.data}: no such data set; choose one of {', '.join(fitting)}."
        )


def _folder_of_source(source: DataConfig, target: Target) -> str | None:
    """Return the source's folder if it was named and holds the target's file too, as the release expects it."""
    file = target.data_path or find_dataset(target.data).file
    root = source.root_path
    return root if root and file and (Path(root) / file).is_file() else None


def _name(target: DataConfig) -> str:
    """Return a target's part of a folder's name: that of the data set, of an own file also the file's."""
    spec = find_dataset(target.data)
    if target.data_path is None and (spec.file or spec.made):
        return target.data
    try:
        return f"{target.data}-{name_of_file(target)}"
    except UserError as error:
        raise of_target(error) from error


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []
