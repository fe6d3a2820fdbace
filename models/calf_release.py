"""Checkpoints of the authors' released code, in our names."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from utils.errors import UserError

# The release's module names, longest first, and ours.
_PREFIXES = (
    ("gpt2.base_model.model.", "time_gpt2."),
    ("gpt2_text.", "text_gpt2."),
    ("gpt2.", "time_gpt2."),
    ("time_proj.", "time_projections."),
    ("text_proj.", "text_projections."),
    ("in_layer.linear.", "embedding.linear."),
    ("in_layer.transformer_encoder.layers.0.", "embedding.encoder."),
    ("in_layer.cross_attention.", "match.attention."),
    ("out_layer.", "head."),
)


def read_release(checkpoint: str | Path) -> dict[str, Tensor]:
    """Read a ``checkpoint.pth`` of the authors' code into our tensor names; no code from the file is run.

    Token tables and the attention masks that old transformers stored are left out: nothing uses them.

    Raises:
        UserError: the file is missing, damaged, or holds anything but tensors.
    """
    state = _read(Path(checkpoint))
    return {
        release_name(name): tensor
        for name, tensor in state.items()
        if ".wte." not in name and not name.endswith((".attn.bias", ".attn.masked_bias"))
    }


def lora_rank(state: Mapping[str, Tensor]) -> int | None:
    """The rank of the adapters in a state dict, or None where it has none."""
    # At least 1: adapters of an impossible shape are for fill() to refuse.
    return next((max([1, *tensor.shape[:1]]) for name, tensor in state.items() if ".lora_A." in name), None)


def release_name(name: str) -> str:
    """Translate a tensor name of the release into ours."""
    for theirs, ours in _PREFIXES:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file.") from error
    except Exception as error:  # damage can surface as anything inside the unpickler
        raise UserError(f"{path} is no readable checkpoint: damaged, or it holds more than tensors.") from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise UserError(f"{path} holds no state dict of tensors.")
    return state
