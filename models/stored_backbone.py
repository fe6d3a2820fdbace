"""What a checkpoint says of its backbone, checked before anything is built from it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from utils.errors import UserError


def is_stored(backbone: Mapping[str, Any]) -> bool:
    """Whether the checkpoint holds its frozen blocks; the first ones did so for random starts, and did not say."""
    return backbone.get("stored", backbone["init"] == "random")


def check_record(backbone: Mapping[str, Any], tensors: Iterable[str]) -> None:
    """Check the record's parts, and its number of blocks against the names of the checkpoint's tensors.

    Raises:
        ValueError, KeyError, TypeError: a part is missing, or cannot be right.
    """
    if not isinstance(backbone["name"], str) or not backbone["name"]:
        raise ValueError("the backbone has no name")
    if backbone["init"] not in ("random", "pretrained"):
        raise ValueError(f"a backbone is pretrained or random, not {backbone['init']}")
    if not re.fullmatch(r"[0-9a-f]{12}", backbone["fingerprint"]):
        raise ValueError("the backbone's fingerprint is none")
    if type(is_stored(backbone)) is not bool or not (is_stored(backbone) or backbone["init"] == "pretrained"):
        raise ValueError("it does not say properly whether the backbone is stored")
    claimed = backbone["config"]["n_layer"]
    blocks = sum(bool(re.fullmatch(r"time_gpt2\.h\.\d+\.ln_1\.weight", name)) for name in tensors)
    if type(claimed) is not int or claimed != blocks:
        raise ValueError(f"there are {blocks} blocks, not {str(claimed)[:20]}")


def check_same(backbone: Mapping[str, Any], found: str) -> None:
    """Refuse another backbone than the checkpoint was trained on; ``found`` is the fingerprint of the one there is.

    Raises:
        UserError: it is another.
    """
    name, trained_on = backbone["name"], backbone["fingerprint"]
    if found != trained_on:
        raise UserError(
            f"it was trained on {name} with fingerprint {trained_on}; the {name} found here has "
            f"{found}. Put the same weights there."
        )
