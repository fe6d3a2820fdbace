"""Checkpoints of the authors' released code, in our names."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from models.tensors import MOST_BYTES
from utils.errors import UserError, shown_path
from utils.files import check_regular, check_uncompressed

NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

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
        UserError: the file is missing, damaged, or holds anything but tensors of real numbers.
    """
    path, state = Path(checkpoint), {}
    for name, tensor in _read(path).items():
        if ".wte." in name or name.endswith((".attn.bias", ".attn.masked_bias")):
            continue
        if not _is_plain(tensor):
            raise UserError(f"{shown_path(path)}: {shown_path(name[:100])} is no dense tensor of real numbers.")
        state[release_name(name)] = tensor
    return state


def lora_rank(state: Mapping[str, Tensor]) -> int | None:
    """Return the rank of the adapters in a state dict, or None where it has none."""
    # At least 1: adapters of an impossible shape are for check_state to refuse.
    return next((max([1, *tensor.shape[:1]]) for name, tensor in state.items() if ".lora_A." in name), None)


def release_name(name: str) -> str:
    """Translate a tensor name of the release into ours."""
    for theirs, ours in _PREFIXES:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def _is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor holds a real number for each of its elements: an expanded one can claim any size."""
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.dtype not in NUMBERS:
        return False
    return tensor.nbytes <= tensor.untyped_storage().nbytes()


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        check_regular(path, MOST_BYTES)
        check_uncompressed(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{shown_path(path)}: there is no such file.") from error
    except UserError:
        raise
    except Exception as error:  # damage can surface as anything inside the unpickler
        raise UserError(
            f"{shown_path(path)} is no readable checkpoint: damaged, or it holds more than tensors."
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise UserError(f"{shown_path(path)} holds no state dict of tensors.")
    return state
