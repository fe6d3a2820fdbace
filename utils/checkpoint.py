"""A checkpoint folder: ``model.safetensors`` and ``config.json``. Reading one runs no code from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from utils.errors import UserError
from utils.files import replacing, write_json

WEIGHTS, CONFIG = "model.safetensors", "config.json"
FORMAT = 1


def write_checkpoint(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Write both files, each whole or not at all."""
    write_json(folder / CONFIG, {"format": FORMAT, **config})
    with replacing(folder / WEIGHTS) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and configuration.

    Raises:
        UserError: a file is missing or damaged, or of another format.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"There is no checkpoint in {folder}: {name} is missing. Train first (--is_training 1).")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{folder / CONFIG} is damaged ({error}); train anew or restore the folder.") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise UserError(f"{folder / CONFIG} is no configuration of this program's checkpoint format {FORMAT}.")
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{folder / WEIGHTS} is damaged ({error}); train anew or restore the folder.") from error
    return tensors, config
