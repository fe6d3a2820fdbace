"""Compare tensors that come from a file with those of a model, and copy them into it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from utils.errors import UserError, shown_path
from utils.files import check_regular, read_json

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
MOST_BYTES = 2**36  # of weights


def check_fit(expected: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]], misfit: str, remedy: str) -> None:
    """Raise UserError where names or shapes of a model's tensors differ from those in a file.

    Args:
        expected: tensors of the model, which may lie on the meta device.
        misfit: begins the message, like ``FILE does not fit config.json``; ``remedy`` ends it.
    """
    common = expected.keys() & found.keys()
    wrong: dict[str, Collection[str]] = {
        "is missing": expected.keys() - common,
        "is unknown": found.keys() - common,
        "has another shape": [name for name in common if expected[name].shape != found[name]],
    }
    for problem, names in wrong.items():
        if names:
            count = f"{len(names)} such tensors" if len(names) > 1 else "1 such tensor"
            raise UserError(f"{misfit}: {shown_path(min(names)[:100])} {problem} ({count}); {remedy}.")


def check_state(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Raise UserError where tensors of other programs do not fit a model, which may lie on the meta device."""
    buffers = dict(model.named_buffers()).keys() - state.keys()  # they may be left out
    expected = {name: tensor for name, tensor in model.state_dict().items() if name not in buffers}
    shapes = {name: tensor.shape for name, tensor in state.items()}
    check_fit(expected, shapes, f"{source} does not fit", "check the sizes it is loaded with")


def fill_model(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy tensors into a model; raise UserError where one is not finite, or copies of a shared one differ."""
    own = model.state_dict()
    for name, tensor in state.items():
        if not torch.isfinite(own[name].copy_(tensor)).all():
            raise UserError(f"{source} has NaN or infinite values in {name}: restore the file.")
    for name, tensor in state.items():
        if not torch.equal(own[name], tensor.to(own[name].dtype)):
            raise UserError(f"{source}: {name} differs from another tensor that it is one with here.")


def renamed(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Return tensors under other names: each first part of a name that is a key of ``names`` becomes its value."""

    def rename(name: str) -> str:
        part = max((public for public in names if name.startswith(f"{public}.")), key=len, default="")
        return names[part] + name[len(part) :] if part else name

    return {rename(name): tensor for name, tensor in tensors.items()}


def read_public(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read sizes and tensors of a public implementation; raise UserError where a file is missing or damaged."""
    try:
        sizes = read_json(folder / CONFIG)
        check_regular(folder / WEIGHTS, MOST_BYTES)
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{shown_path(folder)} holds no readable public weights ({error}).") from error
    if not isinstance(sizes, dict) or not isinstance(sizes.get("model"), str):
        raise UserError(f"{shown_path(folder / CONFIG)} does not name its model.")
    return sizes, tensors
