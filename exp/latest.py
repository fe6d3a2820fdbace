"""Point to the newest run: ``results/latest``, and ``checkpoints/latest/NAME`` for each name of a run."""

import logging
import os
import re
from pathlib import Path

from exp.config import RESULTS, RunConfig
from utils.errors import shown_path
from utils.files import in_turn, replacing

logger = logging.getLogger(__name__)

LATEST = "latest"
LONGEST = 100  # letters of a name


def point_to(config: RunConfig, trained: bool) -> None:
    """Make a run the newest one: of all results, and where it was ``trained`` also of the checkpoints of its name."""
    _replace_link(RESULTS / LATEST, config.results)
    if trained:
        _replace_link(config.checkpoint.parent / LATEST / short_name(config), config.checkpoint)


def short_name(config: RunConfig) -> str:
    """Return the name of a run among the newest: ``--name``, else that of its own file or of its data set."""
    file = None if config.sets else getattr(config.data, "data_path", None)
    name = config.runtime.name or (Path(file).stem if file else config.data.data)
    return re.sub(r"[^\w.-]+", "-", name)[:LONGEST].lstrip(".") or "data"


def real_folder(folder: Path) -> Path:
    """Return the folder that a link like ``checkpoints/latest/NAME`` points to now; any other path as it is."""
    if not folder.is_symlink():
        return folder
    real, here = folder.resolve(), Path.cwd()
    return real.relative_to(here) if real.is_relative_to(here) else real


def _replace_link(link: Path, target: Path) -> None:
    """Let a link point to a folder from now on, or a text file beside it where links cannot be made.

    A file or folder of the user's in its place stays.
    """
    if any(place.exists() and not place.is_symlink() and not place.is_dir() for place in (link, link.parent)) or (
        link.is_dir() and not link.is_symlink()
    ):
        logger.info("note: %s is in the place of the link to the newest run; it is left as it is", shown_path(link))
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    way = os.path.relpath(target.resolve(), link.parent.resolve())
    temporary = link.with_name(f".{link.name}.tmp")
    with in_turn(link):
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(way, target_is_directory=True)
        except (OSError, NotImplementedError):  # Windows, unless its user may; some network drives
            with replacing(link.with_name(f"{link.name}.txt")) as text:
                text.write_text(f"{way}\n", encoding="utf-8")
        else:
            os.replace(temporary, link)
