"""Test how windows are cut into patches."""

import pytest
import torch

from layers.patching import count_patches, cut_patches
from utils.errors import UserError


@pytest.mark.parametrize(
    ("seq_len", "patch_len", "stride"), [(96, 16, 8), (97, 16, 8), (96, 16, 16), (12, 16, 8), (7, 3, 1)]
)
def test_there_are_as_many_patches_as_counted(seq_len: int, patch_len: int, stride: int) -> None:
    patches = cut_patches(torch.randn(2, seq_len, 3), patch_len, stride)
    assert patches.shape == (2 * 3, count_patches(seq_len, patch_len, stride), patch_len)


def test_each_channel_is_cut_by_itself_and_lengthened_by_its_last_value() -> None:
    x = torch.arange(12.0).view(1, 6, 2)  # channels 0, 2, … and 1, 3, …
    first, second = cut_patches(x, patch_len=4, stride=2)
    assert first.tolist() == [[0, 2, 4, 6], [4, 6, 8, 10], [8, 10, 10, 10]]
    assert second.tolist() == [[1, 3, 5, 7], [5, 7, 9, 11], [9, 11, 11, 11]]


def test_a_patch_longer_than_the_window_is_refused() -> None:
    with pytest.raises(UserError, match="--patch_len 16: a window has 7 steps and 8 more by padding"):
        count_patches(7, 16, 8)
