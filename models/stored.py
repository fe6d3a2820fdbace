"""CALF to and from a checkpoint folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import GPT2Model

from layers.backbone import empty_backbone, load_backbone, plain_config
from models.calf import CALF, Provenance
from models.checkpoints import SIDE_FILES
from models.config import CALFConfig
from models.stored_backbone import check_record, check_same, is_stored
from utils.checkpoint import BEST, CONFIG, WEIGHTS, read_checkpoint, write_checkpoint
from utils.errors import UserError
from utils.files import replacing
from utils.fingerprint import fingerprint


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
    """Save what was trained, and the frozen blocks too where nobody else has them.

    Args:
        backbone: ``Backbone.describe()``. extras: JSON to keep beside it, the same for every epoch (scaler,
            columns, …). best: the epoch and its score.
    """
    tensors = model.trained_state()
    if is_stored(backbone):
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
        sizes = CALFConfig.from_json(config.pop("model"))
        backbone = config.pop("backbone")
        check_record(backbone, tensors)
        model = CALF(sizes, _stored_backbone(backbone), tensors["match.words"])
        whole = is_stored(backbone)
    except UserError as error:
        raise UserError(f"{folder} cannot be loaded: {error}") from error
    except Exception as error:  # what a tampered file leads to is anyone's guess
        raise UserError(f"{folder / CONFIG} and {WEIGHTS} do not fit together ({error!r}).") from error
    _fill(model, tensors, whole, folder)
    model.provenance = Provenance(backbone, config, read_side_files(folder))
    return StoredModel(model.eval(), backbone, config)


def save_like_stored(folder: Path, model: CALF) -> None:
    """Save a model with all that came with it; one that was not loaded is stored whole, with nothing beside it."""
    known = model.provenance
    if known is None:
        whole = {"stored": True, "config": plain_config(model.time_gpt2)}
        known = Provenance(
            {"name": "unnamed", "init": "random", "fingerprint": fingerprint(model.frozen_state()), **whole}, {}, {}
        )
    best = known.extras.get(BEST, {})
    save_model(folder, model, known.backbone, {key: value for key, value in known.extras.items() if key != BEST}, best)
    for name, content in known.files.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)


def read_side_files(folder: Path) -> dict[str, bytes]:
    """What lies beside the weights and is not needed to load them."""
    return {name: (folder / name).read_bytes() for name in SIDE_FILES if (folder / name).is_file()}


def _stored_backbone(backbone: Mapping[str, Any]) -> GPT2Model:
    if is_stored(backbone):
        return empty_backbone(backbone["config"])
    loaded = load_backbone(backbone["name"], "pretrained", backbone["config"]["n_layer"], token_table=False)
    check_same(backbone, loaded.fingerprint)
    return loaded.model


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
