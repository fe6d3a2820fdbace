"""How the scripts find or make the Python they run: with stand-ins for interpreters, without network."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import run

ROOT = Path(run.__file__).parent

# Writes every call down with the folder it was made in; where it is broken, files say so.
STUB = """#!/bin/sh
[ "$1" != -c ] || exit 0
[ "$1" != - ] || exit "${LACKS_PACKAGES:-0}"
echo "${PWD##*/} ${0##*/} $* cuda=${CUDA_VISIBLE_DEVICES-any}" >> "$CALLS"
case "$*" in
    "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; [ ! -e broken-venv ] ;;
    "-m pip --version") [ ! -e .venv/without-pip ] ;;
    "-m pip install"*) [ ! -e broken-install ] ;;
    "-m pytest"*) exit "${PYTEST_CODE:-0}" ;;
esac
"""

Script = Callable[..., subprocess.CompletedProcess[str]]


def interpreter(path: Path, text: str = STUB) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The scripts and requirements in a folder of their own, beside a ``bin`` with one interpreter."""
    house = tmp_path / "house"
    shutil.copytree(ROOT / "scripts", house / "scripts")
    shutil.copytree(ROOT / ".ci", house / ".ci")
    for file in ROOT.glob("requirements*.txt"):
        shutil.copy(file, house)
    interpreter(tmp_path / "bin" / "python3")
    return house


