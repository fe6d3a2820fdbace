"""Write ``run.yaml`` beside the figures of a run: the flags that repeat it, as ``--config`` reads them."""

import os
from pathlib import Path
from typing import Any

import yaml

from data_provider.config import SEARCH, AnyDataConfig, DataConfig
from data_provider.datasets import datasets_root, find_dataset
from exp.config import RunConfig
from exp.experiments import TASKS
from exp.flags import idle_names
from exp.options import Command, RuntimeOptions
from exp.own_file import is_own
from utils.errors import shown_path
from utils.files import replacing
from utils.flags import PATH, TENSORS, flags_of

FILE = "run.yaml"
ONCE = frozenset({"resume", "output"})  # a repetition needs no state, and must not replace what was delivered


def save_flags(config: RunConfig, command: Command, folder: Path) -> None:
    """Leave ``run.yaml`` with the results of a run; a test or forecast leaves that of the training alone.

    Args:
        folder: the checkpoint that was used.
    """
    path = config.results / FILE
    if not command.is_training and not config.runtime.loaded_from and path.exists():
        return
    flags = _of_training(config, command) if command.is_training else _of_test(config, command, folder)
    text = yaml.safe_dump(flags, sort_keys=False, allow_unicode=True)
    with replacing(path) as temporary:
        head = f"# These flags repeat the run: --config {shown_path(path)}\n"
        temporary.write_text(head + text, encoding="utf-8")


def _of_training(config: RunConfig, command: Command) -> dict[str, Any]:
    """Return every flag that the figures depend on, also those left open, but for usual values without effect."""
    parts = (config, config.data, config.model_config, config.training, config.schedule)
    usual = {name: one.default for part in parts for name, one in flags_of(type(part)).items()}
    values = {name: value for name, value in config.values.items() if name in usual and value is not None}
    idle = idle_names(config, command, values)
    flags = {name: value for name, value in values.items() if name not in idle or value != usual[name]}
    flags |= _places(config.data)
    if getattr(config.data, "searched", False):
        flags["seq_len"] = SEARCH
    if config.training.averaged:
        flags |= {"itr": config.training.averaged, "seed_average": 1}
    if is_own(flags) and "do_predict" in TASKS[config.task_name].uses:
        flags["do_predict"] = command.do_predict
    return flags | dict.fromkeys(sorted(command.uses), 1) | _of_refit(command) | _of_runtime(config)


def _of_test(config: RunConfig, command: Command, folder: Path) -> dict[str, Any]:
    """Return the flags that use a checkpoint again: all of its training stand in the checkpoint."""
    data = config.data
    load = os.path.abspath(folder)
    flags: dict[str, Any] = {"load": load, "is_training": 0, **dict.fromkeys(sorted(command.uses), 1)}
    flags["data"] = data.data
    for name, one in flags_of(type(data)).items():
        if name in {*data.of_the_file, "freq"} and getattr(data, name) != one.default:
            flags[name] = getattr(data, name)
    flags |= _places(data) | _of_refit(command) | _of_runtime(config)
    flags.pop("name", None)  # a checkpoint has its own
    return flags


def _of_refit(command: Command) -> dict[str, Any]:
    """Return which weights forecast, where a forecast is made and that was said."""
    return {} if command.refit is None or not command.do_predict else {"refit": command.refit}


def _places(data: AnyDataConfig) -> dict[str, str]:
    """Return ``root_path`` and ``data_path`` of the data so that they hold in any working directory."""
    if not isinstance(data, DataConfig):
        if getattr(data, "data_path", None):
            return {"data_path": str(data.files()[0])}
        return {"root_path": os.path.abspath(data.folder)}
    several, spec = len(data.parts) > 1, find_dataset(data.parts[0].data)
    if spec.made and not several:
        return {}
    usual = datasets_root() if several else spec.folder and datasets_root() / spec.folder
    root, found = data.root_path or usual, {}
    if root:
        found["root_path"] = os.path.abspath(root)
    if data.data_path:
        found["data_path"] = _files(data.parts)
    return found


def _files(parts: Any) -> str:
    """Return the absolute paths of files that were named, with commas between."""
    return ",".join(str(part.files()[0]) if part.data_path else "" for part in parts)


def _of_runtime(config: RunConfig) -> dict[str, Any]:
    """Return the flags of place and output that were given."""
    runtime, found = config.runtime, {}
    for name, one in flags_of(RuntimeOptions).items():
        value = getattr(runtime, name)
        if name in ONCE or value == one.default:
            continue
        found[name] = os.path.abspath(value) if one.metadata["kind"] in (PATH, TENSORS) else value
    if runtime.target_data_path and config.targets:
        found["target_data_path"] = _files(config.targets.values())
    return found
