"""Learning rates per epoch, and when training ends."""

import math

import pytest
import torch

from utils.schedule import EarlyStopping, Schedule


@pytest.mark.parametrize("tmax", [10, 20])
def test_the_cosine_equals_torchs_for_45_epochs(tmax: int) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=5e-4)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=tmax, eta_min=1e-8)
    ours = Schedule(5e-4, tmax=tmax)
    for epoch in range(45):
        assert ours.rate(epoch) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6, abs=1e-12), epoch
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("lradj", "rates"),
    [
        ("type1", [1, 1, 1, 1, 0.9, 0.81]),
        ("type2", [1, 1, 0.5, 0.25, 0.125, 0.0625]),
        ("type3", [1, 1, 1, 1, 0.9, 0.81]),
        ("type4", [1, 0.5, 0.25, 0.125, 0.0625, 0.03125]),
    ],
)
def test_without_cosine_the_rate_follows_lradj(lradj: str, rates: list[float]) -> None:
    schedule = Schedule(1.0, cos=0, lradj=lradj, decay_fac=0.5)
    assert [schedule.rate(epoch) for epoch in range(6)] == pytest.approx(rates)


@pytest.mark.parametrize("cos", [0, 1])
def test_the_first_epoch_has_the_given_rate(cos: int) -> None:
    assert Schedule(3e-4, cos).rate(0) == pytest.approx(3e-4)


def test_a_rate_beyond_all_numbers_is_infinite() -> None:
    assert Schedule(1.0, cos=0, lradj="type4", decay_fac=1e300).rate(3) == math.inf


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
