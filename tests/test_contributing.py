"""CONTRIBUTING.md's model is one file and one row, and passes the tests of every model."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import run

ROOT = Path(run.__file__).parent
DEADLINE = 240  # seconds
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the program and its tests, without data and results."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("data_provider", "exp", "layers", "models", "tests", "utils"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_the_model_of_the_guide_is_one_file_and_one_row_and_conforms(copy: Path) -> None:
    model, row = CODE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    (copy / "models" / "nlinear.py").write_text(model, encoding="utf-8")
    registry = copy / "models" / "__init__.py"
    text = registry.read_text(encoding="utf-8")
    registry.write_text(text.replace("MODELS = {\n", f"MODELS = {{\n{row}", 1), encoding="utf-8")
    assert len(model.splitlines()) <= 40
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/models/test_conformance.py"]
    ended = subprocess.run(
        [*command, "-k", "NLinear"], cwd=copy, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"\d\d passed", ended.stdout)
