"""Find the files of a model: in a local folder, in the Hugging Face cache, or on its hub."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utils.errors import UserError, shown_path

logger = logging.getLogger(__name__)

CONFIG = "config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
HUB_TIMEOUT = 10.0  # seconds


def fetch(name: str, files: Sequence[str], **options: Any) -> Path:
    """Return the folder with the files of a hub repository, taken from the cache or fetched from the hub.

    Args:
        files: patterns of the files' names; the first two of them must be there.
        options: of ``snapshot_download`` (revision, token, cache_dir, force_download, local_files_only).

    Raises:
        Exception: the files cannot be had; the hub's errors share no base class across its versions.
    """
    from huggingface_hub import model_info, snapshot_download

    wanted = {"allow_patterns": list(files), **options}
    if not options.get("force_download"):
        try:
            cached = Path(snapshot_download(name, **{**wanted, "local_files_only": True}))
            if all(any(cached.glob(pattern)) for pattern in files[:2]):
                return cached
        except (OSError, ValueError):
            pass  # not in the cache
    if not options.get("local_files_only"):
        # Fails at once without network, where a download would retry for long.
        model_info(name, revision=options.get("revision"), token=options.get("token"), timeout=HUB_TIMEOUT)
        logger.info("fetching %s from the Hugging Face hub", name)
    return Path(snapshot_download(name, **wanted))


def find_model(llm: str, files: Sequence[str]) -> Path:
    """Return the folder with the files of a language model: a local one, or one in the cache, fetched if missing.

    Raises:
        UserError: there is no such folder, nor such a model in the cache or on the hub.
    """
    if Path(llm).is_dir():
        return Path(llm)
    if llm.startswith((".", "/", "~")) or llm.count("/") > 1:
        raise UserError(f"--llm {shown_path(llm)}: there is no such folder.")
    try:
        return fetch(llm, files)
    except Exception as error:  # the hub's, see fetch
        raise UserError(
            f"The model {llm!r} cannot be had: it is no folder, not in the Hugging Face cache, and cannot be fetched "
            f"({first_line(error)}). Three remedies:\n"
            f"  1. connect to the network once, so that {llm!r} is fetched into the cache;\n"
            "  2. --llm FOLDER: a local folder in transformers' format (config.json, model.safetensors);\n"
            "  3. --llm_init random: a network of that size with random weights, no download."
        ) from error


def first_line(error: Exception) -> str:
    """Return the message of an error of another library in one printable line."""
    return shown_path((str(error).strip().splitlines() or [type(error).__name__])[0].rstrip("."))
