"""``scripts/monthly.sh``: the newest file of a folder is forecast, for cron."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.helpers.shell import ROOT

SCRIPT = ROOT / "scripts" / "monthly.sh"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Path]:
    """A copy of the program, so that nothing is written into this one."""
    house = tmp_path / "house with a space"
    for room in ("exp", "models", "layers", "data_provider", "utils", "scripts"):
        shutil.copytree(ROOT / room, house / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("run.py", "requirements.txt"):
        shutil.copy(ROOT / file, house)
    return house


def monthly(house: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(house / "scripts" / "monthly.sh"), *map(str, arguments)]
    own = {**os.environ, "PYTHON": sys.executable, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=own, cwd=house.parent, capture_output=True, text=True, timeout=300)


def test_the_newest_file_is_forecast_into_a_file_of_today(
    house: Path, trained: Path, checkpoint: Path, forecast_csv: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "files of mine"
    folder.mkdir()
    shutil.copy(trained / "data.csv", folder / "b.csv")
    (folder / "a.csv").write_text("date,c0\n")
    os.utime(folder / "a.csv", (1, 1))
    before = date.today()
    done = monthly(house, os.path.relpath(checkpoint, house.parent), folder)
    assert done.returncode == 0, done.stderr
    (written,) = (house / "forecasts").iterdir()
    assert written.name in {f"{day}.csv" for day in (before, date.today())}
    assert written.read_text() == forecast_csv.read_text()
    assert f"forecast: {written}" in done.stdout


def test_nothing_is_written_where_the_forecast_fails(house: Path, checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.csv").write_text("date,c0\n2024-01-01,1\n")
    done = monthly(house, os.path.relpath(checkpoint, house.parent), folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert not (house / "forecasts").exists()


@pytest.mark.parametrize(("arguments", "message"), [((), "usage"), (("any", "."), "no CSV file in ")])
def test_a_wrong_call_is_told_in_one_line(house: Path, arguments: tuple[str, ...], message: str) -> None:
    done = monthly(house, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message) and done.stderr.count("\n") == 1
