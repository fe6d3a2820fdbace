"""The training loop's parts: what trains at which rate, epoch by epoch."""

from pathlib import Path

import pytest
import torch

from exp.base import build_optimiser, build_scheduler
from exp.config import RunConfig
from exp.long_term_forecast import LongTermForecast
from run import parse
from tests.conftest import WriteCsv
from tests.helpers.commands import tiny_run
from utils.schedule import Schedule


@pytest.fixture
def experiment(tiny_gpt2: Path, tiny_words: Path, write_csv: WriteCsv, workplace: Path) -> LongTermForecast:
    """An experiment ready to train."""
    args, _ = parse(tiny_run(write_csv(), tiny_gpt2, tiny_words, train_epochs=2))
    experiment = LongTermForecast(RunConfig.from_args(args))
    experiment.prepare()
    return experiment


def test_the_alignment_rate_stays_while_the_others_follow_the_schedule(experiment: LongTermForecast) -> None:
    groups = experiment.network.model.parameter_groups()
    schedule = Schedule(5e-4, cosine=True, tmax=20)
    optimiser = build_optimiser(groups, schedule.learning_rate)
    scheduler = build_scheduler(optimiser, groups, schedule)
    for epoch in range(25):
        alignment, backbone = optimiser.param_groups
        assert (alignment["name"], alignment["lr"]) == ("alignment", 1e-4)
        assert backbone["lr"] == pytest.approx(schedule.rate(epoch), rel=1e-9)
        optimiser.step()
        scheduler.step()


def test_validation_is_exact_over_every_window_and_repeatable(experiment: LongTermForecast) -> None:
    windows = experiment.data.windows[next(s for s in experiment.data.windows if s.value == "val")]
    x, y = (torch.stack([torch.from_numpy(windows.window(i)[k]) for i in range(len(windows))]) for k in (0, 1))
    experiment.network.model.eval()
    with torch.no_grad():
        forecast = experiment.network.model(x.float()).forecast
    expected = (forecast.double() - y).square().mean().item()
    experiment.network.model.train()
    assert experiment.validate() == pytest.approx(expected, rel=1e-5)
    assert experiment.validate() == experiment.validate()
    assert experiment.network.model.training


def test_training_keeps_the_best_epoch_on_disk_and_leaves_frozen_tensors_alone(experiment: LongTermForecast) -> None:
    model = experiment.network.model
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
    with pytest.raises(Exception, match="validation error is not finite in epoch 2"):
        experiment.fit()
    assert experiment.best == {"epoch": 1, "validation_mse": 1.0}
    experiment.restore(experiment.config.checkpoint)
