"""``--ema``: a moving average of the weights is validated and kept, and a stopped training goes on with it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import models
import run
from exp.averaging import WeightAverage
from exp.resume import TrainingState
from tests.conftest import Tiny
from tests.helpers.commands import prepared, refused, succeed

AVERAGED = {"model": "DLinear", "ema": 0.9, "batch_size": 16, "train_epochs": 2, "patience": 2, "log": "none"}


def weights_of(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint's model."""
    return models.load(folder).trained_state()


def test_the_average_is_what_is_validated_and_kept(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, steps = prepared(tiny(**AVERAGED)), []
    update = WeightAverage.update

    def update_and_note(average: WeightAverage) -> None:
        update(average)
        steps.append({name: tensor.clone() for name, tensor in experiment.model.trained_state().items()})

    monkeypatch.setattr(WeightAverage, "update", update_and_note)
    average = {name: tensor.clone() for name, tensor in experiment.model.trained_state().items()}
    experiment.fit()
    per_epoch = len(experiment.train_loader)
    assert len(steps) == 2 * per_epoch
    for step, weights in enumerate(steps[: experiment.best["epoch"] * per_epoch], start=1):
        share = max(0.1, 9 / (step + 8))
        average = {name: tensor + share * (weights[name] - tensor) for name, tensor in average.items()}
    kept = weights_of(experiment.config.checkpoint)
    for name, tensor in average.items():
        torch.testing.assert_close(kept[name], tensor)
        assert not torch.equal(kept[name], steps[-1][name])
    experiment.model.load_state_dict(kept, strict=False)
    assert experiment.validate() == pytest.approx(experiment.best["validation_mse"], rel=1e-5)


def test_training_itself_goes_on_from_the_weights_and_not_from_their_average(tiny: Tiny) -> None:
    (plain,) = succeed(tiny(**AVERAGED | {"ema": 0}))
    (averaged,) = [one for one in succeed(tiny(**AVERAGED)) if one["run"]["config"]["ema"]]
    losses = [[epoch["train_loss"] for epoch in one["run"]["training"]["epochs"]] for one in (plain, averaged)]
    assert losses[0] == losses[1]
    assert plain["scores"]["mse"] != averaged["scores"]["mse"]


def test_a_stopped_training_goes_on_with_its_average(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = tiny(**AVERAGED)
    succeed([*flags, "--des", "whole"])

    def stop(state: TrainingState, folder: Path, save: object = TrainingState.save) -> None:
        save(state, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(TrainingState, "save", stop)
        assert run.main(flags) == 130
    succeed(flags)
    whole, resumed = (weights_of(next(Path("checkpoints").glob(f"*_{des}_*"))) for des in ("whole", "test"))
    assert all(torch.equal(whole[name], tensor) for name, tensor in resumed.items())


def test_running_statistics_are_averaged_too(tiny: Tiny) -> None:
    experiment = prepared(tiny(model="PatchTST", ema=0.9, d_model=8, d_ff=8, n_heads=2, e_layers=1, patch_len=8))
    average = WeightAverage(experiment.model, 0.9)
    assert any("running_var" in name for name in average.tensors)
    assert not any("num_batches_tracked" in name for name in average.tensors)


def test_a_decay_of_1_is_refused(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--ema 1: choose a number from 0 to below 1" in refused(tiny(**AVERAGED | {"ema": 1}), capsys)
