"""An experiment from its model to its checkpoint: rates, validation, the best epoch."""

import pytest
import torch

from data_provider.windows import Split
from exp.long_term_forecast import LongTermForecast
from exp.optimizer import build_optimizer, set_rates
from tests.conftest import Tiny
from tests.helpers.commands import prepared
from utils.errors import UserError
from utils.schedule import Schedule


@pytest.fixture
def experiment(tiny: Tiny) -> LongTermForecast:
    """An experiment ready to train."""
    return prepared(tiny(train_epochs=2))


def test_the_alignment_rate_stays_while_the_others_follow_the_schedule(experiment: LongTermForecast) -> None:
    groups = experiment.model.parameter_groups()
    schedule = Schedule(5e-4, cos=1, tmax=20)
    optimizer = build_optimizer(groups, schedule.learning_rate)
    for epoch in range(25):
        set_rates(optimizer, groups, schedule, epoch)
        alignment, backbone = optimizer.param_groups
        assert (alignment["name"], alignment["lr"]) == ("alignment", 1e-4)
        assert backbone["lr"] == pytest.approx(schedule.rate(epoch), rel=1e-9)


def test_validation_is_exact_over_every_window_and_repeatable(experiment: LongTermForecast) -> None:
    windows = experiment.data.windows[Split.VAL]
    x, y = (torch.stack([torch.from_numpy(windows.window(i)[k]) for i in range(len(windows))]) for k in (0, 1))
    experiment.model.eval()
    with torch.no_grad():
        forecast = experiment.model(x.float()).forecast
    expected = (forecast.double() - y).square().mean().item()
    experiment.model.train()
    assert experiment.validate() == pytest.approx(expected, rel=1e-5)
    assert experiment.validate() == experiment.validate()
    assert experiment.model.training


def test_training_keeps_the_best_epoch_on_disk_and_leaves_frozen_tensors_alone(experiment: LongTermForecast) -> None:
    model = experiment.model
    frozen = {name: tensor.clone() for name, tensor in model.frozen_state().items()}
    trained = {name: tensor.clone() for name, tensor in model.trained_state().items() if name != "match.words"}
    experiment.fit()
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in model.frozen_state().items())
    assert not any(
        torch.equal(tensor, trained[name]) for name, tensor in model.trained_state().items() if name in trained
    )
    experiment.restore(experiment.config.checkpoint)
    assert experiment.validate() == pytest.approx(experiment.best["validation_mse"], rel=1e-9)


def test_a_run_that_diverges_keeps_the_best_epoch_before(
    experiment: LongTermForecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([1.0, float("nan")])
    monkeypatch.setattr(experiment, "validate", lambda: next(scores))
    with pytest.raises(UserError, match="validation error is not finite in epoch 2"):
        experiment.fit()
    assert experiment.best == {"epoch": 1, "validation_mse": 1.0}
    experiment.restore(experiment.config.checkpoint)
