"""Tasks without a forecast against the authors' released code: its windows, and its models on them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data_provider.anomaly import STEPS, RowWindows, every, load_anomalies
from data_provider.anomaly_config import AnomalyConfig
from data_provider.classification import load_classification
from data_provider.classification_config import ClassificationConfig
from data_provider.hidden import load_hidden
from data_provider.imputation_config import ImputationConfig
from data_provider.windows import Split
from exp.anomaly_detection import AnomalyDetection
from models.calf import CALF, calf_loss
from tests.helpers.commands import prepared
from tests.helpers.places import DATASETS, GOLDEN
from utils.anomaly_scores import adjusted, with_labels
from utils.class_scores import class_scores
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


# --- classification ---

CASES = json.loads((TASKS / "classification_windows.json").read_text())["cases"] if TASKS.is_dir() else []
STATISTICS = {"x": "release", "x_with_train_statistics": "holdout"}


def folder_of(data: str) -> Path:
    """Return where a pair of files lies; skip where it does not."""
    made, shipped = TASKS / "data" / "UEA" / data, DATASETS / "UEA" / data
    if not (made.is_dir() or shipped.is_dir()):
        pytest.skip(f"no UEA/{data} under {DATASETS} (CALF_DATASETS)")
    return made if made.is_dir() else shipped


def digests(x: np.ndarray) -> list[float]:
    return [x.sum(), np.square(x).sum(), x.ravel()[0], x.ravel()[-1]]


@pytest.mark.parametrize("key", STATISTICS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['data']}-{case['split']}")
def test_classification_has_the_cases_of_the_release_with_either_statistics(case: dict[str, Any], key: str) -> None:
    config = ClassificationConfig(
        data="custom", root_path=str(folder_of(case["data"])), classification_protocol=STATISTICS[key]
    )
    data = load_classification(config, seed=0)
    cases = data.train if case["split"] == "TRAIN" else data.splits[Split.TEST]
    assert cases.x.shape == (case["samples"], case["seq_len"], case["channels"])
    assert list(data.classes) == case["classes"]
    assert cases.classes.tolist() == case["labels"]
    assert cases.lengths.tolist() == case["lengths"]
    assert (max(case["lengths"]), sum(case["lengths"])) == (case["longest_of_this_split"], case["rows"])
    if case["split"] == "TRAIN":
        np.testing.assert_allclose(data.scaler.mean, case["mean"], rtol=1e-5)
        np.testing.assert_allclose(data.scaler.scale, case["std_ddof1"], rtol=1e-5)
    for place in ("first", "middle", "final"):
        theirs, ours = case[place][key], cases.x[case[place]["index"]].double().numpy()
        assert list(ours.shape) == theirs["shape"]
        np.testing.assert_allclose(digests(ours), [theirs[n] for n in ("sum", "sum_sq", "first", "last")], rtol=1e-5)
    if key == "x":
        whole = digests(cases.x.double().numpy())
        np.testing.assert_allclose(whole[1:], [case["all"][n] for n in ("sum_sq", "first", "last")], rtol=1e-5)
        assert whole[0] == pytest.approx(case["all"]["sum"], abs=1e-3)


LOGITS = {"logits": ("release", ""), "logits_with_train_statistics": ("holdout", "_with_train_statistics")}


@pytest.mark.parametrize("key", LOGITS)
def test_classification_has_the_logits_and_the_scores_of_the_release_with_either_statistics(key: str) -> None:
    recorded = {name: torch.from_numpy(array) for name, array in np.load(TASKS / "classification_logits.npz").items()}
    end_to_end = json.loads((TASKS / "end_to_end.json").read_text())["classification"]
    protocol, suffix = LOGITS[key]
    root = str(folder_of(end_to_end["data"]))
    config = ClassificationConfig(data="custom", root_path=root, classification_protocol=protocol)
    cases = load_classification(config, seed=0).splits[Split.TEST]
    if protocol == "release":
        torch.testing.assert_close(cases.x, recorded["x"], rtol=1e-5, atol=1e-5)
    assert torch.equal(cases.lengths, recorded["lengths"]) and torch.equal(cases.classes, recorded["labels"])
    model = released_model("classification", *cases.x.shape[1:])
    batch = cases.__getitems__(range(len(cases)))
    with torch.no_grad():
        logits = model.classify(batch.x, batch.visible).logits
    torch.testing.assert_close(logits, recorded[key], rtol=1e-5, atol=1e-5)
    assert logits.argmax(-1).tolist() == end_to_end[f"predicted{suffix}"]
    assert class_scores(batch.y.numpy(), logits.argmax(-1).numpy())["accuracy"] == end_to_end[f"accuracy{suffix}"]
    cross_entropy = torch.nn.functional.cross_entropy(logits, batch.y).item()
    assert cross_entropy == pytest.approx(end_to_end[f"cross_entropy{suffix}"], rel=1e-5)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == end_to_end["trainable_parameters"]


# --- anomaly detection ---

ANOMALY_WINDOWS = json.loads((TASKS / "anomaly_windows.json").read_text())["cases"] if TASKS.is_dir() else []


def released_anomalies(data: str, folder: str, seq_len: int, **options: Any) -> AnomalyConfig:
    return AnomalyConfig(
        data=data, root_path=str(TASKS / "data" / folder), seq_len=seq_len, anomaly_protocol="release", **options
    )


@pytest.mark.parametrize("case", ANOMALY_WINDOWS, ids=lambda c: f"{c['data']}-{c['seq_len']}-{c['split']}")
def test_windows_of_anomaly_detection_are_those_of_the_release_where_asked_for(case: dict[str, Any]) -> None:
    folder = case["folder"] if (TASKS / "data" / case["folder"]).is_dir() else "SWaT"
    data = load_anomalies(released_anomalies(case["data"], folder, case["seq_len"]))
    values = data.test if case["split"].startswith("test") else data.train
    part = {"val": "validation", "test, windows apart": "test"}.get(case["split"], case["split"])
    starts = every(data.parts[part], case["seq_len"], case["step"])
    assert len(starts) == case["windows"]
    np.testing.assert_allclose(data.scaler.mean_, case["scaler_mean"], rtol=1e-5)
    np.testing.assert_allclose(data.scaler.scale_, case["scaler_scale"], rtol=1e-5)
    assert case["step"] == (case["seq_len"] if "apart" in case["split"] else STEPS.get(case["data"], 1))
    windows = RowWindows(values, starts, case["seq_len"])
    for place in ("first", "middle", "final"):
        recorded = case[place]
        window = windows.__getitems__([recorded["index"]]).x[0].double().numpy()
        found = {"x": window}
        if "labels" in recorded:
            begin = int(starts[recorded["index"]])
            found["labels"] = data.rows.labels[begin : begin + case["seq_len"]].astype(float)
        for name, ours in found.items():
            theirs = recorded[name]
            digest = [ours.sum(), np.square(ours).sum(), ours.ravel()[0], ours.ravel()[-1]]
            expected = [theirs[key] for key in ("sum", "sum_sq", "first", "last")]
            np.testing.assert_allclose(digest, expected, rtol=1e-5, atol=1e-4, err_msg=f"{place} {name}")
    if "scored_points" in case and part == case["split"]:
        assert len(starts) * case["seq_len"] == case["scored_points"]


def test_threshold_flags_and_adjusted_scores_are_those_of_the_release() -> None:
    given = np.load(TASKS / "anomaly_scores.npz")
    train, test, labels = given["train_energy"], given["test_energy"], given["labels"] == 1
    for case in json.loads((TASKS / "anomaly_scores.json").read_text())["cases"]:
        threshold = np.percentile(np.concatenate([train, test]), 100 - case["anomaly_ratio"])
        assert threshold == pytest.approx(case["threshold"], rel=1e-6)
        flags = test > threshold
        assert flags.sum() == case["flagged"]
        for name, found in {
            "unadjusted": flags,
            "adjusted": adjusted(flags, labels, released=True),
            "adjusted_whole_segments": adjusted(flags, labels),
        }.items():
            assert with_labels(found, labels) == pytest.approx(case[name]), name
            assert found.sum() == case.get(f"flagged_{name}", case["flagged"] if name == "unadjusted" else None)


END_TO_END = json.loads((TASKS / "end_to_end.json").read_text()) if TASKS.is_dir() else {"anomaly_detection": []}


@pytest.mark.parametrize("case", END_TO_END["anomaly_detection"], ids=lambda c: f"{c['data']}-{c['anomaly_ratio']:g}")
def test_anomalies_are_scored_end_to_end_as_by_the_release(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = TASKS / "data" / case["data"]
    argv = ["--task_name", "anomaly_detection", "--data", case["data"], "--root_path", str(root), "--model", "DLinear"]
    argv += ["--seq_len", str(case["seq_len"]), "--anomaly_protocol", "release", "--device", "cpu"]
    argv += ["--anomaly_ratio", str(case["anomaly_ratio"])]
    experiment = prepared(argv, AnomalyDetection)
    experiment.model = released_model("anomaly_detection", case["seq_len"], experiment.data.train.shape[1])
    train = experiment.energies("train")
    windows = experiment.windows_of("test")
    test = np.concatenate([e.mean(axis=1) for e in experiment.errors(experiment.data.test, windows, "test")])
    assert (len(train) + len(test), len(test)) == (case["energies"], case["test_energies"])
    assert train.sum(dtype=float) == pytest.approx(case["train_energy_sum"], rel=1e-4)
    theirs = case["test_energy"]
    digest = [test.sum(dtype=float), np.square(test.astype(float)).sum(), test[0], test[-1]]
    np.testing.assert_allclose(digest, [theirs[k] for k in ("sum", "sum_sq", "first", "last")], rtol=2e-4)
    threshold = experiment.threshold({"train": train, "validation": train[:1]}, test)
    assert threshold == pytest.approx(case["threshold"], rel=1e-4)
    flags, labels = test > threshold, experiment._labels()
    assert labels.sum() == case["anomalous_test_points"]
    exact = len(test) < 10_000  # in the larger case some energies lie within 1e-6 of the threshold
    assert flags.sum() == pytest.approx(case["flagged"], rel=0 if exact else 2e-3)
    for name, found in {
        "unadjusted": flags,
        "adjusted": adjusted(flags, labels, released=True),
        "adjusted_whole_segments": adjusted(flags, labels),
    }.items():
        assert with_labels(found, labels) == pytest.approx(case[name], rel=1e-9 if exact else 5e-3), name
