"""The shell scripts: every command line in them parses with the real parser and names a run of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import models
import pca
from data_provider import download
from data_provider.datasets import DATASETS
from exp.config import RunConfig
from exp.flags import build_parser, lines_of_idle_flags, parse
from exp.options import Command
from scripts import search_recipe
from scripts.benchmark import Options
from tests.helpers.shell import ROOT, Shell, values_of
from utils.flags import flags_of, given_for
from utils.m4.patterns import PATTERNS
from utils.tables import __main__ as tables

LONG_TERM, FEW_SHOT, ZERO_SHOT = (
    sorted((ROOT / "scripts" / f"{task}_forecasting").glob("*.sh")) for task in ("long_term", "few_shot", "zero_shot")
)
PEERS = sorted(path for path in (ROOT / "scripts" / "peers").glob("*.sh") if path.stem != "common")
FOUR_HORIZONS = [*LONG_TERM, *FEW_SHOT, *ZERO_SHOT]
M4 = ROOT / "scripts" / "short_term_forecasting" / "m4.sh"
ALL = sorted((ROOT / "scripts").rglob("*.sh"))

PUBLISHED = {  # batch, learning rate, epochs, patience, tmax, losses
    "ETTh1": (256, 5e-4, 100, 10, 20, "l1"),
    "ETTh2": (256, 5e-4, 100, 5, 20, "l1"),
    "ETTm1": (256, 5e-4, 100, 5, 20, "l1"),
    "ETTm2": (256, 1e-4, 100, 5, 20, "l1"),
    "weather": (64, 5e-4, 100, 5, 20, "smooth_l1"),
    "electricity": (32, 5e-4, 20, 5, 10, "smooth_l1"),
    "traffic": (8, 5e-4, 10, 5, 10, "smooth_l1"),
}
SETTINGS = {
    "long_term": PUBLISHED,
    "few_shot": {**PUBLISHED, "weather": (64, 1e-4, 100, 5, 20, "smooth_l1")},
    "zero_shot": {  # from ETTm1 and ETTm2: ours
        "ETTh1": (256, 1e-3, 5, 1, 20, "l1"),
        "ETTh2": (256, 1e-4, 100, 1, 20, "l1"),
        "ETTm1": (256, 5e-4, 100, 1, 20, "l1"),
        "ETTm2": (256, 1e-4, 100, 1, 20, "l1"),
    },
}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def name_of(script: Path) -> str:
    return script.relative_to(ROOT).as_posix()


def idle(flags: list[str]) -> list[str]:
    """Return what is said of the flags of a run that have no effect."""
    given = parse(flags)
    return list(lines_of_idle_flags(RunConfig.from_flags(given), Command(**given_for(Command, given)), given))


def task_of(script: Path) -> str:
    return script.parent.name.removesuffix("_forecasting")


@pytest.mark.parametrize("script", ALL, ids=name_of)
def test_is_valid_for_a_posix_shell(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_there_is_a_script_for_every_published_data_set() -> None:
    assert {(task_of(script), script.stem) for script in FOUR_HORIZONS} == {
        (task, data) for task, by_data in SETTINGS.items() for data in by_data
    }


@pytest.mark.parametrize("script", FOUR_HORIZONS, ids=name_of)
def test_runs_all_four_horizons_at_the_published_settings(script: Path, shell: Shell) -> None:
    shell.run(script).check_returncode()
    parsed = shell.parsed
    assert [args.pred_len for args in parsed] == [96, 192, 336, 720]
    assert len({args.model_id for args in parsed}) == 4
    for args in parsed:
        losses = {args.task_loss, args.output_loss, args.feature_loss}
        found = (args.batch_size, args.learning_rate, args.train_epochs, args.patience, args.tmax, *losses)
        assert found == SETTINGS[task_of(script)][script.stem]
        assert (args.task_name, args.data, args.seq_len) == ("long_term_forecast", script.stem, 96)
        assert (args.gpt_layers, args.cos, args.seed) == (6, 1, 2021)
        assert (args.task_w, args.output_w, args.feature_w) == (1, 1, 0.01)
        assert args.percent == (10 if task_of(script) == "few_shot" else 100)
        assert args.zero_shot == (task_of(script) == "zero_shot")
        assert args.data in DATASETS


def test_every_script_of_a_peer_is_that_of_a_model() -> None:
    assert {script.stem for script in PEERS} <= models.MODELS.keys() - {"CALF"}


@pytest.mark.parametrize("script", PEERS, ids=name_of)
def test_a_peer_runs_the_named_data_sets_at_four_horizons(script: Path, shell: Shell) -> None:
    shell.run(script, "ETTm2", "traffic", "--des", "two words").check_returncode()
    runs = [(args.data, args.pred_len) for args in shell.parsed]
    assert runs == [(data, pred_len) for data in ("ETTm2", "traffic") for pred_len in (96, 192, 336, 720)]
    for args in shell.parsed:
        assert (args.model, args.task_name, args.seq_len) == (script.stem, "long_term_forecast", 96)
        assert (args.des, args.seed) == ("two words", 2021)


@pytest.mark.parametrize("script", [LONG_TERM[0], PEERS[0]], ids=name_of)
def test_runs_the_horizons_it_is_told(script: Path, shell: Shell) -> None:
    shell.run(script, *(["ETTh1"] if script in PEERS else []), HORIZONS="96 720")
    assert [args.pred_len for args in shell.parsed] == [96, 720]


def test_a_peer_runs_every_data_set_on_disk(shell: Shell) -> None:
    shell.run(PEERS[0], present=["ETTh1", "illness", "m4/Yearly", "weather"]).check_returncode()
    assert {args.data for args in shell.parsed} == {"ETTh1", "weather"}


@pytest.mark.parametrize(
    ("model", "pred_len", "settings"),
    [
        ("PatchTST", 96, {"e_layers": 1, "n_heads": 2, "d_model": 512, "d_ff": 2048, "batch_size": 32}),
        ("PatchTST", 720, {"e_layers": 1, "n_heads": 16, "lradj": "type2", "decay_fac": 0.5, "cos": 0}),
        ("iTransformer", 96, {"e_layers": 2, "d_model": 256, "d_ff": 256, "n_heads": 8, "marks": 1}),
        ("iTransformer", 336, {"d_model": 512, "d_ff": 512, "learning_rate": 1e-4}),
        ("TimesNet", 192, {"e_layers": 2, "d_model": 16, "d_ff": 32, "top_k": 5, "num_kernels": 6, "marks": 1}),
        ("PAttn", 96, {"d_model": 768, "batch_size": 512, "learning_rate": 5e-5, "task_loss": "l1", "tmax": 20}),
        ("GPT4TS", 96, {"gpt_layers": 6, "patch_len": 16, "stride": 8, "learning_rate": 1e-4}),
        ("DLinear", 96, {"batch_size": 32, "train_epochs": 10, "patience": 3, "moving_avg": 25}),
    ],
)
def test_a_peer_trains_on_etth1_by_its_published_settings(
    model: str, pred_len: int, settings: dict[str, object], shell: Shell
) -> None:
    shell.run(ROOT / "scripts" / "peers" / f"{model}.sh", "ETTh1").check_returncode()
    (found,) = (vars(args) for args in shell.parsed if args.pred_len == pred_len)
    assert settings.items() <= found.items()


@pytest.mark.parametrize("script", [*FOUR_HORIZONS, *PEERS, M4], ids=name_of)
def test_gives_no_flag_that_has_no_effect(script: Path, shell: Shell) -> None:
    shell.run(script, *(("ETTh1", "ETTm1", "weather", "traffic") if script in PEERS else ()))
    assert shell.runs
    assert [line for flags in shell.runs for line in idle(flags)] == []


@pytest.mark.parametrize("script", ZERO_SHOT, ids=name_of)
def test_zero_shot_is_tested_on_the_three_other_data_sets(script: Path, shell: Shell) -> None:
    shell.run(script)
    for args in shell.parsed:
        targets = args.target_data.split(",")
        assert sorted([*targets, script.stem]) == [other.stem for other in ZERO_SHOT]


def test_m4_runs_every_pattern_at_the_published_settings(shell: Shell) -> None:
    shell.run(M4).check_returncode()
    parsed = shell.parsed
    assert [args.seasonal_patterns for args in parsed] == list(PATTERNS)
    assert [args.model_id for args in parsed] == [f"m4_{name}" for name in PATTERNS]
    for args in parsed:
        assert (args.task_name, args.data, args.gpt_layers) == ("short_term_forecast", "m4", 6)
        assert (args.batch_size, args.learning_rate, args.train_epochs) == (512, 1e-3, 200)
        assert (args.patience, args.tmax, args.cos) == (20, 20, 1)
        assert (args.task_loss, args.output_loss, args.feature_loss) == ("smape", "mase", "smooth_l1")


def test_m4_runs_the_patterns_it_is_told(shell: Shell) -> None:
    shell.run(M4, PATTERNS="Weekly Hourly")
    assert [args.seasonal_patterns for args in shell.parsed] == ["Weekly", "Hourly"]


@pytest.mark.parametrize("script", [*FOUR_HORIZONS, M4], ids=name_of)
def test_passes_extra_flags_on_and_lets_them_win(script: Path, shell: Shell) -> None:
    shell.run(script, "--llm_init", "random", "--train_epochs", "1", "--des", "two words", "--seed", "5")
    assert len(shell.runs) >= 4
    for args in shell.parsed:
        assert (args.llm_init, args.train_epochs, args.des, args.seed) == ("random", 1, "two words", 5)


@pytest.mark.parametrize("script", [LONG_TERM[0], M4], ids=name_of)
def test_repeats_each_run_with_the_seeds_it_is_told(script: Path, shell: Shell) -> None:
    shell.run(script, SEEDS="3 4")
    runs = shell.parsed
    assert [args.seed for args in runs] == [3, 4] * (len(runs) // 2)
    assert [args.model_id for args in runs[::2]] == [args.model_id for args in runs[1::2]]


@pytest.mark.parametrize("script", [LONG_TERM[0], M4], ids=name_of)
def test_stops_at_the_first_failure(script: Path, shell: Shell) -> None:
    assert shell.run(script, fail="run.py*", code=3).returncode == 3
    assert len(shell.runs) == 1


def test_notes_failures_and_goes_on_where_there_is_a_file_for_them(shell: Shell, tmp_path: Path) -> None:
    failures = tmp_path / "failures"
    done = shell.run(LONG_TERM[0], "--lora", "0", fail="*--pred_len [13]*", code=3, FAILURES=str(failures))
    assert done.returncode == 0
    assert len(shell.runs) == 4
    lines = failures.read_text().splitlines()
    assert [re.search(r"--pred_len (\d+)", line)[1] for line in lines] == ["192", "336"]
    assert all(re.fullmatch(r"exit code 3: \S+/python run\.py --is_training 1 .* --lora 0", line) for line in lines)


@pytest.mark.parametrize("code", [130, 143])
def test_stops_when_a_run_is_stopped_by_hand(shell: Shell, tmp_path: Path, code: int) -> None:
    failures = tmp_path / "failures"
    assert shell.run(M4, fail="run.py*", code=code, FAILURES=str(failures)).returncode == code
    assert len(shell.runs) == 1
    assert not failures.exists()


@pytest.mark.parametrize("script", ALL, ids=name_of)
def test_fixes_no_gpu_and_no_absolute_path(script: Path) -> None:
    text = script.read_text()
    assert not re.search(r"CUDA_VISIBLE_DEVICES=\S", text)
    assert not re.search(r"(^|[\s\"'=])/(data|home|work|mnt)", text)


@pytest.mark.parametrize("script", [*ALL, ROOT / ".ci" / "run"], ids=name_of)
def test_only_what_is_run_is_executable(script: Path) -> None:
    assert os.access(script, os.X_OK) == script.read_text().startswith("#!")


def test_the_quickstart_command_parses() -> None:
    text = (ROOT / "scripts" / "quickstart.sh").read_text()
    command = re.search(r'"\$python" run\.py (.*?) "\$@"', text.replace("\\\n", " "), re.DOTALL)
    assert command
    flags = command[1].split()
    assert (values_of(flags).data, values_of(flags).llm_init) == ("sample", "random")
    assert idle(flags) == []


def test_ci_calls_the_test_command() -> None:
    assert "exec sh scripts/test.sh" in (ROOT / ".ci" / "run").read_text()


def test_every_flag_the_guides_name_exists() -> None:
    commands = (pca, tables, download, search_recipe)
    parsers = (build_parser()[0], *(command.build_parser() for command in commands))
    known = {option for parser in parsers for action in parser._actions for option in action.option_strings}
    for script in ("reproduce.sh", "ablation.sh", "cross_domain.sh"):
        known |= set(re.findall(r"^#   (--\w+)", (ROOT / "scripts" / script).read_text(), re.MULTILINE))
    known |= {f"--{name}" for name in flags_of(Options)}
    known |= {
        "--format",  # of exp.export
        "--lf",
        "--no",  # of pip: --no-deps
        "--ff",
        "--multi_gpu",
        "--num_processes",
        "--nproc_per_node",
        "--nnodes",
        "--rdzv_backend",
        "--rdzv_endpoint",
    }
    guides = [path for pattern in ("*.md", "*/README.md") for path in ROOT.glob(pattern)]
    named = {flag for path in guides for flag in re.findall(r"(?<![\w-])--[a-z_]+\b", path.read_text(encoding="utf-8"))}
    assert named - known == set()


def test_the_interpreter_running_this_is_supported() -> None:
    assert sys.version_info >= (3, 11)


def test_own_files_compares_all_models_with_flags_that_each_can_take(shell: Shell) -> None:
    files = ("illness", "energy", "retail", "flights", "germany", "walmart")
    assert shell.run(ROOT / "scripts" / "own_files.sh", *files, CALF_DATASETS="data").returncode == 0
    assert [call[1] for call in shell.calls] == ["scripts.compare_files"] * len(files)
    for call in shell.calls:
        begin, end = call.index("--models"), call.index("--")
        for named in call[begin + 1 : end]:
            model, _, own = named.partition(":")
            flags = ["--model", model, *call[end + 1 :], *own.split()]
            assert str(parse(flags)["data_path"]).startswith("data/")
            assert {line.partition("--")[2] for line in idle(flags)} <= {"time_limit"}  # of what does not train
    assert "choose some of rates, illness" in shell.run(ROOT / "scripts" / "own_files.sh", "nosuch").stderr
