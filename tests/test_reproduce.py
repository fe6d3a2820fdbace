"""scripts/reproduce.sh: what it runs, what it leaves out, and what happens when runs fail or are stopped."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.shell import ROOT, Shell

REPRODUCE = ROOT / "scripts" / "reproduce.sh"
ETT = ("ETTh1", "ETTh2", "ETTm1", "ETTm2")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def experiments(shell: Shell) -> Counter[str]:
    """Return what was run, and how often."""
    names = []
    for args in shell.parsed:
        if args.data == "m4":
            names.append(f"m4 {args.seasonal_patterns}")
        elif args.zero_shot:
            names.append(f"zero_shot {args.data} to {args.target_data}")
        else:
            names.append(f"{'long_term' if args.percent == 100 else 'few_shot'} {args.data}")
    return Counter(names)


def test_everything_with_data_on_disk_is_run_with_three_seeds(shell: Shell) -> None:
    done = shell.run(REPRODUCE, present=("ETTh1", "ETTm2", "illness", "m4/Hourly"))
    assert done.returncode == 0
    assert experiments(shell) == {
        "long_term ETTh1": 12,
        "long_term ETTm2": 12,
        "few_shot ETTh1": 12,
        "few_shot ETTm2": 12,
        "zero_shot ETTh1 to ETTm2": 12,
        "zero_shot ETTm2 to ETTh1": 12,
        "m4 Hourly": 3,
    }
    assert {args.seed for args in shell.parsed} == {2021, 2022, 2023}


def test_further_tasks_are_run_where_asked_for_with_every_model(shell: Shell, tmp_path: Path) -> None:
    for folder in ("MSL", "UEA/Heartbeat"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    flags = ("--only", "imputation,anomaly_detection,classification", "--models", "CALF,DLinear", "--seeds", "1")
    done = shell.run(REPRODUCE, *flags, present=["ETTh1"], CALF_DATASETS=str(tmp_path / "data"))
    assert done.returncode == 0
    assert [(args.task_name, args.data, args.model) for args in shell.parsed] == [
        (task, data, model)
        for task, data in (("imputation", "ETTh1"), ("anomaly_detection", "MSL"), ("classification", "Heartbeat"))
        for model in ("CALF", "DLinear")
    ]
    assert "anomaly_detection SMD" in done.stdout and "classification PEMS-SF" in done.stdout


def test_the_tables_are_written_at_the_end(shell: Shell) -> None:
    shell.run(REPRODUCE, present=["ETTh1"])
    assert shell.calls[-1] == ["-m", "utils.tables"]


def test_all_seeds_of_a_cell_are_run_before_the_next_cell(shell: Shell) -> None:
    shell.run(REPRODUCE, "--seeds", "2", present=["ETTh1"])
    cells = [(args.pred_len, args.seed) for args in shell.parsed[:4]]
    assert cells == [(96, 2021), (96, 2022), (192, 2021), (192, 2022)]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--only", "m4"], {"m4 Weekly": 1, "m4 Hourly": 1}),
        (["--only=few_shot,m4"], {"few_shot ETTh1": 4, "few_shot ETTh2": 4, "m4 Weekly": 1, "m4 Hourly": 1}),
        (["--datasets", "ETTh2", "--only", "long_term"], {"long_term ETTh2": 4}),
        (["--datasets=ETTh2", "--only", "zero_shot"], {"zero_shot ETTh2 to ETTh1": 4}),
        (["--datasets", "m4"], {"m4 Weekly": 1, "m4 Hourly": 1}),
        (["--datasets", "Hourly,ETTh1", "--only", "m4,long_term"], {"m4 Hourly": 1, "long_term ETTh1": 4}),
    ],
)
def test_what_is_run_can_be_narrowed_down(shell: Shell, flags: list[str], expected: dict[str, int]) -> None:
    done = shell.run(REPRODUCE, *flags, "--seeds", "1", present=("ETTh1", "ETTh2", "m4/Hourly", "m4/Weekly"))
    assert done.returncode == 0
    assert experiments(shell) == expected


def test_several_models_stand_beside_each_other_in_long_term_forecasting(shell: Shell) -> None:
    flags = ("--models", "CALF,DLinear,SeasonalNaive", "--seeds", "2", "--datasets", "ETTh1")
    done = shell.run(REPRODUCE, *flags, present=("ETTh1", "ETTh2"))
    assert done.returncode == 0
    runs = Counter((args.model, args.percent, args.data) for args in shell.parsed if not args.zero_shot)
    assert runs == {
        ("CALF", 100, "ETTh1"): 8,
        ("DLinear", 100, "ETTh1"): 8,
        ("SeasonalNaive", 100, "ETTh1"): 8,
        ("CALF", 10, "ETTh1"): 8,
    }
    assert "=== long_term ETTh1 DLinear" in done.stdout


def test_without_calf_its_other_tasks_are_left_out(shell: Shell) -> None:
    shell.run(REPRODUCE, "--models=PatchTST", "--seeds", "1", present=("ETTh1", "ETTm1", "m4/Hourly"))
    assert experiments(shell) == {"long_term ETTh1": 4, "long_term ETTm1": 4}
    assert {args.model for args in shell.parsed} == {"PatchTST"}


def test_other_flags_go_to_every_run_in_their_order(shell: Shell) -> None:
    shell.run(REPRODUCE, "--des", "two  words", "--only", "m4", "--lora", "0", present=["m4/Hourly"])
    assert all(flags[-4:] == ["--des", "two  words", "--lora", "0"] for flags in shell.runs)


def test_the_plan_and_what_lacks_data_are_said_first(shell: Shell) -> None:
    done = shell.run(REPRODUCE, "--only", "zero_shot,m4", present=("ETTh1", "ETTm2", "m4/Daily"))
    plan = done.stdout.split("===")[0]
    assert plan == (
        "Skipped for lack of data:\n"
        "  zero_shot ETTh1 to ETTh2\n"
        "  zero_shot ETTh1 to ETTm1\n"
        "  zero_shot ETTh2\n"
        "  zero_shot ETTm1\n"
        "  zero_shot ETTm2 to ETTh2\n"
        "  zero_shot ETTm2 to ETTm1\n"
        "  m4 Yearly\n"
        "  m4 Quarterly\n"
        "  m4 Monthly\n"
        "  m4 Weekly\n"
        "  m4 Hourly\n"
        "To get them: python -m data_provider.download "
        "ETTh2 ETTm1 m4/Yearly m4/Quarterly m4/Monthly m4/Weekly m4/Hourly\n"
        "To run, with seeds 2021 2022 2023; what is finished is not repeated:\n"
        "  zero_shot ETTh1 to ETTm2\n"
        "  zero_shot ETTm2 to ETTh1\n"
        "  m4 Daily\n"
    )


def test_a_source_without_any_target_is_skipped(shell: Shell) -> None:
    done = shell.run(REPRODUCE, "--only", "zero_shot", present=["ETTh1"])
    assert shell.runs == []
    assert done.returncode == 2


@pytest.mark.parametrize("flags", [[], ["--only", "long_term", "--datasets", "Hourly"]])
def test_with_nothing_to_run_the_tables_are_written_all_the_same(shell: Shell, flags: list[str]) -> None:
    done = shell.run(REPRODUCE, *flags)
    assert done.returncode == 2
    assert "Nothing to run." in done.stdout
    assert (shell.runs, shell.calls[-1]) == ([], ["-m", "utils.tables"])


def test_after_a_failure_the_rest_is_run_and_every_failure_is_listed(shell: Shell) -> None:
    done = shell.run(REPRODUCE, "--seeds", "2", present=ETT, fail="run.py*--seed 2022*ETTh2_CALF_96_192*", code=2)
    assert done.returncode == 1
    assert sum(experiments(shell).values()) == 3 * 4 * 4 * 2
    failed = done.stdout.split("Failed:\n")[1].splitlines()
    assert len(failed) == 3
    for line in failed:
        assert re.match(r"  exit code 2: \S+/python run\.py .*--seed 2022 .*--data ETTh2 .*--pred_len 192", line)
    assert shell.calls[-1] == ["-m", "utils.tables"]


@pytest.mark.parametrize("code", [130, 143])
def test_stopping_a_run_by_hand_stops_all(shell: Shell, tmp_path: Path, code: int) -> None:
    done = shell.run(REPRODUCE, present=ETT, fail="run.py*", code=code, TMPDIR=str(tmp_path))
    assert done.returncode == code
    assert len(shell.runs) == 1
    assert shell.calls[-1][0] == "run.py"
    assert done.stderr == "Stopped; the same command goes on from here.\n"
    assert not list(tmp_path.glob("tmp.*"))


def test_tables_that_cannot_be_written_are_a_failure(shell: Shell) -> None:
    assert shell.run(REPRODUCE, present=["ETTh1"], fail="*utils.tables", code=2).returncode == 1


def test_without_knowing_what_is_on_disk_nothing_is_run(shell: Shell) -> None:
    assert shell.run(REPRODUCE, present=["ETTh1"], fail="*download*", code=7).returncode == 7
    assert len(shell.calls) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only", "long"], "--only long: choose some of long_term, few_shot, zero_shot, m4, imputation, "),
        (["--only", ""], "--only : choose some of long_term"),
        (["--only"], "--only needs a value."),
        (["--datasets", "ETTh1,ETTh9"], "--datasets ETTh1,ETTh9: choose some of ETTh1, ETTh2, ETTm1, ETTm2, elec"),
        (["--datasets", "*"], "--datasets *: choose some of"),
        (["--models", "CALF,GPT5"], "--models CALF,GPT5: choose some of CALF, DLinear, GPT4TS, "),
        (["--seeds", "0"], "--seeds 0: choose 1 to 999."),
        (["--seeds", "many"], "--seeds many: choose 1 to 999."),
        (["--seeds="], "--seeds : choose 1 to 999."),
        (["--seed", "7"], "--seed: the seeds are 2021 and on, --seeds says how many."),
        (["--itr=2"], "--itr: the seeds are 2021 and on, --seeds says how many."),
    ],
)
def test_flags_that_cannot_be_meant_are_refused(shell: Shell, flags: list[str], message: str) -> None:
    done = shell.run(REPRODUCE, *flags, present=ETT)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert shell.calls == []


def test_help_says_what_the_flags_mean(shell: Shell) -> None:
    done = shell.run(REPRODUCE, "--help")
    assert done.returncode == 0
    assert all(flag in done.stdout for flag in ("--models", "--only", "--datasets", "--seeds"))
    assert "#" not in done.stdout
