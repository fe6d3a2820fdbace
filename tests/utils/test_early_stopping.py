"""When training ends."""

import math

import pytest

from utils.schedule import EarlyStopping


@pytest.mark.parametrize(
    ("scores", "best", "stops_after"),
    [
        ([3.0, 2.0, 1.0, 0.5], [True] * 4, None),
        ([1.0, 2.0, 3.0], [True, False, False], 2),
        ([3.0, 4.0, 2.0, 2.0, 2.0], [True, False, True, False, False], 4),
        ([math.nan, math.nan], [False, False], 1),
        ([1.0, math.nan, 0.5], [True, False, True], None),
        ([math.inf, 1.0], [False, True], None),
    ],
)
def test_it_stops_after_two_epochs_without_a_lower_score_and_nan_is_never_one(
    scores: list[float], best: list[bool], stops_after: int | None
) -> None:
    stopping = EarlyStopping(patience=2)
    for epoch, (score, expected) in enumerate(zip(scores, best, strict=True)):
        assert stopping.update(score, epoch) is expected
        assert stopping.should_stop is (epoch == stops_after)


def test_it_remembers_the_best_epoch() -> None:
    stopping = EarlyStopping(patience=5)
    for epoch, score in enumerate([3.0, 1.0, math.nan, 2.0]):
        stopping.update(score, epoch)
    assert (stopping.best, stopping.best_epoch, stopping.epochs_without) == (1.0, 1, 2)


def test_without_any_score_there_is_no_best_epoch() -> None:
    stopping = EarlyStopping(patience=1)
    assert (stopping.best, stopping.best_epoch, stopping.should_stop) == (math.inf, -1, False)
