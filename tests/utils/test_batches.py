"""The default size of an evaluation batch."""

from itertools import product

import pytest

from utils.batches import MOST_OUTPUTS, MOST_TOKENS, evaluation_batch_size


@pytest.mark.parametrize(
    ("channels", "pred_len", "windows"),
    [(7, 96, 585), (7, 720, 416), (1, 1, 4096), (21, 96, 195), (321, 96, 12), (862, 96, 4), (862, 720, 3)],
)
def test_the_published_series_have_batches_of_a_size_that_suits_them(
    channels: int, pred_len: int, windows: int
) -> None:
    assert evaluation_batch_size(channels, pred_len) == windows


@pytest.mark.parametrize(("channels", "pred_len"), [*product((1, 7, 100, 862, 10_000), (1, 96, 720, 10_000))])
def test_a_batch_is_as_large_as_both_bounds_allow_and_never_empty(channels: int, pred_len: int) -> None:
    def fits(windows: int) -> bool:
        return windows * channels <= MOST_TOKENS and windows * channels * pred_len <= MOST_OUTPUTS

    windows = evaluation_batch_size(channels, pred_len)
    assert fits(windows) or windows == 1
    assert not fits(windows + 1)
