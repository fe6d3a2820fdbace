"""``--task_name anomaly_detection``: rows that a model cannot give back, scored beside what needs no network."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

import run
from exp.anomaly_detection import AnomalyDetection
from exp.anomaly_rivals import rivals
from tests.conftest import WriteCsv, hourly_table
from tests.helpers.commands import prepared, refused, succeed

FLAGS = ["--task_name", "anomaly_detection", "--model", "DLinear", "--device", "cpu", "--seq_len", "24", "--batch_size",
         "32", "--train_epochs", "5", "--learning_rate", "0.01"]  # fmt: skip
RIVALS = ["pca", "moving_z_score", "random"]


@pytest.fixture(autouse=True)
def short_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Average over fewer buffers: aeon takes seconds for all of them, however short a series is."""
    monkeypatch.setattr("utils.anomaly_scores.BUFFER", 10)


def planted(rows: int = 400) -> pd.DataFrame:
    """An hourly series whose c0 goes astray at row 300."""
    table = hourly_table(rows).assign(label=0)
    table.loc[300:309, "c0"] += 3
    table.loc[300:309, "label"] = 1
    return table


@pytest.fixture
def argv(workplace: Path, write_csv: WriteCsv) -> list[str]:
    return [*FLAGS, "--data_path", str(write_csv(planted()))]


def test_a_planted_anomaly_is_found_and_scored_beside_rivals(argv: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (record,) = succeed(argv)
    scores, metrics = record["scores"], record["scores"]["metrics"]
    assert list(metrics) == ["DLinear", *RIVALS]
    assert record["task"]["metrics"] == ["vus_pr", "auc_pr", "range_f", "f1", "pa_f1"]
    assert scores["auc_pr"] > 0.3 > metrics["random"]["auc_pr"]
    assert scores["vus_pr"] == metrics["DLinear"]["vus_pr"]
    assert "DLinear beats the random score: VUS-PR" in caplog.text
    assert "PA-F1* of chance" in caplog.text
    folder = Path("results") / record["run"]["setting"]
    rows = np.load(folder / "scores.npy")
    assert rows.shape == (200, 4)
    np.testing.assert_allclose(rows[:, 0], rows[:, 1:].mean(axis=1), rtol=1e-5)
    assert rows[100:110, 1].min() > np.median(rows[:, 1])
    assert len(list(Path("test_results").rglob("scores.png"))) == 1


def test_the_threshold_comes_from_training_and_validation_or_by_an_alarm_rate_from_validation(argv: list[str]) -> None:
    (record,) = succeed([*argv, "--anomaly_ratio", "5"])
    kept = load_file(next(Path("checkpoints").glob("anomaly*")) / "scores.safetensors")
    assert {name: len(values) for name, values in kept.items()} == {"train": 160, "validation": 40}
    expected = np.percentile(np.concatenate([*kept.values()]), 95)
    assert record["scores"]["threshold"] == pytest.approx(expected, rel=1e-5)
    assert run.main([*argv, "--anomaly_ratio", "5", "--alarm_rate", "0.1", "--des", "rate"]) == 0
    other = prepared([*argv, "--alarm_rate", "0.1"], AnomalyDetection)
    before = {"train": np.arange(100.0), "validation": np.arange(11.0)}
    assert other.threshold(before, np.arange(1000.0)) == pytest.approx(9)


def test_as_released_the_threshold_sees_the_test_rows_and_windows_overlap(argv: list[str]) -> None:
    experiment = prepared([*argv, "--anomaly_protocol", "release", "--anomaly_ratio", "10"], AnomalyDetection)
    starts, new = experiment.windows_of("test")
    assert len(starts) == 200 - 24 + 1 and (new == 24).all()
    before = {"train": np.zeros(90), "validation": np.zeros(5)}
    assert experiment.threshold(before, np.ones(10)) == pytest.approx(0.1, abs=1)
    assert experiment.data.parts["validation"] == [(160, 200)]
    assert experiment.data.parts["train"] == [(0, 200)]


def test_without_labels_a_run_says_how_many_rows_are_flagged_and_no_more(
    workplace: Path, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (record,) = succeed([*FLAGS, "--data_path", str(write_csv())])
    assert record["scores"]["vus_pr"] is None
    assert "test rows above the threshold" in caplog.text
    assert "nothing can be said of how good the scores are" in caplog.text


def test_a_later_test_gives_the_same_scores(argv: list[str]) -> None:
    (first,) = succeed(argv)
    (folder,) = Path("checkpoints").glob("anomaly*")
    assert run.main(["--is_training", "0", "--load", str(folder), "--device", "cpu"]) == 0
    (again,) = succeed(argv)
    assert again["scores"] == first["scores"]


def test_rivals_see_what_is_odd() -> None:
    time = torch.arange(400.0)
    values = torch.stack([torch.sin(time / 5), torch.cos(time / 5)], dim=1)
    test = values.clone()
    test[200] = torch.tensor([2.0, -2.0])
    for columns in (slice(None), slice(0, 1)):  # rows of several channels, windows of one
        found = rivals(values[:, columns], [(0, 400)], 20, seed=1)
        assert list(found) == RIVALS
        for name in ("pca", "moving_z_score"):
            scores = found[name](test[:, columns], [(0, 400)])
            assert len(scores) == 400 and scores[200] > np.quantile(scores, 0.9), name
        assert len(found["random"](test, [(0, 250), (250, 400)])) == 400


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--anomaly_ratio", "0"], "--anomaly_ratio 0: choose a number between 0 and 100"),
        (["--anomaly_ratio", "100"], "--anomaly_ratio 100: choose a number between 0 and 100"),
        (["--alarm_rate", "1"], "--alarm_rate 1: choose a number between 0 and 1"),
        (["--seq_len", "300"], "200 training rows, and a window takes 300"),
        (["--model", "Naive"], "--model Naive learns nothing"),
        (["--do_impute"], "--do_impute is for --task_name imputation, not for anomaly_detection"),
        (["--label_col", "nosuch"], "has no column 'nosuch' (--label_col)"),
    ],
)
def test_what_makes_no_sense_is_refused(
    more: list[str], message: str, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused([*argv, *more], capsys)


def test_a_dry_run_says_what_would_be_done(argv: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert run.main([*argv, "--dry_run"]) == 0
    assert "rows: train 160, validation 40, test 200; windows of 24, 4 training batches" in caplog.text
    assert "5.00% of the test rows are anomalous" in caplog.text
    assert not Path("results").exists()
