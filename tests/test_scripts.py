"""The shell scripts: every command line in them parses with the real parser and names a run of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import run
from data_provider.datasets import DATASETS

ROOT = Path(run.__file__).parent
LONG_TERM = sorted((ROOT / "scripts" / "long_term_forecasting").glob("*.sh"))
ALL = sorted((ROOT / "scripts").rglob("*.sh"))

# Instead of Python: of the runs, write the arguments down, one line a call.
STUB = """#!/bin/sh
[ "$1" = run.py ] || exit 0
for part in "$@"; do printf "%s\\t" "$part"; done >> "$CALLS"
echo >> "$CALLS"
"""

PUBLISHED = {  # batch, learning rate, epochs, patience, tmax, losses
    "ETTh1": (256, 5e-4, 100, 10, 20, "l1"),
    "ETTh2": (256, 5e-4, 100, 5, 20, "l1"),
    "ETTm1": (256, 5e-4, 100, 5, 20, "l1"),
    "ETTm2": (256, 1e-4, 100, 5, 20, "l1"),
    "weather": (64, 5e-4, 100, 5, 20, "smooth_l1"),
    "electricity": (32, 5e-4, 20, 5, 10, "smooth_l1"),
    "traffic": (8, 5e-4, 10, 5, 10, "smooth_l1"),
}


def calls(script: Path, folder: Path, *flags: str) -> list[list[str]]:
    """The argument lists with which ``script`` calls Python."""
    stub, record = folder / "python", folder / "calls"
    stub.write_text(STUB)
    stub.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(stub), "CALLS": str(record)}
    subprocess.run(["sh", str(script), *flags], env=environment, check=True, cwd=folder)
    return [line.split("\t")[:-1] for line in record.read_text().splitlines()]


@pytest.mark.parametrize("script", ALL, ids=lambda path: path.stem)
def test_is_valid_for_a_posix_shell(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_there_is_a_script_for_every_published_data_set() -> None:
    assert {script.stem for script in LONG_TERM} == PUBLISHED.keys()


@pytest.mark.parametrize("script", LONG_TERM, ids=lambda path: path.stem)
def test_runs_all_four_horizons_at_the_published_settings(script: Path, tmp_path: Path) -> None:
    parsed = [run.parse(call[1:]) for call in calls(script, tmp_path)]
    assert [args.pred_len for args, _ in parsed] == [96, 192, 336, 720]
    assert len({args.model_id for args, _ in parsed}) == 4
    for args, given in parsed:
        losses = {args.task_loss, args.output_loss, args.feature_loss}
        found = (args.batch_size, args.learning_rate, args.train_epochs, args.patience, args.tmax, *losses)
        assert found == PUBLISHED[script.stem]
        assert (args.data, args.seq_len, args.gpt_layers, args.cos) == (script.stem, 96, 6, 1)
        assert args.data in DATASETS
        assert run.idle_flags(args, given) == []


@pytest.mark.parametrize("script", LONG_TERM, ids=lambda path: path.stem)
def test_passes_extra_flags_on_and_lets_them_win(script: Path, tmp_path: Path) -> None:
    for call in calls(script, tmp_path, "--llm_init", "random", "--train_epochs", "1", "--des", "two words"):
        args, _ = run.parse(call[1:])
        assert (args.llm_init, args.train_epochs, args.des) == ("random", 1, "two words")


@pytest.mark.parametrize("script", ALL, ids=lambda path: path.stem)
def test_fixes_no_gpu_and_no_absolute_path(script: Path) -> None:
    text = script.read_text()
    assert not re.search(r"CUDA_VISIBLE_DEVICES=\S", text)
    assert not re.search(r"(^|[\s\"'=])/(data|home|work|mnt)", text)


@pytest.mark.parametrize("script", [*ALL, ROOT / ".ci" / "run"], ids=lambda path: path.stem)
def test_only_what_is_run_is_executable(script: Path) -> None:
    assert os.access(script, os.X_OK) == script.read_text().startswith("#!")


def test_the_quickstart_command_parses() -> None:
    text = (ROOT / "scripts" / "quickstart.sh").read_text()
    command = re.search(r'"\$python" run\.py (.*?) "\$@"', text.replace("\\\n", " "), re.DOTALL)
    assert command
    args, given = run.parse(command[1].split())
    assert (args.data, args.llm_init) == ("sample", "random")
    assert run.idle_flags(args, given) == []


def test_ci_calls_the_test_command() -> None:
    assert "exec sh scripts/test.sh" in (ROOT / ".ci" / "run").read_text()


def test_every_flag_the_readme_names_exists() -> None:
    known = {option for action in run.build_parser()._actions for option in action.option_strings}
    known |= {"--n_components", "--output"}
    named = set(re.findall(r"(?<![\w-])--[a-z_]+\b", (ROOT / "README.md").read_text()))
    assert named - known == set()


def test_the_interpreter_running_this_is_supported() -> None:
    assert sys.version_info >= (3, 11)
