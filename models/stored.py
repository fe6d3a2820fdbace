"""CALF to and from a checkpoint folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor
from transformers import GPT2Model

from layers.backbone import empty_backbone, load_backbone
from layers.branches import LoRA
from models.calf import CALF, CALFConfig
from utils.checkpoint import CONFIG, WEIGHTS, read_checkpoint, write_checkpoint
from utils.errors import UserError

TRAINING = "training.json"

Described = TypeVar("Described", CALFConfig, LoRA)


@dataclass(frozen=True)
class StoredModel:
    """A model out of a checkpoint.

    Attributes:
        backbone: name, init and fingerprint of its GPT-2. extras: what was saved beside the model, ``best`` included.
    """

    model: CALF
    backbone: dict[str, Any]
    extras: dict[str, Any]


def save_model(
    folder: Path, model: CALF, backbone: Mapping[str, Any], extras: Mapping[str, Any], best: Mapping[str, Any]
) -> None:
    """Save what was trained, and a random backbone's frozen blocks too: nobody else has those.

    Args:
        backbone: ``Backbone.describe()``. extras: JSON to keep beside it, the same for every epoch (scaler,
            columns, …). best: the epoch and its score.
    """
    tensors = model.trained_state()
    if backbone["init"] == "random":
        tensors |= model.frozen_state()
    config = {"model": asdict(model.config), "backbone": dict(backbone), **extras}
    write_checkpoint(folder, tensors, config, best)


def load_model(folder: Path) -> StoredModel:
    """Rebuild a model from its folder alone, or with its pretrained backbone from where it came.

    Raises:
        UserError: the folder is incomplete, damaged or does not fit together, or the backbone is not the same.
    """
    tensors, config = read_checkpoint(folder)
    try:
        described = config.pop("model")
        lora = described["lora"]
        sizes = _rebuild(CALFConfig, {**described, "lora": lora and _rebuild(LoRA, lora)})
        backbone = config.pop("backbone")
        init = backbone["init"]
        model = CALF(sizes, _stored_backbone(backbone), tensors["match.words"])
    except UserError as error:
        raise UserError(f"{folder} cannot be loaded: {error}") from error
    except Exception as error:  # what a tampered file leads to is anyone's guess
        raise UserError(f"{folder / CONFIG} and {WEIGHTS} do not fit together ({error!r}).") from error
    _fill(model, tensors, init == "random", folder)
    return StoredModel(model.eval(), backbone, config)


def read_training(folder: Path) -> dict[str, Any]:
    """How training went: seconds, machine, and figures of each epoch. Empty where it was not finished or is lost."""
    try:
        record = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _rebuild(kind: type[Described], described: Mapping[str, Any]) -> Described:
    """Every field from the file: a default in place of a missing one would change the forecast in silence."""
    wrong = described.keys() ^ {field.name for field in fields(kind)}
    if wrong:
        raise ValueError(f"{min(wrong)} is missing or unknown")
    return kind(**described)


def _stored_backbone(backbone: Mapping[str, Any]) -> GPT2Model:
    name, trained_on, config = backbone["name"], backbone["fingerprint"], backbone["config"]
    if backbone["init"] == "random":
        return empty_backbone(config)
    if backbone["init"] != "pretrained":
        raise ValueError(f"a backbone is pretrained or random, not {backbone['init']}")
    loaded = load_backbone(name, "pretrained", config["n_layer"], token_table=False)
    if loaded.fingerprint != trained_on:
        raise UserError(
            f"it was trained on {name} with fingerprint {trained_on}; the {name} found here has "
            f"{loaded.fingerprint}. Put the same weights there."
        )
    return loaded.gpt2


def _fill(model: CALF, tensors: Mapping[str, Tensor], whole: bool, folder: Path) -> None:
    expected = model.trained_state() | (model.frozen_state() if whole else {})
    wrong = expected.keys() ^ tensors.keys()
    wrong |= {name for name in expected.keys() & tensors.keys() if expected[name].shape != tensors[name].shape}
    if wrong:
        raise UserError(
            f"{folder / WEIGHTS} does not fit {CONFIG}: {min(wrong)} is missing, unknown or of another size."
        )
    for name, tensor in expected.items():
        tensor.copy_(tensors[name])
