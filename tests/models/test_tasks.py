"""What every trained model has to fulfil where it gives back windows, and where it classifies them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import models
from models.base import Model
from tests.helpers.commands import model_in, small, turn_off_dropout
from tests.helpers.forked import call

CASES = [*(name for name in models.MODELS if models.find_config(name).trains), "CALF on bert"]
every_model = pytest.mark.parametrize("name", CASES)
TELLING = [name for name in CASES if models.find_config(model_in(name)).takes_visible]
STEPS, CHANNELS, CLASSES = 24, 3, 4

Build = Callable[..., Model]


@pytest.fixture
def build(tiny_gpt2: Path, tiny_words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Build a small model of a name for one of the two uses."""
    monkeypatch.chdir(tmp_path)  # where principal words are kept

    def build(name: str, channels: int = CHANNELS, steps: int = STEPS, **sizes: object) -> Model:
        kind, flags = models.find_model(model_in(name)), small(name, tiny_gpt2, tiny_words)
        torch.manual_seed(0)
        return kind.build(kind.Config(steps, steps, channels, **flags, **sizes))

    return build


def classifier(build: Build, name: str, **sizes: int) -> Model:
    return build(name, classes=CLASSES, task_loss="ce", **sizes)


def cases(count: int = 5, channels: int = CHANNELS, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """Return cases (B, L, C) of several lengths, 0 beyond their end, and what of them is visible."""
    x = torch.randn((count, steps, channels), generator=torch.Generator().manual_seed(1))
    lengths = torch.arange(count) % 3 * 4 + steps - 8
    visible = (torch.arange(steps) < lengths[:, None])[..., None].expand(x.shape).float()
    return x * visible, visible


def trained(model: Model) -> list[torch.nn.Parameter]:
    return [parameter for group in model.parameter_groups() for parameter in group.parameters]


# --- classes ---


@every_model
def test_logits_are_repeatable_and_depend_on_no_other_case(build: Build, name: str) -> None:
    model, (x, visible) = classifier(build, name).eval(), cases()
    with torch.inference_mode():
        together, again = model.classify(x, visible).logits, model.classify(x, visible).logits
        alone = torch.cat([model.classify(x[i : i + 1], visible[i : i + 1]).logits for i in range(len(x))])
    assert together.shape == (5, CLASSES)
    assert torch.equal(together, again)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@every_model
@pytest.mark.parametrize("count", [5, 1])
def test_every_trained_parameter_learns_from_classes(build: Build, name: str, count: int) -> None:
    model, (x, visible) = classifier(build, name).train(), cases(count)
    loss = model.training_loss(x, torch.arange(count) % CLASSES, visible=visible)
    loss.backward()
    assert torch.isfinite(loss)
    assert {id(p) for p in trained(model)} == {id(p) for p in model.parameters() if p.requires_grad}
    for parameter in trained(model):
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


@every_model
def test_training_tells_classes_apart(build: Build, name: str) -> None:
    model, (x, visible) = classifier(build, name).train(), cases()
    turn_off_dropout(model)
    y = torch.arange(5) % CLASSES
    optimizer = torch.optim.Adam(trained(model), lr=0.01)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = model.training_loss(x, y, visible=visible)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("name", ["PatchTST", "PAttn"])
def test_statistics_of_a_case_are_of_what_it_has(build: Build, name: str) -> None:
    model, (x, visible) = classifier(build, name).eval(), cases()
    with torch.inference_mode():
        logits = model.classify(x, visible).logits
        padded_otherwise = model.classify(torch.where(visible > 0, x, 7.0), visible).logits
    torch.testing.assert_close(logits, padded_otherwise)


def test_a_single_patch_of_a_lone_case_trains(build: Build) -> None:
    model, (x, visible) = classifier(build, "PatchTST", channels=1, steps=14).train(), cases(1, 1, 14)
    model.training_loss(x, torch.tensor([2]), visible=visible).backward()
    assert torch.isfinite(model.embedding.weight.grad).all()


def test_both_branches_of_calf_share_the_head_of_all_channels(build: Build) -> None:
    model, (x, _) = classifier(build, "CALF").eval(), cases()
    output = model.branches(x)
    assert output.forecast.shape == output.text_forecast.shape == (5, CLASSES)
    assert model.head.in_features == CHANNELS * model.time_gpt2.config.hidden_size
    assert not torch.equal(output.forecast, output.text_forecast)


def classify_all(folder: Path) -> None:
    """Save the logits that each checkpoint in a folder has for the cases."""
    x, visible = cases()
    with torch.inference_mode():
        logits = {name: models.load(folder / name).classify(x, visible).logits.clone() for name in CASES}
    save_file(logits, folder / "logits.safetensors")


def test_a_fresh_process_has_the_same_logits_from_a_checkpoint(build: Build, tmp_path: Path) -> None:
    x, visible = cases()
    ours = {}
    for name in CASES:
        model = classifier(build, name).eval()
        with torch.inference_mode():
            ours[name] = model.classify(x, visible).logits
        model.save(tmp_path / name, {}, {"epoch": 1})
    call(tmp_path, classify_all, tmp_path)
    for name, logits in load_file(tmp_path / "logits.safetensors").items():
        torch.testing.assert_close(logits, ours[name], rtol=1e-5, atol=1e-6)


# --- windows given back ---


@every_model
def test_a_window_given_back_depends_on_no_other_one(build: Build, name: str) -> None:
    model, (x, visible) = build(name, reconstructs=1).eval(), cases()
    told = {"visible": visible} if model.config.takes_visible else {}
    with torch.inference_mode():
        together = model(x, **told).forecast
        alone = torch.cat([model(x[i, None], **{k: v[i, None] for k, v in told.items()}).forecast for i in range(5)])
    assert together.shape == x.shape
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@every_model
def test_every_trained_parameter_learns_from_hidden_values(build: Build, name: str) -> None:
    model, (x, visible) = build(name, reconstructs=1).train(), cases()
    told = {"visible": visible} if model.config.takes_visible else {}
    model.training_loss(x, torch.randn_like(x), 1 - visible, **told).backward()
    for parameter in trained(model):
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", TELLING)
def test_what_stands_at_hidden_places_has_no_influence_and_a_hidden_channel_does_no_harm(
    build: Build, name: str
) -> None:
    model, (x, visible) = build(name, reconstructs=1).eval(), cases()
    visible[0, :, 1] = 0
    with torch.inference_mode():
        zeros = model(torch.where(visible > 0, x, 0.0), visible=visible).forecast
        others = model(torch.where(visible > 0, x, 9.0), visible=visible).forecast
    assert torch.isfinite(zeros).all()
    torch.testing.assert_close(zeros, others)
