"""Read weights that other programs wrote, and put them into a model."""

from collections.abc import Mapping
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


def read_public(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read sizes (``config.json``) and tensors (``weights.safetensors``) of a public implementation.

    Raises:
        UserError: a file is missing or damaged.
    """
    try:
        sizes = read_json(folder / CONFIG)
        check_regular(folder / WEIGHTS, MOST_BYTES)
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{shown_path(folder)} holds no readable public weights ({error}).") from error
    if not isinstance(sizes, dict) or not isinstance(sizes.get("model"), str):
        raise UserError(f"{shown_path(folder / CONFIG)} does not name its model.")
    return sizes, tensors


def check_state(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Compare names and shapes of tensors with those of a model, which may lie on the meta device.

    Raises:
        UserError: a tensor is missing, unexpected or of another shape.
    """
    own = model.state_dict()  # names a tensor that is used in two places twice
    required = own.keys() - dict(model.named_buffers()).keys()
    wrong_shape = [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    for problem, names in (
        ("lacks", required - state.keys()),
        ("has, unexpectedly,", state.keys() - own.keys()),
        ("has in another shape", wrong_shape),
    ):
        if names:
            raise UserError(
                f"{source} {problem} {shown_path(min(names)[:100])} ({len(names)} such tensors): check the sizes it is "
                "loaded with."
            )


def fill_model(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy tensors that :func:`check_state` has accepted into a model; those used in two places may come twice.

    Raises:
        UserError: a tensor is not finite, or comes twice and differs.
    """
    own = model.state_dict()
    for name, tensor in state.items():
        if not torch.isfinite(own[name].copy_(tensor)).all():
            raise UserError(f"{source} has NaN or infinite values in {name}: restore the file.")
    for name, tensor in state.items():
        if not torch.equal(own[name], tensor.to(own[name].dtype)):
            raise UserError(f"{source}: {name} differs from another tensor that it is one with here.")
