"""Cut the channels of a window into patches (Nie et al., ICLR 2023, section 3.1).

Shapes: B batch, L seq_len, C channels, N patches, P patch_len.
"""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from utils.errors import UserError


def count_patches(seq_len: int, patch_len: int, stride: int) -> int:
    """Return N; raise UserError where a patch is longer than the window and its padding."""
    if patch_len > seq_len + stride:
        raise UserError(
            f"--patch_len {patch_len}: a window has {seq_len} steps and {stride} more by padding; choose a shorter "
            "patch."
        )
    return (seq_len - patch_len) // stride + 2


def cut_patches(x: Tensor, patch_len: int, stride: int) -> Tensor:
    """Return the patches (B·C, N, P) of windows ``x`` (B, L, C): one every ``stride`` steps, each channel by itself.

    The last value is repeated ``stride`` times behind the window.
    """
    series = F.pad(rearrange(x, "b l c -> b c l"), (0, stride), mode="replicate")
    return rearrange(series.unfold(-1, patch_len, stride), "b c n p -> (b c) n p")
