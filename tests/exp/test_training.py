"""The training loop: parts of a batch, precision, memory, what is logged, what is not finite."""

import csv
import math
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

import run
from data_provider.windows import Split
from exp.config import RunConfig
from exp.long_term_forecast import LongTermForecast
from exp.optimizer import FiniteLoss
from exp.training import Training
from tests.conftest import Tiny, WriteCsv
from tests.helpers.commands import prepared, refused, succeed, tiny_run, turn_off_dropout
from utils.errors import UserError

CPU = torch.device("cpu")


def epoch_of(
    flags: list[str], dropout: bool = True, kind: type[LongTermForecast] = LongTermForecast
) -> dict[str, float]:
    """Return the figures of the first epoch of a training."""
    experiment = prepared(flags, kind)
    if not dropout:
        turn_off_dropout(experiment.model)
    experiment.fit()
    return experiment.training["epochs"][0]


def test_accumulated_batches_train_as_one_that_is_as_large(tiny: Tiny) -> None:
    whole = epoch_of(tiny(batch_size=60), dropout=False)
    parts = epoch_of(tiny(batch_size=20, accumulate=3), dropout=False)
    assert parts == pytest.approx(whole, rel=1e-5)
    assert epoch_of(tiny(batch_size=20), dropout=False)["train_loss"] != pytest.approx(whole["train_loss"], rel=1e-3)


