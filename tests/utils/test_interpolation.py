"""Fills that need no model."""

import pytest
import torch

from utils.interpolation import FILLS, fill_last, fill_linear, fill_mean

X = torch.tensor([[1.0, 0.0, 0.0, 4.0, 0.0, 8.0]]).T[None]  # (1, 6, 1), with zeros at hidden places
SHOWN = torch.tensor([[[True], [False], [False], [True], [False], [True]]])


def test_straight_lines_join_what_is_shown() -> None:
    assert fill_linear(X, SHOWN).flatten().tolist() == [1, 2, 3, 4, 6, 8]


def test_the_last_value_stays() -> None:
    assert fill_last(X, SHOWN).flatten().tolist() == [1, 1, 1, 4, 4, 8]


def test_the_mean_is_that_of_what_is_shown() -> None:
    assert fill_mean(X, SHOWN).flatten().tolist() == pytest.approx([1, 13 / 3, 13 / 3, 4, 13 / 3, 8])


@pytest.mark.parametrize("fill", [fill_linear, fill_last])
def test_before_the_first_value_and_after_the_last_one_the_nearest_stays(fill: object) -> None:
    x = torch.tensor([[0.0, 2.0, 0.0, 0.0]]).T[None]
    assert fill(x, x > 0).flatten().tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("name", FILLS)
def test_a_channel_of_which_nothing_is_shown_becomes_0_and_leaves_others_alone(name: str) -> None:
    x = torch.tensor([[[0.0, 3.0], [0.0, 5.0]]])
    filled = FILLS[name](x, torch.tensor([[[False, True], [False, True]]]))
    assert filled.tolist() == [[[0, 3], [0, 5]]]
