"""What an addition costs: a task is its experiment and a row, a data set of another format its reader and a row."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import run
from data_provider.config import DataConfig, data_file
from data_provider.datasets import CSV, DATASETS, DatasetSpec
from data_provider.reading import Frame
from data_provider.windows import Split
from exp.experiments import TASKS, Task
from exp.long_term_forecast import LongTermForecast
from tests.helpers.commands import succeed
from utils.results import RECORD
from utils.tables import __main__ as tables

FLAGS = ["--model", "DLinear", "--seq_len", "24", "--pred_len", "8", "--train_epochs", "1", "--device", "cpu"]


class LastStep(LongTermForecast):
    """A task that scores the last step of each window alone."""

    def test(self) -> list[dict[str, Any]]:
        predictor = self.predictor(len(self.data.columns))
        errors = [
            (forecast[:, -1] - batch.y[:, -1]).abs().mean().item()
            for batch, forecast in predictor.batches(self.data, self.data.windows[Split.TEST], "test")
        ]
        scores = {"last_step_mae": float(np.mean(errors))}
        path = self.config.results / RECORD
        record = self.record(path, {**scores, "metrics": {self.config.model: scores}})
        self.save(path, record, [f"last step: {scores['last_step_mae']:.4f}"], [])
        return [record]


def read_array(config: DataConfig, spec: DatasetSpec) -> Frame:
    """Read a data set that is an array of numbers in an ``.npy`` file."""
    path = data_file(config, spec)
    values = np.load(path)
    dates = pd.date_range("2024-01-01", periods=len(values), freq="h")
    return Frame(dates, values, ("left", "OT"), str(path), "h")


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a new task."""
    row = Task(f"{__name__}:LastStep", "Forecasting the last step", ("last_step_mae",), {CSV: CSV}, "sample")
    monkeypatch.setitem(TASKS, "last_step", row)
    return "last_step"


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> str:
    """The name of a new data set, which is on disk."""
    monkeypatch.setenv("CALF_DATASETS", str(workplace / "data"))
    monkeypatch.setitem(DATASETS, "arrays", DatasetSpec("arrays", "numbers.npy", read=f"{__name__}:read_array"))
    (workplace / "data" / "arrays").mkdir(parents=True)
    steps = np.arange(400)[:, None]
    np.save(workplace / "data" / "arrays" / "numbers.npy", np.sin(steps / 4 + [0, 1]) + 0.01 * steps)
    return "arrays"


def test_a_task_is_its_experiment_and_one_row(task: str, workplace: Path, caplog: pytest.LogCaptureFixture) -> None:
    (record,) = succeed([*FLAGS, "--task_name", task])
    assert record["task"] == {"name": task, "title": "Forecasting the last step", "metrics": ["last_step_mae"]}
    assert "last step: 0." in Path(f"results_{task}.txt").read_text()
    assert run.main([*FLAGS, "--task_name", task]) == 0
    assert "is finished; --overwrite repeats it" in caplog.text
    assert f"last_step_mae:{record['scores']['last_step_mae']:.4f}" in caplog.text
    assert tables.main([]) == 0
    shown = next(workplace.glob("results/*.md")).read_text()
    section = shown[shown.index("## Forecasting the last step") :]
    assert f"{record['scores']['last_step_mae']:.4f} | 24 | 400 | 1 | DLinear" in section


def test_flags_of_files_and_of_the_future_are_refused_where_a_task_is_not_of_one_series(
    task: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main([*FLAGS, "--task_name", task, "--do_predict"]) == 2
    assert "--do_predict is for --task_name long_term_forecast, not for last_step" in capsys.readouterr().err


def test_a_data_set_of_another_format_is_its_reader_and_one_row(arrays: str, workplace: Path) -> None:
    (record,) = succeed([*FLAGS, "--data", arrays, "--do_predict"])
    assert record["data"]["name"] == arrays
    assert record["data"]["config"]["file"] == str(workplace / "data" / "arrays" / "numbers.npy")
    (forecast,) = workplace.glob("results/*/forecast.csv")
    assert list(pd.read_csv(forecast)["column"].unique()) == ["left", "OT"]
