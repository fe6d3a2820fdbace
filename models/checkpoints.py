"""Which folder holds a checkpoint: a local one, or a repository of the Hugging Face hub."""

import re
from pathlib import Path
from typing import Any

from layers.hub import fetch, first_line
from utils.checkpoint import CONFIG, TRAINING, WEIGHTS
from utils.conformal import INTERVALS
from utils.errors import UserError
from utils.skill import TEST

SIDE_FILES = (INTERVALS, TEST, TRAINING)


def find_checkpoint(name: str | Path, **options: Any) -> Path:
    """The folder of a checkpoint.

    Args:
        name: a folder, or a repository (``user/name``), which is fetched once.
        options: of ``snapshot_download``: revision, token, cache_dir, force_download, local_files_only.

    Raises:
        UserError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        raise UserError(f"{path} is a file; name the folder of the checkpoint ({path.parent}).")
    # The folder of checkpoints is there and this one is not: a slip of the pen, no repository.
    local = path.exists() or (path.parent.is_dir() and path.parent != Path())
    if local or not re.fullmatch(r"\w[\w.-]*/[\w.-]+", str(name)):
        return path
    try:
        return fetch(str(name), (CONFIG, WEIGHTS, *SIDE_FILES), **options)
    except Exception as error:  # see fetch
        raise UserError(
            f"There is no checkpoint folder {name}, and the Hugging Face hub does not give one of that name "
            f"({first_line(error)})."
        ) from error
