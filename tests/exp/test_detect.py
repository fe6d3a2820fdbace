"""``--do_detect``: scores and flags for the rows of a file."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
from tests.conftest import WriteCsv, hourly_table
from tests.exp.test_anomaly_detection import FLAGS, planted, short_buffer
from tests.helpers.commands import refused

__all__ = ["short_buffer"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints for anomaly detection, trained on a file without labels."""
    folder = tmp_path_factory.mktemp("stored")
    hourly_table(500).to_csv(folder / "data.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main([*FLAGS, "--data_path", "data.csv"]) == 0
    return folder / "checkpoints"


@pytest.fixture
def trained(stored: Path, workplace: Path) -> Path:
    """A copy of the checkpoint."""
    shutil.copytree(stored, "checkpoints")
    return next(Path("checkpoints").glob("anomaly*"))


def test_rows_are_scored_flagged_and_listed(
    trained: Path, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = write_csv(planted(350).drop(columns="label"), "mine.csv")
    argv = ["--do_detect", "--load", str(trained), "--data_path", str(path), "--alarm_rate", "0.02", "--device", "cpu"]
    assert run.main([*argv, "--output", "found.csv"]) == 0
    found = pd.read_csv("found.csv")
    assert list(found) == ["date", "score", "flag", "column", "score c0", "score c1", "score OT"]
    assert len(found) == 350
    np.testing.assert_allclose(found["score"], found[["score c0", "score c1", "score OT"]].mean(axis=1), rtol=1e-4)
    assert found["flag"][300:310].mean() > 0.5 and (found["column"][300:310] == "c0").mean() > 0.5
    assert found["flag"].mean() < 0.3
    assert "about one false alarm in 50 rows, by 50 validation rows" in caplog.text
    assert "2024-01-13 12:00:00" in caplog.text
    assert next(Path("results").rglob("anomalies.png")).stat().st_size > 0
    assert next(Path("results").rglob("anomalies.csv")).read_bytes() == Path("found.csv").read_bytes()


def test_a_rarer_alarm_flags_fewer_rows_and_labels_are_compared(
    trained: Path, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = write_csv(planted(350), "mine.csv")
    flagged = []
    for rate in ("0.2", "0.001"):
        argv = ["--do_detect", "--load", str(trained), "--data_path", str(path), "--alarm_rate", rate]
        assert run.main([*argv, "--output", "found.csv", "--device", "cpu"]) == 0
        flagged.append(pd.read_csv("found.csv")["flag"].sum())
    assert flagged[0] > flagged[1] > 0
    assert "by its labels: precision" in caplog.text
    assert "cannot tell so rare an alarm" in caplog.text


def test_one_command_trains_on_the_first_rows_and_scores_all(workplace: Path, write_csv: WriteCsv) -> None:
    assert run.main([*FLAGS, "--data_path", str(write_csv(planted())), "--do_detect"]) == 0
    (path,) = Path("results").glob("anomaly*/anomalies.csv")
    assert len(pd.read_csv(path)) == 400


def test_what_cannot_be_scored_is_refused_with_one_message(
    trained: Path, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--do_detect", "--load", str(trained), "--device", "cpu", "--data_path"]
    assert "has 20 rows, and the model sees windows of 24" in refused([*argv, str(write_csv(rows=20))], capsys)
    other = write_csv(hourly_table(60).rename(columns={"c1": "elsewhere"}), "other.csv")
    assert "c1" in refused([*argv, str(other)], capsys)
    assert "does not exist" in refused([*argv, "nosuch.csv"], capsys)
    (trained / "scores.safetensors").unlink()
    assert "scores.safetensors is missing or damaged" in refused([*argv, str(write_csv())], capsys)
