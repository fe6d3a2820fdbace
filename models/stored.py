"""CALF to and from a checkpoint folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from layers.gpt2 import LoRA, empty_backbone, load_backbone
from models.calf import CALF, CALFConfig
from utils.checkpoint import CONFIG, WEIGHTS, read_checkpoint, write_checkpoint
from utils.errors import UserError


@dataclass(frozen=True)
class StoredModel:
    """A model out of a checkpoint.

    Attributes:
        backbone: name, init and fingerprint of its GPT-2. extras: what was saved beside the model.
    """

    model: CALF
    backbone: dict[str, Any]
    extras: dict[str, Any]


def save_model(folder: Path, model: CALF, backbone: Mapping[str, Any], extras: Mapping[str, Any]) -> None:
    """Save what was trained, and a random backbone's frozen blocks too: nobody else has those.

    Args:
        backbone: ``Backbone.describe()``. extras: JSON to keep beside it (scaler, columns, …).
    """
    tensors = model.trained_state()
    if backbone["init"] == "random":
        tensors |= model.frozen_state()
    write_checkpoint(folder, tensors, {"model": asdict(model.config), "backbone": dict(backbone), **extras})


def load_model(folder: Path) -> StoredModel:
    """Rebuild a model from its folder alone, or with its pretrained backbone from where it came.

    Raises:
        UserError: the folder is incomplete, damaged or does not fit together, or the backbone is not the same.
    """
    tensors, config = read_checkpoint(folder)
    try:
        described = config.pop("model")
        lora = described.pop("lora")
        sizes = CALFConfig(**described, lora=LoRA(**lora) if lora else None)
        backbone = config.pop("backbone")
        name, init, blocks = backbone["name"], backbone["init"], backbone["config"]["n_layer"]
        if init == "random":
            gpt2 = empty_backbone(backbone["config"])
        else:
            loaded = load_backbone(name, "pretrained", blocks, token_table=False)
            _check_same(loaded.fingerprint, backbone, folder)
            gpt2 = loaded.gpt2
        model = CALF(sizes, gpt2, tensors["match.words"])
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise UserError(f"{folder / CONFIG} and {WEIGHTS} do not fit together ({error!r}).") from error
    _fill(model, tensors, init == "random", folder)
    return StoredModel(model.eval(), backbone, config)


def _check_same(fingerprint: str, backbone: Mapping[str, Any], folder: Path) -> None:
    if fingerprint != backbone["fingerprint"]:
        raise UserError(
            f"{folder} was trained on {backbone['name']} with fingerprint {backbone['fingerprint']}; "
            f"the {backbone['name']} found here has {fingerprint}. Point --llm's cache or folder to the same weights."
        )


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
