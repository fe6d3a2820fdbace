"""A checkpoint folder: ``model.safetensors`` and ``config.json``. Reading one runs no code from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from utils.errors import UserError
from utils.files import save_tensors, write_json

WEIGHTS, CONFIG, TRAINING = "model.safetensors", "config.json", "training.json"
FORMAT = 1
BEST = "best"


def write_checkpoint(
    folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any], best: Mapping[str, Any]
) -> None:
    """Write both files, each whole or not at all.

    What changes from epoch to epoch (``best``) lies with the weights, in one file, and the configuration stays
    the same: a crash between the two files leaves nothing that does not belong together.
    """
    write_json(folder / CONFIG, {"format": FORMAT, **config})
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_tensors(folder / WEIGHTS, whole, {BEST: json.dumps(best)})


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration alone.

    Raises:
        UserError: it is missing, damaged, or of another format.
    """
    check_there(folder, CONFIG)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{folder / CONFIG} is damaged ({error}); train anew or restore the folder.") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise UserError(f"{folder / CONFIG} is no configuration of this program's checkpoint format {FORMAT}.")
    return config


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and configuration; ``best`` is put with the latter.

    Raises:
        UserError: a file is missing or damaged, or of another format.
    """
    config = read_config(folder)
    check_there(folder, WEIGHTS)
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
            config[BEST] = json.loads((file.metadata() or {}).get(BEST, "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise UserError(f"{folder / WEIGHTS} is damaged ({error}); train anew or restore the folder.") from error
    return tensors, config


def read_best(folder: Path) -> dict[str, Any]:
    """The epoch that the weights are of, and its score. Empty where there are none."""
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            return json.loads((file.metadata() or {}).get(BEST, "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError):
        return {}


def read_training(folder: Path) -> dict[str, Any]:
    """How training went: seconds, machine, and figures of each epoch. Empty where it was not finished or is lost."""
    try:
        record = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def check_there(folder: Path, name: str) -> None:
    """Raise UserError where a file of a checkpoint is missing."""
    if not (folder / name).is_file():
        raise UserError(f"There is no checkpoint in {folder}: {name} is missing. Train first (--is_training 1).")
