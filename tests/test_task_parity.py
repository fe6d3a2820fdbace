"""Imputation against the authors' released code: its windows, and its model on windows with hidden values."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data_provider.hidden import load_hidden
from data_provider.imputation_config import ImputationConfig
from data_provider.windows import Split
from models.calf import CALF, calf_loss
from tests.helpers.places import DATASETS, GOLDEN
from utils.losses import Masked

TASKS = GOLDEN / "tasks"
WINDOWS = json.loads((TASKS / "imputation_windows.json").read_text())["cases"] if TASKS.is_dir() else []
TINY = GOLDEN / "model" / "tiny-48"

pytestmark = pytest.mark.skipif(not WINDOWS, reason=f"no golden tasks under {GOLDEN} (CALF_GOLDEN)")


def released_model(task: str, seq_len: int, channels: int) -> CALF:
    """Return the tiny model of the released code for a task."""
    meta = json.loads((TINY / "meta.json").read_text())
    return CALF.from_release(
        TINY / f"{task}.pth",
        llm=TINY / "gpt2",
        word_embeddings=np.load(TINY / "wte_pca.npy"),
        task_name=task,
        seq_len=seq_len,
        channels=channels,
        **{name: meta[name] for name in ("gpt_layers", "lora_alpha", "lora_dropout")},
    )


@pytest.mark.parametrize("case", WINDOWS, ids=lambda case: f"{case['data']}-{case['seq_len']}-{case['split']}")
def test_windows_of_imputation_are_those_of_the_release_where_asked_for(case: dict[str, Any]) -> None:
    if not (DATASETS / case["file"]).is_file():
        pytest.skip(f"no {case['file']} under {DATASETS} (CALF_DATASETS)")
    names = {name: case[name] for name in ("data", "features", "target", "seq_len")}
    places = {"root_path": str(DATASETS), "data_path": case["file"]}
    data = load_hidden(ImputationConfig(**names, **places, imputation_protocol="release"), seed=0, tells=True)
    windows = data.windows[Split(case["split"])]
    assert len(windows) == case["windows"]
    np.testing.assert_allclose(data.scaler.mean_, case["scaler_mean"], rtol=1e-9)
    np.testing.assert_allclose(data.scaler.scale_, case["scaler_scale"], rtol=1e-9)
    for place in ("first", "middle", "final"):
        window, theirs = windows.window(case[place]["index"]), case[place]["x"]
        ours = [window.sum(), np.square(window).sum(), window.ravel()[0], window.ravel()[-1]]
        np.testing.assert_allclose(ours, [theirs[name] for name in ("sum", "sum_sq", "first", "last")], rtol=1e-9)


@pytest.fixture(scope="module")
def hidden() -> dict[str, Tensor]:
    """Windows x, the mask of what is seen, the input with zeros, and what the released model finds."""
    return {name: torch.from_numpy(array) for name, array in np.load(TASKS / "imputation_masked.npz").items()}


@pytest.fixture(scope="module")
def imputer(hidden: dict[str, Tensor]) -> CALF:
    return released_model("imputation", *hidden["x"].shape[1:])


MEANS = {"release": 1, "observed_mean": 0}


@pytest.mark.parametrize("mean", MEANS)
def test_hidden_values_are_found_as_by_the_release_with_either_mean(
    mean: str, hidden: dict[str, Tensor], imputer: CALF
) -> None:
    imputer.config = replace(imputer.config, mean_of_all=MEANS[mean])
    with torch.no_grad():
        output = imputer.branches(hidden["input"], visible=hidden["mask"])
    torch.testing.assert_close(output.forecast, hidden[f"y_hat_{mean}"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output.text_forecast, hidden[f"y_text_{mean}"], rtol=2e-5, atol=2e-5)
    recorded = json.loads((TASKS / "end_to_end.json").read_text())["imputation"]
    lost = hidden["mask"] == 0
    assert lost.float().mean().item() == pytest.approx(recorded["hidden_share"])
    error = (output.forecast - hidden["x"])[lost].double()
    assert error.square().mean().item() == pytest.approx(recorded[mean]["mse"], rel=1e-4)
    assert error.abs().mean().item() == pytest.approx(recorded[mean]["mae"], rel=1e-4)
    weights = lost * (lost.numel() / lost.sum())
    config = replace(imputer.config, task_loss="l1", output_loss="l1", feature_loss="l1")
    loss = calf_loss(config, output, hidden["x"], Masked(weights, hidden["input"], 1))
    assert loss.item() == pytest.approx(recorded["loss_l1"][mean], rel=1e-4)


def test_windows_do_not_depend_on_what_is_hidden_in_others(hidden: dict[str, Tensor], imputer: CALF) -> None:
    with torch.no_grad():
        whole = imputer(hidden["input"], visible=hidden["mask"]).forecast
        alone = imputer(hidden["input"][:1], visible=hidden["mask"][:1]).forecast
    torch.testing.assert_close(whole[:1], alone, rtol=1e-5, atol=1e-5)
