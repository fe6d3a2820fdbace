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
from utils.conformal import INTERVALS
from utils.errors import UserError, shown_path
from utils.files import check_regular, read_json, replacing, save_tensors, write_json
from utils.skill import TEST

logger = logging.getLogger(__name__)

WEIGHTS, CONFIG, TRAINING = "model.safetensors", "config.json", "training.json"
SIDE_FILES = (INTERVALS, TEST, TRAINING)
FORMAT = 2
BEST = "best"
MOST_BYTES = 2**36  # of weights


@dataclass(frozen=True)
class Stored:
    """A checkpoint whose tensors are not yet read.

    Attributes:
        folder: where it lies.
        name: of the model in the registry.
        config: the model's configuration as JSON.
        origin: where the model's parts come from, as JSON.
        extras: the rest of ``config.json``: ``data`` and ``run``.
        best: the epoch that the weights are of, and its score.
        shapes: of the tensors, by name.
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

    def check_shapes(self, expected: Mapping[str, Tensor]) -> None:
        """Compare names and shapes of the tensors with those of a model, before memory is taken for them.

        Raises:
            UserError: they differ.
        """
        wrong = expected.keys() ^ self.shapes.keys()
        wrong |= {name for name in expected.keys() & self.shapes.keys() if expected[name].shape != self.shapes[name]}
        if wrong:
            raise self._misfit(min(wrong), "is missing, unknown or of another size")

    def fill(self, expected: Mapping[str, Tensor]) -> None:
        """Copy the stored tensors into those of a model, once :meth:`check_shapes` has accepted them.

        Raises:
            UserError: one is of another type, or not finite; the model is then of no use.
        """
        for name, values in self._values(expected):
            expected[name].copy_(values)

    def read(self, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return stored tensors, once :meth:`check_shapes` has accepted their names and shapes.

        Raises:
            UserError: one is of another type, or not finite.
        """
        return dict(self._values(expected))

    def _values(self, expected: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        with _weights(self.folder) as file:
            for name, tensor in expected.items():
                values = file.get_tensor(self.names.get(name, name))
                if values.dtype != tensor.dtype:
                    raise self._misfit(name, f"holds {values.dtype}, not {tensor.dtype}")
                if values.is_floating_point() and not torch.isfinite(values).all():
                    raise self._misfit(name, "holds NaN or infinite values")
                yield name, values

    def _misfit(self, name: str, problem: str) -> UserError:
        path = shown_path(self.folder / WEIGHTS)
        shown = shown_path(name[:100])
        return UserError(f"{path} does not fit {CONFIG}: {shown} {problem}. Train anew or restore the folder.")


def write_checkpoint(
    folder: Path,
    model: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    extras: Mapping[str, Any],
    best: Mapping[str, Any],
) -> None:
    """Write weights and configuration, each whole or not at all.

    ``best`` changes from epoch to epoch and lies with the weights in one file; the configuration stays as it is.
    So a crash between the two files leaves nothing that does not belong together.

    Args:
        folder: the checkpoint's folder.
        model: name, config and origin of the model.
        tensors: what the model stores, by name.
        extras: the rest of the configuration, as JSON.
        best: the epoch of the weights, and its score.
    """
    config = {"format": FORMAT, "model": dict(model), **extras}
    write_json(folder / CONFIG, {**config, "digest": _digest(config)})
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_tensors(folder / WEIGHTS, whole, {BEST: json.dumps(best)})


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration alone.

    Raises:
        UserError: it is missing, damaged, or of another format.
    """
    path = folder / CONFIG
    check_there(folder, CONFIG)
    try:
        config = read_json(path)
    except (ValueError, OSError) as error:
        raise damaged(path, error) from error
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
    check_there(folder, WEIGHTS)
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
            raise damaged(folder / (WEIGHTS if name == "best" else CONFIG), f"it has no proper {name!r}")
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
    """Open the weights within the block.

    Raises:
        UserError: they are damaged, or no regular file.
    """
    path = folder / WEIGHTS
    try:
        check_regular(path, MOST_BYTES)
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise damaged(path, error) from error


def _best(file: Any) -> dict[str, Any] | None:
    """Return the epoch and the score that lie with the weights; None where they are damaged."""
    try:
        best = json.loads((file.metadata() or {}).get(BEST, "{}"))
    except (ValueError, RecursionError):
        return None
    sound = isinstance(best, dict) and all(type(value) in (int, float) for value in best.values())
    return best if sound and all(abs(value) < math.inf for value in best.values()) else None


def copy_side_files(source: Path, folder: Path) -> None:
    """Copy what lies beside the weights of one checkpoint into another."""
    for name in SIDE_FILES:
        if (source / name).is_file() and source.resolve() != folder.resolve():
            with replacing(folder / name) as temporary:
                shutil.copyfile(source / name, temporary)


def find_checkpoint(name: str | Path, **options: Any) -> Path:
    """Return the folder of a checkpoint.

    Args:
        name: a folder, or a repository of the Hugging Face hub (``user/name``), which is fetched once.
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


def check_there(folder: Path, name: str) -> None:
    """Raise UserError where a file of a checkpoint is missing."""
    if not (folder / name).exists():
        where = shown_path(folder)
        raise UserError(f"There is no checkpoint in {where}: {name} is missing. Train first (--is_training 1).")


def damaged(path: Path, error: Exception | str) -> UserError:
    """Return the message for a file that cannot be used."""
    return UserError(f"{shown_path(path)} is damaged ({error}); train anew or restore the folder.")


def _digest(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]
