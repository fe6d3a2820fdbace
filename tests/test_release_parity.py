"""CALF against the authors' released code: every golden case, through the public loader.

Each case holds inputs, weights, outputs, losses, gradient norms and a training trajectory that the released
code produced on a tiny GPT-2.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from exp.training import build_optimizer
from models.calf import CALF, CALFOutput, calf_loss
from models.calf_release import release_name
from tests.helpers.places import GOLDEN, golden_cases
from utils.losses import Masked

TASKS = ("long_term_forecast", "short_term_forecast", "imputation", "anomaly_detection", "classification")
CASES = [(case, task) for case in golden_cases("model/*/meta.json") for task in TASKS]
NAMES = [f"{case.parent.name}-{task}" for case, task in CASES]

pytestmark = pytest.mark.skipif(not CASES, reason=f"no golden models under {GOLDEN} (CALF_GOLDEN)")


class Case:
    """One task of one golden model, loaded."""

    def __init__(self, meta_file: Path, task: str) -> None:
        self.folder, self.task = meta_file.parent, task
        self.meta = json.loads(meta_file.read_text())
        self.arrays = {k: torch.from_numpy(v) for k, v in np.load(self.folder / f"{task}.npz").items()}
        recorded = json.loads((self.folder / "losses.json").read_text())
        self.recorded = {k.removeprefix(f"{task}|"): v for k, v in recorded.items() if k.startswith(f"{task}|")}
        self.model = CALF.from_release(
            self.folder / f"{task}.pth",
            llm=self.folder / "gpt2",
            word_embeddings=np.load(self.folder / "wte_pca.npy"),
            task_name=task,
            seq_len=self.arrays["x"].shape[1],
            pred_len=self.arrays["y"].shape[1] if task.endswith("forecast") else None,
            channels=self.arrays["x"].shape[2],
            gpt_layers=self.meta["gpt_layers"],
            lora_alpha=self.meta["lora_alpha"],
            lora_dropout=self.meta["lora_dropout"],
        )

    def branches(self) -> CALFOutput:
        """Return what both branches compute; the input of imputation has its hidden values, unlike in the task."""
        return self.model.branches(self.arrays["x"], visible=self.arrays.get("mask"))

    @property
    def combinations(self) -> list[str]:
        return [key for key in self.recorded if key.startswith("feature=")]

    def loss(self, combination: str, output: CALFOutput) -> torch.Tensor:
        names = dict(part.split("=") for part in combination.split("|"))
        parts = ("task", "output", "feature")
        losses = {f"{part}_loss": names[part] for part in parts}
        config = replace(self.model.config, **losses, **{f"{part}_w": self.meta[f"{part}_w"] for part in parts})
        masked = None
        if self.task == "short_term_forecast":
            masked = Masked(self.arrays["y_mask"], self.arrays["x"], self.meta["freq"])
        return calf_loss(config, output, self.arrays["y"], masked)


@pytest.fixture(params=CASES, ids=NAMES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(*request.param)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_both_forecasts_and_every_feature_equal_the_release(case: Case) -> None:
    with torch.no_grad():
        output = case.branches()
    assert_close(output.forecast, case.arrays["outputs_time"])
    assert_close(output.text_forecast, case.arrays["outputs_text"])
    assert len(output.time_features) == len(output.text_features) == case.meta["gpt_layers"] + 1
    for i, (time, text) in enumerate(zip(output.time_features, output.text_features, strict=True)):
        assert_close(time, case.arrays[f"feat_time_{i}"])
        assert_close(text, case.arrays[f"feat_text_{i}"])


def test_evaluation_and_merged_adapters_give_the_released_forecast(case: Case) -> None:
    with torch.inference_mode(), case.model.merged_adapters():
        output = case.model(case.arrays["x"], visible=case.arrays.get("mask"))
    assert_close(output.forecast, case.arrays["outputs_time"])
    assert output.text_forecast is None


def test_every_loss_combination_equals_the_release(case: Case) -> None:
    assert case.combinations
    output = case.branches()
    for combination in case.combinations:
        assert case.loss(combination, output).item() == pytest.approx(case.recorded[combination], rel=1e-5, abs=1e-5)


def test_gradient_norms_equal_the_release(case: Case) -> None:
    case.loss(case.combinations[0], case.branches()).backward()
    ours = {n: p.grad.norm().item() for n, p in case.model.named_parameters() if p.grad is not None}
    theirs = {release_name(name): norm for name, norm in case.recorded["grad_norms"].items()}
    assert ours.keys() == theirs.keys()
    for name, norm in theirs.items():
        assert ours[name] == pytest.approx(norm, rel=1e-4, abs=1e-5), name


def test_the_number_of_trainable_parameters_equals_the_release(case: Case) -> None:
    grouped = sum(p.numel() for group in case.model.parameter_groups() for p in group.parameters)
    assert grouped == case.recorded["trainable"]
    assert sum(p.numel() for p in case.model.parameters() if p.requires_grad) == case.recorded["trainable"]


def test_the_training_trajectory_follows_the_release(case: Case) -> None:
    groups = case.model.parameter_groups()
    assert groups[0].constant_rate == case.meta["lr_proj"]
    optimizer = build_optimizer(groups, case.meta["lr"])
    for step, expected in enumerate(case.recorded["trajectory"]):
        loss = case.loss(case.combinations[0], case.branches())
        assert loss.item() == pytest.approx(expected, rel=1e-4), f"step {step}"
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