def test_recomputed_activations_change_no_figure(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    forward = GPT2MLP.forward
    monkeypatch.setattr(GPT2MLP, "forward", lambda mlp, x: (calls.append(mlp.training), forward(mlp, x))[1])
    plain = epoch_of(tiny())
    once = sum(calls)
    calls.clear()
    assert epoch_of(tiny(grad_checkpoint=1, checkpoints="other")) == plain
    assert sum(calls) == 2 * once > 0


def test_the_size_of_evaluation_batches_changes_no_figure(tiny: Tiny) -> None:
    (one,) = succeed(tiny(eval_batch_size=1))
    (many,) = succeed([*tiny(eval_batch_size=50), "--overwrite"])
    assert many["scores"]["mse"] == pytest.approx(one["scores"]["mse"], rel=1e-6)
    assert many["scores"]["metrics"]["CALF"]["windows"] == one["scores"]["metrics"]["CALF"]["windows"]


def test_use_amp_means_bfloat16(tiny: Tiny) -> None:
    (amp,) = succeed([*tiny(), "--use_amp"])
    assert amp["run"]["config"]["precision"] == "bf16"
    (named,) = succeed(tiny(precision="bf16"))
    assert named == amp  # the same run, finished before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"precision": "fp8"}, "--precision fp8: choose one of fp32, bf16, fp16"),
        ({"precision": "fp16"}, "--precision fp16 is for CUDA; on the CPU choose bf16 or fp32"),
        ({"compile": "fast"}, "--compile fast: choose one of 0, 1, reduce-overhead, max-autotune"),
        ({"log": "wandb"}, "--log wandb: choose one of csv, tensorboard, none"),
        ({"accumulate": 0}, "--accumulate 0: choose a whole number from 1 to "),
    ],
)
def test_a_wrong_choice_is_named_and_nothing_is_written(
    flags: dict[str, object], message: str, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(tiny(**flags), capsys)
    assert not list(workplace.iterdir())


def test_use_amp_contradicts_another_precision(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused([*tiny(precision="fp32"), "--use_amp"], capsys)
    assert "--use_amp and --precision fp32 contradict each other" in said


def test_a_checkpoint_trained_in_float16_is_tested_on_the_cpu_in_float32(tiny: Tiny, workplace: Path) -> None:
    (record,) = succeed(tiny())
    (folder,) = Path("checkpoints").iterdir()
    content = (folder / "config.json").read_text()
    (folder / "config.json").write_text(content.replace('"precision": "fp32"', '"precision": "fp16"'))
    (folder / "training.json").unlink()
    assert run.main(["--is_training", "0", "--load", str(folder), "--device", "cpu"]) == 0
    (tested,) = (other for other in succeed(tiny()) if other["run"]["config"]["precision"] == "fp16")
    assert tested["scores"]["mse"] == pytest.approx(record["scores"]["mse"], rel=1e-6)


@pytest.mark.pictures
def test_each_epoch_is_a_row_of_the_log_and_the_losses_are_drawn(tiny: Tiny, workplace: Path) -> None:
    (record,) = succeed(tiny(train_epochs=3))
    folder = workplace / "results" / record["run"]["setting"]
    rows = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    assert [float(row["train_loss"]) for row in rows] == [
        one["train_loss"] for one in record["run"]["training"]["epochs"]
    ]
    assert {float(row["rate_alignment"]) for row in rows} == {1e-4}
    assert [float(row["rate_backbone"]) for row in rows] == [one["rate"] for one in record["run"]["training"]["epochs"]]
    assert all(float(row["samples_per_second"]) > 0 and float(row["memory"]) > 1e6 for row in rows)
    assert (folder / "loss.png").stat().st_size > 5000


class Scaled(LongTermForecast):
    """A training whose losses are scaled, as those in float16 are."""

    SCALE = 2.0**16

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.compute.scaler = torch.amp.GradScaler("cpu", init_scale=self.SCALE, growth_interval=10**6)


def test_scaled_losses_train_as_plain_ones(tiny: Tiny) -> None:
    plain = epoch_of(tiny())
    scaled = epoch_of(tiny(checkpoints="scaled"), kind=Scaled)
    assert scaled == pytest.approx(plain, rel=1e-4)


def test_a_step_whose_scaled_gradients_overflow_is_left_out_and_the_scale_lowered(tiny: Tiny) -> None:
    experiment = prepared(tiny(task_w=1e5), Scaled)
    training = Training(experiment)
    scaler = experiment.compute.scaler
    scaler.scale(torch.ones(()))  # it is made at its first use
    scaler._scale.fill_(1e38)
    before = [parameter.detach().clone() for parameter in training.parameters]
    batch = next(iter(experiment.train_loader))
    experiment.model.train()
    training._step(batch, FiniteLoss(0, CPU, "fp16"))
    assert all(torch.equal(one, other) for one, other in zip(before, training.parameters, strict=True))
    assert scaler.get_scale() < 1e38


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_the_same(tiny: Tiny, workplace: Path) -> None:
    (record,) = succeed(tiny(train_epochs=2, log="tensorboard"))
    events = EventAccumulator(str(workplace / "results" / record["run"]["setting"] / "tensorboard"))
    events.Reload()
    losses = [one["train_loss"] for one in record["run"]["training"]["epochs"]]
    assert [scalar.value for scalar in events.Scalars("train_loss")] == pytest.approx(losses)
    assert {"validation_mse", "rate_backbone", "samples_per_second", "memory"} <= set(events.Tags()["scalars"])


def test_without_its_package_tensorboard_is_refused(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr("exp.trackers.find_spec", lambda name: None)
    assert "pip install tensorboard, or choose csv" in refused(tiny(log="tensorboard"), capsys)


def test_none_logs_nothing(tiny: Tiny, workplace: Path) -> None:
    (record,) = succeed(tiny(log="none"))
    assert not (workplace / "results" / record["run"]["setting"] / "log.csv").exists()


@pytest.mark.parametrize(
    ("precision", "remedy"), [("fp32", "lower --learning_rate"), ("fp16", "choose --precision bf16 or fp32")]
)
def test_a_loss_that_is_not_finite_names_place_and_remedy(precision: str, remedy: str) -> None:
    losses = FiniteLoss(2, CPU, precision)
    losses.add(torch.tensor(1.0))
    with pytest.raises(UserError, match=rf"not finite in epoch 3, step 2.*{remedy}"):
        losses.add(torch.tensor(math.inf))


def test_on_cuda_a_loss_is_looked_at_a_step_later() -> None:
    losses = FiniteLoss(0, torch.device("cuda"), "fp32")
    losses.add(torch.tensor(math.nan))
    with pytest.raises(UserError, match="epoch 1, step 1"):
        losses.add(torch.tensor(1.0))
    last = FiniteLoss(0, torch.device("cuda"), "fp32")
    last.add(torch.tensor(1.0))
    last.add(torch.tensor(3.0))
    assert last.finish() == 2.0


@pytest.mark.filterwarnings("ignore")  # of the compiler
def test_compiled_it_comes_to_the_same_and_the_last_smaller_batch_compiles_nothing(
    tiny_gpt2: Path, tiny_words: Path, write_csv: WriteCsv, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = tiny_run(write_csv(rows=300), tiny_gpt2, tiny_words, eval_batch_size=16)
    plain = epoch_of(flags, dropout=False)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # traces; the C++ compiler is slow
    graphs = torch._dynamo.utils.counters["stats"]
    experiment = prepared([*flags, "--compile", "1", "--checkpoints", "compiled"])
    turn_off_dropout(experiment.model)
    validation = len(experiment.data.windows[Split.VAL])
    assert validation % 16
    experiment.fit()
    compiled = experiment.training["epochs"][0]
    seen = graphs["unique_graphs"]
    assert seen > 0
    assert experiment.validate() == pytest.approx(compiled["validation_mse"], rel=1e-6)
    experiment.model.train()
    batch = next(iter(experiment.train_loader))
    experiment.batch_loss(batch.rows(slice(7)))
    assert graphs["unique_graphs"] == seen
    assert compiled == pytest.approx(plain, rel=1e-4)
