"""The project installed: a command ``calf`` and ``from calf import Forecaster``, from any folder."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import run
from exp.flags import build_parser
from tests.test_architecture import ROOMS, ROOT, SOURCES
from utils.command import typed

ROOMS_INSTALLED = ROOMS.keys() - {"scripts"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel holds, and nothing of the source beside it."""
    pytest.importorskip("setuptools", minversion="77")  # as pyproject.toml asks
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in (*ROOMS, "tests"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / f"{name}.py", source)
    for name in ("pyproject.toml", "requirements.txt", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=source, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    wheel.unlink()
    return folder


def test_an_installation_holds_every_module_and_file_that_the_project_uses(installed: Path) -> None:
    there = {path.relative_to(installed) for path in installed.rglob("*") if "dist-info" not in str(path)}
    parts = {path.relative_to(ROOT) for name, path in SOURCES.items() if name.split(".")[0] in ROOMS_INSTALLED}
    assert {path for path in there if path.suffix == ".py"} == parts
    tables = {path.relative_to(ROOT) for room in ROOMS_INSTALLED for path in (ROOT / room).rglob("*.csv")}
    assert {path for path in there if path.suffix == ".csv"} == tables != set()


def test_an_installation_asks_for_what_requirements_txt_names_and_offers_extras(installed: Path) -> None:
    (metadata,) = installed.glob("*.dist-info/METADATA")
    lines = metadata.read_text().splitlines()
    required = [Requirement(line.removeprefix("Requires-Dist: ")) for line in lines if line.startswith("Requires-Dist")]
    listed = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = {Requirement(line) for line in listed if line[:1] not in ("", "#")}
    assert {one for one in required if one.marker is None} == wanted
    extras = {line.split(": ")[1] for line in lines if line.startswith("Provides-Extra: ")}
    assert extras == {"holidays", "statsforecast", "onnx"}


def test_every_extra_has_a_lower_and_an_upper_bound() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert all(">=" in one and ",<" in one for group in extras.values() for one in group)


def start(installed: Path, cwd: Path, *code: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the installation on its path, from a folder that has nothing of the project."""
    return subprocess.run(
        [sys.executable, *code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_installed_command_answers_in_its_own_name_from_any_folder(installed: Path, tmp_path: Path) -> None:
    script = tmp_path / "calf"
    script.write_text("import sys\nfrom run import main\nsys.exit(main())\n")
    helped = start(installed, tmp_path, str(script), "--model", "PatchTST", "--help")
    assert helped.returncode == 0
    assert helped.stdout.startswith("usage: calf [flags]") and "  calf --data_path sales.csv" in helped.stdout
    assert "--patch_len" in helped.stdout and "run.py" not in helped.stdout
    refused = start(installed, tmp_path, str(script), "--modle", "CALF")
    assert refused.returncode == 2 and refused.stderr.endswith("See calf --help.\n")


def test_importing_what_users_import_is_light_until_it_is_used(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys, calf; assert 'torch' not in sys.modules; from calf import Forecaster, UserError; "
        "print(Forecaster.__module__, UserError.__module__); import run; print(run.__file__)"
    )
    said = start(installed, tmp_path, "-c", code)
    assert said.stdout == f"exp.forecaster utils.errors\n{installed / 'run.py'}\n", said.stderr


def test_what_calf_does_not_offer_is_no_attribute_of_it() -> None:
    import calf

    assert set(calf.__all__) == set(calf.PLACES)
    with pytest.raises(AttributeError, match="has no attribute 'Forecast'"):
        _ = calf.Forecast


@pytest.mark.parametrize(
    ("started", "shown"),
    [("/usr/bin/calf", "calf --seed 1"), ("C:/calf.exe", "calf --seed 1"), ("run.py", "python run.py --seed 1")],
)
def test_a_command_is_shown_as_it_was_started(started: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [started, "--seed", "1"])
    assert typed("run.py", None) == shown
    assert build_parser()[0].usage.startswith(shown.removesuffix(" --seed 1"))


def test_the_command_is_the_main_of_run() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"calf": "run:main"} and callable(run.main)
