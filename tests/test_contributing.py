"""CONTRIBUTING.md's model is one file and one row, and passes the tests of every model."""

import multiprocessing
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.helpers.forked import ROOT, call

PACKAGES = ("data_provider", "exp", "layers", "models", "tests", "utils")
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the program and its tests, without data and results."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def conform() -> None:
    """Test the NLinear of the copy that is the working directory by what every model has to fulfil."""
    for name in [name for name in sys.modules if name.split(".")[0] in (*PACKAGES, "run")]:
        del sys.modules[name]
    sys.path.insert(0, str(Path.cwd()))
    from tests.helpers import forked

    # The server of processes does not know the copy: fork this process instead.
    forked._context, forked._ensure_server = multiprocessing.get_context("fork"), lambda: None
    assert Path.cwd() == forked.ROOT
    flags = ["-p", "no:cacheprovider", "--assert=plain", "tests/models/test_conformance.py", "-k", "NLinear"]
    assert pytest.main(flags) == 0


def test_the_model_of_the_guide_is_one_file_and_one_row_and_conforms(copy: Path) -> None:
    model, row = CODE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    (copy / "models" / "nlinear.py").write_text(model, encoding="utf-8")
    registry = copy / "models" / "__init__.py"
    text = registry.read_text(encoding="utf-8")
    registry.write_text(text.replace("MODELS = {\n", f"MODELS = {{\n{row}", 1), encoding="utf-8")
    assert len(model.splitlines()) <= 40
    call(copy, conform)
    assert re.search(r"\d\d passed", (copy / "said.txt").read_text(encoding="utf-8"))
