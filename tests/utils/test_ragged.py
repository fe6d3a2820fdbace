"""Borders of series in one flat array."""

import numpy as np
import pytest

from utils.m4.ragged import check_ragged


def test_lengths_are_the_distances_between_borders() -> None:
    assert check_ragged(np.arange(6.0), np.array([0, 1, 4, 6])).tolist() == [1, 3, 2]


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([1, 6], "from 1 to 6, not from 0 to 6"),
        ([0, 5], "from 0 to 5, not from 0 to 6"),
        ([0, 2, 2, 6], "series 1 is empty"),
        ([0, 4, 2, 6], "series 1 is empty"),
        ([0], "at least one series"),
    ],
)
def test_borders_that_do_not_cut_the_values_into_series_are_refused(offsets: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_ragged(np.arange(6.0), np.array(offsets))


def test_values_with_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="must be flat"):
        check_ragged(np.ones((6, 1)), np.array([0, 6]))
