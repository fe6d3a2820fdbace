"""``scripts/forecast_onnx.py``: a forecast in a process that has numpy and onnxruntime alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_provider.reading import date_rule, future_dates
from exp.export import PACKAGES, main
from tests.helpers.shell import ROOT

# Whatever else is installed, or lies in this repository, cannot be imported.
ONLY = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        found = name.split(".")[0]
        if found in OTHERS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

OTHERS = {"torch", "transformers", "pandas", "sklearn", "onnx", "exp", "models", "utils", "data_provider", "layers"}
sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
import runpy
runpy.run_path(sys.argv[0], run_name="__main__")
assert not OTHERS & sys.modules.keys()
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A folder with the script, a graph, its description and a table, and nothing else."""
    for name in PACKAGES:
        pytest.importorskip(name, reason=f"{name} is missing: python -m pip install -r requirements-onnx.txt")
    folder = tmp_path_factory.mktemp("alone")
    (checkpoint,) = (trained / "checkpoints").iterdir()
    assert main(["--load", str(checkpoint), "--format", "onnx", "--output", str(folder)]) == 0
    for suffix in (".onnx", ".json"):
        (folder / f"{checkpoint.name}{suffix}").rename(folder / f"graph{suffix}")
    shutil.copy(trained / "data.csv", folder)
    shutil.copy(ROOT / "scripts" / "forecast_onnx.py", folder)
    return folder


def forecast(folder: Path, table: str = "data.csv", graph: str = "graph.onnx") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ONLY, "forecast_onnx.py", graph, table]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=120)


def test_it_forecasts_what_the_program_forecasts_with_the_same_dates_and_bounds(
    alone: Path, forecast_csv: Path
) -> None:
    done = forecast(alone)
    assert (done.returncode, done.stderr) == (0, "")
    (alone / "forecast.csv").write_text(done.stdout)
    found, expected = pd.read_csv(alone / "forecast.csv"), pd.read_csv(forecast_csv)
    assert len(found) == 6 * 3 and found["lower"].notna().all()
    pd.testing.assert_frame_equal(found, expected[list(found)], rtol=1e-5)


def changed(folder: Path, name: str, **values: Any) -> str:
    """Write a description with other values beside a copy of the graph; return its name."""
    shutil.copy(folder / "graph.onnx", folder / f"{name}.onnx")
    about = json.loads((folder / "graph.json").read_text())
    (folder / f"{name}.json").write_text(json.dumps(about | values))
    return f"{name}.onnx"


@pytest.mark.parametrize("frequency", ["15min", "h", "D", "2D", "W-SUN"])
def test_steps_of_one_length_go_on_as_the_program_goes_on(alone: Path, trained: Path, frequency: str) -> None:
    dates = pd.date_range("2024-02-25", periods=30, freq=frequency)
    table = pd.read_csv(trained / "data.csv").head(30).assign(date=dates)
    table.to_csv(alone / "table.csv", index=False)
    done = forecast(alone, "table.csv", changed(alone, "steps", dates=date_rule(frequency)))
    written = [line.split(",")[0] for line in done.stdout.splitlines()[1:7]]
    assert list(pd.to_datetime(written)) == list(future_dates(dates[-1], frequency, 6))
    assert (len(written[0]) == 10) == (frequency not in ("15min", "h"))


def test_steps_of_the_calendar_are_numbered_and_counted_rows_counted_on(alone: Path, trained: Path) -> None:
    monthly = forecast(alone, graph=changed(alone, "monthly", dates=date_rule("MS")))
    assert [line.split(",")[0] for line in monthly.stdout.splitlines()[1:7]] == ["+1", "+2", "+3", "+4", "+5", "+6"]
    pd.read_csv(trained / "data.csv").assign(date=range(0, 480, 2)).to_csv(alone / "counted.csv", index=False)
    counted = forecast(alone, "counted.csv", changed(alone, "counted", dates=date_rule("2")))
    assert [line.split(",")[0] for line in counted.stdout.splitlines()[1:4]] == ["480", "482", "484"]


def test_without_intervals_the_bounds_are_empty(alone: Path) -> None:
    done = forecast(alone, graph=changed(alone, "bare", intervals={}))
    assert all(line.endswith(",,") for line in done.stdout.splitlines()[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.head(20), "20 rows, the model looks back 24"),
        (lambda t: t.drop(columns="c1"), "'c1'"),
        (lambda t: t.assign(OT="much"), "'much'"),
        (lambda t: t.assign(OT=np.nan), "could not convert"),
        (lambda t: t.assign(date="yesterday"), "yesterday"),
    ],
)
def test_what_does_not_fit_ends_with_one_message(change: Any, message: str, alone: Path, trained: Path) -> None:
    change(pd.read_csv(trained / "data.csv")).to_csv(alone / "wrong.csv", index=False)
    done = forecast(alone, "wrong.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: graph.onnx, wrong.csv: ") and message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_graph_of_more_inputs_is_refused(alone: Path) -> None:
    done = forecast(alone, graph=changed(alone, "more", inputs={"x": {}, "known": {}}))
    assert done.returncode == 1
    assert "the graph takes x, known" in done.stderr