@pytest.fixture
def script(house: Path) -> Script:
    """Run a script of the house with the stand-ins first on the path."""

    def call(
        name: str, *flags: str, shell: str = "sh", cwd: Path = house, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "CDPATH")}
        environment |= {"PATH": f"{house.parent / 'bin'}:/usr/bin:/bin", "CALLS": str(house / "calls")}
        return subprocess.run(
            [shell, os.path.relpath(house / name, cwd), *flags],
            env=environment | variables,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return call


def calls(house: Path, part: str) -> list[str]:
    """The recorded calls that contain ``part``."""
    record = house / "calls"
    return [line for line in record.read_text().splitlines() if part in line] if record.exists() else []


def test_makes_and_installs_once_for_all_scripts_of_a_kind(house: Path, script: Script) -> None:
    for name in ("scripts/quickstart.sh", "scripts/quickstart.sh", "scripts/long_term_forecasting/ETTh1.sh"):
        assert script(name).returncode == 0
    assert len(calls(house, "-m venv")) == len(calls(house, "-m pip install")) == 1
    assert len(calls(house, "python run.py")) == 1 + 1 + 4


def test_installs_again_when_the_requirements_change(house: Path, script: Script) -> None:
    script("scripts/quickstart.sh")
    (house / "requirements.txt").write_text("torch==99\n")
    script("scripts/quickstart.sh")
    assert (len(calls(house, "-m venv")), len(calls(house, "-m pip install"))) == (1, 2)


def test_makes_a_half_made_environment_anew(house: Path, script: Script) -> None:
    interpreter(house / ".venv" / "bin" / "python")
    (house / ".venv" / "without-pip").touch()
    assert script("scripts/quickstart.sh").returncode == 0
    assert len(calls(house, "-m venv --clear")) == 1
    assert not (house / ".venv" / "without-pip").exists()


def test_leaves_nothing_where_no_environment_can_be_made(house: Path, script: Script) -> None:
    (house / "broken-venv").touch()
    result = script("scripts/quickstart.sh")
    assert result.returncode != 0
    assert "apt install python3-venv" in result.stderr
    assert not (house / ".venv").exists()
    (house / "broken-venv").unlink()
    assert script("scripts/quickstart.sh").returncode == 0


def test_goes_on_with_a_failed_installation(house: Path, script: Script) -> None:
    (house / "broken-install").touch()
    result = script("scripts/quickstart.sh")
    assert result.returncode != 0
    assert "run the script again" in result.stderr
    assert not calls(house, "run.py")
    (house / "broken-install").unlink()
    assert script("scripts/quickstart.sh").returncode == 0
    assert len(calls(house, "-m pip install")) == 2


@pytest.mark.parametrize("made", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("name", ["scripts/quickstart.sh", "scripts/test.sh", "scripts/long_term_forecasting/ETTh1.sh"])
@pytest.mark.parametrize("text", [None, "#!/bin/sh\nexit 1\n"], ids=["missing", "too-old"])
def test_refuses_a_chosen_python_by_name(house: Path, script: Script, name: str, text: str | None, made: bool) -> None:
    if made:
        interpreter(house / ".venv" / "bin" / "python")
    chosen = house.parent / "chosen-python"
    if text:
        interpreter(chosen, text)
    result = script(name, PYTHON=str(chosen))
    assert result.returncode != 0
    assert f"PYTHON={chosen} does not run or is older than 3.11" in result.stderr
    assert not calls(house, "")


def test_makes_the_environment_with_the_chosen_python_or_says_that_it_is_made(house: Path, script: Script) -> None:
    chosen = interpreter(house.parent / "chosen-python")
    assert "delete it" not in script("scripts/quickstart.sh", PYTHON=str(chosen)).stdout
    assert len(calls(house, "chosen-python -m venv")) == 1
    assert f"delete it to have it made with {chosen}" in script("scripts/quickstart.sh", PYTHON=str(chosen)).stdout


def test_passes_over_interpreters_that_are_too_old(house: Path, script: Script) -> None:
    interpreter(house.parent / "bin" / "python3", "#!/bin/sh\nexit 1\n")
    interpreter(house.parent / "bin" / "python3.14")
    assert script("scripts/quickstart.sh").returncode == 0
    assert len(calls(house, "python3.14 -m venv")) == 1


@pytest.mark.parametrize("lacks", ["0", "1"])
def test_takes_an_active_environment_only_with_its_packages(house: Path, script: Script, lacks: str) -> None:
    interpreter(house.parent / "bin" / "python")
    assert script("scripts/long_term_forecasting/ETTh1.sh", LACKS_PACKAGES=lacks).returncode == 0
    assert len(calls(house, "-m venv")) == int(lacks)


@pytest.mark.parametrize(
    ("requirements", "found"),
    [
        ("# why\ntorch>=2\nhuggingface_hub>=1.0,<9\n\npandas\n", True),
        ("torch==1.0\n", False),
        ("torch>=2\nno-such-package\n", False),
    ],
)
def test_checks_packages_and_their_versions(tmp_path: Path, requirements: str, found: bool) -> None:
    (tmp_path / "requirements.txt").write_text(requirements)
    command = f'. "{ROOT}/scripts/environment.sh"; has_packages "{sys.executable}"'
    assert (subprocess.run(["sh", "-c", command], cwd=tmp_path).returncode == 0) is found


def test_an_interpreter_below_3_11_is_not_supported(tmp_path: Path) -> None:
    # The check itself, by a Python that believes to be 3.10.
    old = interpreter(
        tmp_path / "python",
        f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 10, 9); exec(sys.argv[1])" "$2"\n',
    )
    for python, code in ((old, 1), (sys.executable, 0)):
        command = f'. "{ROOT}/scripts/environment.sh"; supported "{python}"'
        assert subprocess.run(["sh", "-c", command]).returncode == code


@pytest.mark.parametrize(
    "name", ["scripts/quickstart.sh", "scripts/test.sh", "scripts/long_term_forecasting/ETTh1.sh", ".ci/run"]
)
def test_runs_in_the_root_wherever_it_is_called_from(house: Path, script: Script, name: str) -> None:
    # A folder on CDPATH with the same names must not attract `cd`.
    decoy = house.parent / "decoy"
    for folder in ("scripts/long_term_forecasting", ".ci"):
        (decoy / folder).mkdir(parents=True)
    for cwd in (house, house.parent, (house / name).parent):
        result = script(name, cwd=cwd, CDPATH=str(decoy))
        assert result.returncode == 0, result.stderr
    assert calls(house, "") == calls(house, "house ")


def test_the_tests_see_no_gpu(house: Path, script: Script) -> None:
    assert script("scripts/test.sh", "-x", CUDA_VISIBLE_DEVICES="0").returncode == 0
    assert calls(house, "-m pytest") == ["house python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -x cuda="]


@pytest.mark.parametrize("code", ["0", "1", "5"])
def test_ci_gives_the_exit_code_of_the_tests(house: Path, script: Script, code: str) -> None:
    assert script(".ci/run", shell="bash", PYTEST_CODE=code).returncode == int(code)
    assert [call.split(" cuda")[0] for call in calls(house, "-m ruff")] == [
        "house python -m ruff check .",
        "house python -m ruff format --check .",
    ]


def test_the_quickstart_prints_nothing_after_the_run(house: Path, script: Script) -> None:
    script("scripts/quickstart.sh")
    result = script("scripts/quickstart.sh", "--dry_run")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert "--dry_run" in calls(house, "run.py")[-1]
