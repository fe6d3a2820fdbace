"""Every registered model against the public implementation of its paper: every golden case that names one.

Each case holds weights, inputs, forecasts and gradient norms of a public implementation: the loss is the mean squared
error over all elements, everything in evaluation mode.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import models
from models.base import Model
from tests.helpers.places import GOLDEN, golden_cases

CASES = [
    file.parent
    for file in golden_cases("peers/*/config.json")
    if json.loads(file.read_text())["model"] in models.MODELS
]
TOLERANCES = {"GPT4TS": 2e-5}  # where the golden data allow more than 1e-5

pytestmark = pytest.mark.skipif(not CASES, reason=f"no golden peers under {GOLDEN} (CALF_GOLDEN)")
per_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def load(case: Path) -> tuple[Model, dict[str, torch.Tensor], dict[str, Any]]:
    arrays = {name: torch.from_numpy(values) for name, values in np.load(case / "io.npz").items()}
    return models.from_public(case), arrays, json.loads((case / "config.json").read_text())


@per_case
def test_the_forecast_equals_the_public_one(case: Path) -> None:
    model, arrays, _ = load(case)
    with torch.no_grad():
        forecast = model(arrays["x"]).forecast
    tolerance = TOLERANCES.get(type(model).__name__, 1e-5)
    torch.testing.assert_close(forecast, arrays["y_hat"], rtol=0, atol=tolerance)


@per_case
def test_the_forecast_with_calendar_marks_equals_the_public_one(case: Path) -> None:
    model, arrays, _ = load(case)
    if "x_mark" not in arrays:
        pytest.skip("the public model reads no calendar marks")
    with torch.no_grad():
        forecast = model(arrays["x"], arrays["x_mark"]).forecast
    torch.testing.assert_close(forecast, arrays["y_hat_marks"], rtol=0, atol=1e-5)


@per_case
def test_the_number_of_parameters_equals_the_public_one(case: Path) -> None:
    model, _, config = load(case)
    total = sum(p.numel() for p in model.parameters())
    if "gpt2.wte.weight" in (public := load_file(case / "weights.safetensors")):
        total += public["gpt2.wte.weight"].numel()  # the token table, which no forecast reads
    assert total == config["parameters"]["total"]
    trained = sum(p.numel() for group in model.parameter_groups() for p in group.parameters)
    assert trained == config["parameters"]["trainable"]


@per_case
@pytest.mark.parametrize("marks", ["", "_marks"], ids=["values", "with marks"])
def test_the_gradient_norm_of_every_parameter_equals_the_public_one(case: Path, marks: str) -> None:
    model, arrays, _ = load(case)
    recorded = json.loads((case / "grads.json").read_text())
    if f"loss{marks}" not in recorded:
        pytest.skip("the public model reads no calendar marks")
    seen = (arrays["x"], arrays["x_mark"]) if marks else (arrays["x"],)
    loss = torch.nn.functional.mse_loss(model(*seen).forecast, arrays["y"])
    loss.backward()
    assert loss.item() == pytest.approx(recorded[f"loss{marks}"], abs=1e-5)
    public = load_file(case / "weights.safetensors")
    # Every element carries the number of the public tensor that it comes from, whatever is rearranged.
    numbers = {name: torch.full_like(tensor, i) for i, (name, tensor) in enumerate(public.items())}
    translated, parameters = model.translate_public(numbers), dict(model.named_parameters())
    origins = {name: origin for name, origin in translated.items() if name in parameters}
    for i, name in enumerate(public):
        if (norm := recorded[f"grad_norms{marks}"].get(name)) is None:
            continue
        parts = [parameters[own].grad[origin == i] for own, origin in origins.items() if (origin == i).any()]
        assert torch.cat(parts).norm().item() == pytest.approx(norm, rel=1e-4, abs=1e-5), name
