"""``scripts/monthly.sh``: the newest file of a folder is forecast, for cron."""

import os
import shutil
from datetime import date
from pathlib import Path

import pytest

from tests.helpers.forked import finish, start
from tests.helpers.shell import ROOT, Shell

SCRIPT = Path("scripts", "monthly.sh")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the scripts, so that nothing is written beside them."""
    house = tmp_path / "house with a space"
    shutil.copytree(ROOT / "scripts", house / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", house)
    return house


@pytest.fixture
def shell(house: Path) -> Shell:
    """A folder that has the house in it, from which the script is called."""
    return Shell(house.parent)


def test_the_newest_file_is_forecast_into_a_file_of_today(
    house: Path, shell: Shell, trained: Path, checkpoint: Path, forecast_csv: Path
) -> None:
    folder = house.parent / "files of mine"
    folder.mkdir()
    shutil.copy(trained / "data.csv", folder / "b.csv")
    (folder / "a.csv").write_text("date,c0\n")
    os.utime(folder / "a.csv", (1, 1))
    before = date.today()
    done = shell.run(house / SCRIPT, os.path.relpath(checkpoint, house.parent), str(folder))
    assert done.returncode == 0, done.stderr
    (flags,) = shell.runs
    assert finish(start(house, flags)) == 0
    (written,) = (house / "forecasts").iterdir()
    assert written.name in {f"{day}.csv" for day in (before, date.today())}
    assert written.read_text() == forecast_csv.read_text()
    assert f"forecast: {written}" in (house / "said.txt").read_text()


def test_nothing_is_written_where_the_forecast_fails(house: Path, shell: Shell, checkpoint: Path) -> None:
    folder = house.parent / "files"
    folder.mkdir()
    (folder / "a.csv").write_text("date,c0\n2024-01-01,1\n")
    place = os.path.relpath(checkpoint, house.parent)
    assert shell.run(house / SCRIPT, place, str(folder), fail="run.py*", code=2).returncode == 2
    (flags,) = shell.runs
    assert finish(start(house, flags)) == 2
    assert (house / "said.txt").read_text().startswith("error: ")
    assert not (house / "forecasts").exists()


@pytest.mark.parametrize(("arguments", "message"), [((), "usage"), (("any", "."), "no CSV file in ")])
def test_a_wrong_call_is_told_in_one_line(house: Path, shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    done = shell.run(house / SCRIPT, *arguments)
    assert done.returncode == 2 and not shell.calls
    assert done.stderr.startswith(message) and done.stderr.count("\n") == 1
