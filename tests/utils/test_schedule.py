"""Learning rates per epoch."""

import pytest
import torch

from utils.errors import UserError
from utils.schedule import Schedule


@pytest.mark.parametrize("tmax", [10, 20])
def test_the_cosine_equals_torchs_for_45_epochs(tmax: int) -> None:
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=5e-4)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=tmax, eta_min=1e-8)
    ours = Schedule(5e-4, tmax=tmax)
    for epoch in range(45):
        assert ours.rate(epoch) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6, abs=1e-12), epoch
        optimiser.step()
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
    schedule = Schedule(1.0, cosine=False, lradj=lradj, decay_fac=0.5)
    assert [schedule.rate(epoch) for epoch in range(6)] == pytest.approx(rates)


@pytest.mark.parametrize("cosine", [True, False])
def test_the_first_epoch_has_the_given_rate(cosine: bool) -> None:
    assert Schedule(3e-4, cosine).rate(0) == pytest.approx(3e-4)


@pytest.mark.parametrize("cosine", [True, False])
def test_an_unknown_schedule_is_refused(cosine: bool) -> None:
    with pytest.raises(UserError, match="--lradj type9: no such schedule; choose one of type1, type2, type3, type4"):
        Schedule(1e-3, cosine, lradj="type9")
