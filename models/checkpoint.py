"""Write and read a checkpoint folder of any model: ``model.safetensors``, ``config.json`` and what lies beside them.

Nothing here knows a class of models, and reading runs no code from a file.
"""

import hashlib
import json
import logging
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from layers.hub import fetch, first_line
from models.tensors import MOST_BYTES, check_fit
from utils.conformal import INTERVALS, OF_TOTAL
from utils.errors import UserError, shown_path
from utils.files import check_regular, read_json, replacing, save_tensors, write_json
from utils.results import SCORES, TEST

logger = logging.getLogger(__name__)

WEIGHTS, CONFIG, TRAINING = "model.safetensors", "config.json", "training.json"
SIDE_FILES = (INTERVALS, OF_TOTAL, SCORES, TEST, TRAINING)
FORMAT = 2
BEST = "best"
REMEDY = "train anew or restore the folder"


@dataclass(frozen=True)
class Stored:
    """A checkpoint whose tensors are not yet read.

    Attributes:
        config: the model's configuration as JSON.
        origin: where the model's parts come from, as JSON.
        extras: the rest of ``config.json``: ``data`` and ``run``.
        best: the epoch that the weights are of, and its score.
        names: the tensors' names in the file, where a model uses others.
    """

    folder: Path
    name: str
    config: Mapping[str, Any]
    origin: Mapping[str, Any]
    extras: Mapping[str, Any]
    best: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    names: Mapping[str, str] = field(default_factory=dict)

    def check(self, expected: Mapping[str, Tensor]) -> None:
        """Raise UserError where names or shapes differ from those of a model's tensors, before memory is taken."""
        check_fit(expected, self.shapes, self._misfit, REMEDY)

    def values(self, expected: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Yield name and content of each tensor of a model; raise UserError for another type, NaN and infinity."""
        with _weights(self.folder) as file:
            for name, tensor in expected.items():
                values = file.get_tensor(self.names.get(name, name))
                if values.dtype != tensor.dtype:
                    raise UserError(f"{self._misfit}: {name} holds {values.dtype}, not {tensor.dtype}; {REMEDY}.")
                if values.is_floating_point() and not torch.isfinite(values).all():
                    raise UserError(f"{self._misfit}: {name} holds NaN or infinite values; {REMEDY}.")
                yield name, values

    @property
    def _misfit(self) -> str:
        return f"{shown_path(self.folder / WEIGHTS)} does not fit {CONFIG}"


def write_checkpoint(
    folder: Path,
    model: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    extras: Mapping[str, Any],
    best: Mapping[str, Any],
) -> None:
    """Write weights and configuration, each whole or not at all.

    The epoch and its score (``best``) change and lie with the weights in one file; the configuration (name, config and
    origin of the ``model``, and ``extras``) does not. So a crash between the two files leaves nothing that is unfit.
    """
    config = {"format": FORMAT, "model": dict(model), **extras}
    write_json(folder / CONFIG, {**config, "digest": _digest(config)})
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_tensors(folder / WEIGHTS, whole, {BEST: json.dumps(best)})


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration alone; raise UserError where it is missing, damaged, or of another format."""
    path = folder / CONFIG
    _check_there(path)
    try:
        config = read_json(path)
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from error
    found = config.get("format") if isinstance(config, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{shown_path(path)} has format {shown_path(str(found)[:20])}; this program reads checkpoints of format "
            f"{FORMAT}. Train anew, or use the version of the program that wrote it."
        )
    return config


def read_stored(folder: Path) -> Stored:
    """Read all of a checkpoint but the values of its tensors; tell the user of a configuration that was edited.

    Raises:
        UserError: a file is missing, damaged, or of another format.
    """
    config = read_config(folder)
    _check_there(folder / WEIGHTS)
    with _weights(folder) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no dict)
        best = _best(file)
    if config.pop("digest", None) != _digest(config):
        logger.info("note: %s was changed after it was saved", shown_path(folder / CONFIG))
    model = config.pop("model", None)
    parts = {"model": model, "best": best, **{name: config.get(name, {}) for name in ("data", "run")}}
    if isinstance(model, dict):
        parts |= {f"model.{name}": model.get(name) for name in ("config", "origin")}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise _damaged(folder / (WEIGHTS if name == "best" else CONFIG), f"it has no proper {name!r}")
    return Stored(folder, str(model.get("name")), model["config"], model["origin"], config, best, shapes)


def read_best(folder: Path) -> dict[str, Any]:
    """Return the epoch that the weights are of, and its score; empty where there are none."""
    try:
        with _weights(folder) as file:
            return _best(file) or {}
    except UserError:
        return {}


def read_training(folder: Path) -> dict[str, Any]:
    """Return how training went: seconds, machine, figures of each epoch. Empty where it was not finished or is lost."""
    try:
        record = read_json(folder / TRAINING)
    except (OSError, ValueError, UserError):
        return {}
    return record if isinstance(record, dict) else {}


@contextmanager
def _weights(folder: Path) -> Iterator[Any]:
    """Open the weights within the block; damaged ones raise UserError."""
    path = folder / WEIGHTS
    try:
        check_regular(path, MOST_BYTES)
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def _best(file: Any) -> dict[str, Any] | None:
    """Return the epoch and the score that lie with the weights; None where they are damaged."""
    try:
        best = json.loads((file.metadata() or {}).get(BEST, "{}"))
    except (ValueError, RecursionError):
        return None
    sound = isinstance(best, dict) and all(type(value) in (int, float) for value in best.values())
    return best if sound and all(abs(value) < math.inf for value in best.values()) else None


def copy_side_files(source: Path, folder: Path, but_training: bool = False) -> None:
    """Copy what lies beside the weights of one checkpoint into another, or all of it but how these were trained."""
    for name in [name for name in SIDE_FILES if name != TRAINING or not but_training]:
        if (source / name).is_file() and source.resolve() != folder.resolve():
            with replacing(folder / name) as temporary:
                shutil.copyfile(source / name, temporary)


def find_checkpoint(name: str | Path, **options: Any) -> Path:
    """Return the folder of a checkpoint: ``name``, or where a repository of the Hugging Face hub was fetched to.

    Args:
        options: of ``snapshot_download``: revision, token, cache_dir, force_download, local_files_only.

    Raises:
        UserError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        raise UserError(f"{shown_path(path)} is a file; name the folder of the checkpoint ({shown_path(path.parent)}).")
    # Where the parent folder exists, a name without a folder is mistyped, not a repository.
    local = path.exists() or (path.parent.is_dir() and path.parent != Path())
    if local or not re.fullmatch(r"\w[\w.-]*/[\w.-]+", str(name)):
        return path
    try:
        return fetch(str(name), (CONFIG, WEIGHTS, *SIDE_FILES), **options)
    except Exception as error:  # the hub's errors share no base class across its versions
        raise UserError(
            f"There is no checkpoint folder {name}, and the Hugging Face hub does not give one of that name "
            f"({first_line(error)})."
        ) from error


def _check_there(path: Path) -> None:
    if not path.exists():
        where = shown_path(path.parent)
        raise UserError(f"There is no checkpoint in {where}: {path.name} is missing. Train first (--is_training 1).")


def _damaged(path: Path, error: Exception | str) -> UserError:
    return UserError(f"{shown_path(path)} is damaged ({error}); train anew or restore the folder.")


def _digest(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]
