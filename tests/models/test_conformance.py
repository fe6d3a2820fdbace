"""What every model of the registry has to fulfil, and CALF on every family of language models.

The test of a new model is its row in ``models.MODELS``, that of a new family its row in ``layers.families.FAMILIES``.
"""

import functools
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

import models
import run
from exp.forecaster import Forecaster
from layers.families import FAMILIES
from models.base import Model
from tests.conftest import hourly_table
from tests.helpers.commands import model_in, small, succeed
from tests.helpers.fields import described
from tests.helpers.forked import call, finish, start
from utils.flags import from_json

ROOT = Path(run.__file__).parent
SIZES = [(24, 6, 3), (36, 12, 1), (48, 5, 7)]
SEASON = 4
CASES = [*models.MODELS, *(f"CALF on {family}" for family in FAMILIES if family != "gpt2")]
every_model = pytest.mark.parametrize("name", CASES)
# Of the families of language models, whose training differs in nothing, one is enough where it takes processes.
KILLED = [n for n in CASES if models.find_config(model_in(n)).trains and (" on " not in n or n == "CALF on bert")]
trained_models = pytest.mark.parametrize("name", [name for name in CASES if models.find_config(model_in(name)).trains])

Build = Callable[..., Model]


@pytest.fixture
def build(tiny_gpt2: Path, tiny_words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Build a small model of a name and sizes."""
    monkeypatch.chdir(tmp_path)  # where principal words are kept

    def build(name: str, seq_len: int = 24, pred_len: int = 6, channels: int = 3, **flags: object) -> Model:
        need_package(name)
        kind, flags = models.find_model(model_in(name)), {**small(name, tiny_gpt2, tiny_words), **flags}
        torch.manual_seed(0)
        return kind.build(kind.Config(seq_len, pred_len, channels, SEASON, **flags))

    return build


def need_package(name: str) -> None:
    """Skip a model that stands on a package which is not installed."""
    if models.MODELS[model_in(name)].startswith("models.statistical:"):
        pytest.importorskip("statsforecast", reason="statsforecast is not installed")


def windows(model: Model, batch: int = 5) -> Tensor:
    """Return (B, L, C) windows for a model."""
    shape = batch, max(model.config.seq_len, model.lookback), model.config.channels
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@every_model
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_forecast_has_a_value_for_each_step_and_channel(build: Build, name: str, sizes: tuple[int, int, int]) -> None:
    model = build(name, *sizes).eval()
    forecast = model(windows(model)).forecast
    assert forecast.shape == (5, *sizes[1:])
    assert torch.isfinite(forecast).all()


@trained_models
@pytest.mark.parametrize("loss", ["mse", "smape", "mape", "mase"])
def test_every_trained_parameter_gets_a_finite_gradient(build: Build, name: str, loss: str) -> None:
    model = build(name, task_loss=loss).train()
    x, y = windows(model), torch.randn(5, 6, 3)
    mask = None if loss == "mse" else (torch.rand(5, 6, 3) < 0.7).float()
    model.training_loss(x, y, mask).backward()
    trained = [parameter for group in model.parameter_groups() for parameter in group.parameters]
    assert {id(p) for p in trained} == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(trained) == len({id(p) for p in trained})
    for parameter in trained:
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


@trained_models
def test_the_loss_looks_at_the_scored_channels_and_the_known_steps_alone(build: Build, name: str) -> None:
    model = build(name).eval()
    x, y, mask = windows(model), torch.randn(5, 6, 3), torch.ones(5, 6, 3)
    mask[:, 4:] = 0
    other = y.clone()
    other[..., 0] += 1
    other[:, 4:] -= 1
    losses = [model.training_loss(x, truth, mask, slice(1, None)) for truth in (y, other)]
    assert torch.equal(*losses)
    assert not torch.equal(losses[0], model.training_loss(x, other, mask))


@every_model
def test_a_model_without_parameter_groups_says_that_it_does_not_train(build: Build, name: str) -> None:
    assert bool(build(name).parameter_groups()) == models.find_config(model_in(name)).trains


@every_model
def test_a_forecast_is_repeatable_and_depends_on_no_other_window(build: Build, name: str) -> None:
    model = build(name, task_loss="mse").eval()
    x = windows(model)
    with torch.inference_mode():
        together, again = model(x).forecast, model(x).forecast
        alone = torch.cat([model(window[None]).forecast for window in x])
    assert torch.equal(together, again)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@every_model
def test_a_configuration_survives_json(build: Build, name: str) -> None:
    config = build(name).config
    assert from_json(type(config), json.loads(json.dumps(asdict(config)))) == config


def test_the_flags_of_every_model_are_known_without_pytorch() -> None:
    code = (
        "import json, sys; from models import MODELS, find_config; from tests.helpers.fields import described; "
        "print(json.dumps({name: described(find_config(name)) for name in MODELS})); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: described(models.find_model(name).Config) for name in models.MODELS}


class Run:
    """One trained, tested and used model.

    Attributes:
        folder: where everything lies that the run left.
        flags: the command line.
        record: its metrics.json.
    """

    def __init__(self, folder: Path, flags: list[str]) -> None:
        self.folder, self.flags = folder, flags
        folder.mkdir(exist_ok=True)
        (self.record,) = self.repeat("--do_predict", "--refit", "0")

    def repeat(self, *flags: str) -> list[dict[str, Any]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            return succeed([*self.flags, *flags])

    @property
    def setting(self) -> str:
        return self.record["run"]["setting"]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / self.setting

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.setting


Runs = Callable[[str], Run]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path, tiny_words: Path) -> Runs:
    """Train, test and use a model on one file, once for all tests."""
    folder = tmp_path_factory.mktemp("runs")
    for file, seed in (("own", 0), ("other", 1)):
        hourly_table(rows=240, seed=seed).to_csv(folder / f"{file}.csv", index=False)

    @functools.cache
    def run_of(name: str) -> Run:
        need_package(name)
        flags = {
            "model": model_in(name), "data_path": folder / "own.csv", "seq_len": 24, "pred_len": 6, "train_epochs": 2,
            "batch_size": 64, "device": "cpu", "log": "none", **small(name, tiny_gpt2, tiny_words),
        }  # fmt: skip
        return Run(folder / name, [part for flag, value in flags.items() for part in (f"--{flag}", str(value))])

    return run_of


@every_model
def test_a_run_leaves_scores_beside_those_of_naive_forecasts(run_of: Runs, name: str) -> None:
    record = run_of(name).record
    assert {"run", "data", "model", "scores"} <= record.keys()
    assert record["model"]["name"] == model_in(name)
    figures = {who: report["standardised"]["mse"] for who, report in record["scores"]["metrics"].items()}
    assert 0 < record["scores"]["mse"] == figures[model_in(name)]
    assert len(figures) == (2 if name in ("Naive", "SeasonalNaive") else 3)


@every_model
def test_a_run_leaves_a_forecast_of_what_comes_next(run_of: Runs, name: str) -> None:
    table = pd.read_csv(run_of(name).results / "forecast.csv")
    assert len(table) == 6 * 3
    assert table["forecast"].between(5, 15).all()


@every_model
def test_a_later_test_gives_identical_scores(run_of: Runs, name: str) -> None:
    own = run_of(name)
    (own.results / "metrics.json").unlink()
    (again,) = own.repeat("--is_training", "0")
    assert again["scores"] == own.record["scores"]


@every_model
def test_another_file_is_tested_on_without_training(run_of: Runs, name: str) -> None:
    own = run_of(name)
    other = own.folder.parent / "other.csv"
    own.repeat("--zero_shot", "1", "--target_data", "custom", "--target_data_path", str(other))
    (path,) = own.results.glob("zero_shot_*/metrics.json")
    record = json.loads(path.read_text())
    assert record["data"]["target_data"].startswith("custom-other")
    assert record["scores"]["mse"] > 0
    assert record["scores"] != own.record["scores"]


def forecast_of(model: Model) -> Tensor:
    with torch.inference_mode():
        return model(windows(model)).forecast


def forecast_all(checkpoints: dict[str, Path], path: Path) -> None:
    """Save what each checkpoint forecasts, as a forecaster, which needs no peft, and as the model it was."""
    forecasts = {f"{name} in a forecaster": forecast_of(Forecaster.load(at).model) for name, at in checkpoints.items()}
    assert "peft" not in sys.modules
    torch.save(forecasts | {name: forecast_of(models.load(at)) for name, at in checkpoints.items()}, path)


@pytest.fixture(scope="module")
def reloaded(
    run_of: Runs, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Tensor]:
    """Forecasts of every tested checkpoint by name, from a process of its own."""
    tests = (item for item in request.session.items if "reloaded" in item.fixturenames)
    names = [test.callspec.params["name"] for test in tests]
    if find_spec("statsforecast") is None:
        names = [name for name in names if not models.MODELS[model_in(name)].startswith("models.statistical:")]
    folder = tmp_path_factory.mktemp("reloaded")
    call(folder, forecast_all, {name: run_of(name).checkpoint for name in names}, folder / "forecasts.pt")
    return torch.load(folder / "forecasts.pt")


@every_model
def test_a_checkpoint_forecasts_the_same_in_a_fresh_process(
    run_of: Runs, reloaded: dict[str, Tensor], name: str
) -> None:
    forecast = forecast_of(models.load(run_of(name).checkpoint))
    assert torch.equal(forecast, reloaded[name])
    torch.testing.assert_close(forecast, reloaded[f"{name} in a forecaster"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_training_goes_on_to_the_weights_of_one_that_was_not_killed(
    run_of: Runs, name: str, tmp_path: Path
) -> None:
    own = run_of(name)
    assert finish(start(tmp_path, own.flags, killed=True)) == -signal.SIGKILL
    assert finish(start(tmp_path, own.flags)) == 0
    assert "going on after epoch 1 of 2" in (tmp_path / "said.txt").read_text()
    again = tmp_path / "checkpoints" / own.setting / "model.safetensors"
    assert again.read_bytes() == (own.checkpoint / "model.safetensors").read_bytes()
