"""scripts/cross_domain.sh: what it trains and tests, and what it refuses."""

from pathlib import Path

import pytest

from tests.helpers.shell import ROOT, Shell

CROSS_DOMAIN = ROOT / "scripts" / "cross_domain.sh"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_three_models_are_trained_on_the_same_data_sets_and_tested_on_what_is_on_disk(shell: Shell) -> None:
    done = shell.run(CROSS_DOMAIN, present=["ETTh1", "ETTm1", "ETTm2", "illness", "weather", "m4"])
    assert done.returncode == 0, done.stderr
    kinds = [(args.llm_init, args.backbone, args.text_branch) for args in shell.parsed]
    assert kinds == [("pretrained", "gpt2", 1), ("random", "gpt2", 1), ("pretrained", "none", 0)]
    assert {(args.data, args.target_data, args.zero_shot) for args in shell.parsed} == {
        ("ETTh1,ETTm1,weather", "illness,ETTm2", 1)
    }
    assert {(args.batch_size, args.train_epochs, args.pred_len, args.seed) for args in shell.parsed} == {
        (256, 100, 96, 2021)
    }
    assert shell.calls[-1] == ["-m", "utils.tables.cross_domain"]


def test_data_sets_horizons_rows_and_seeds_can_be_chosen(shell: Shell) -> None:
    flags = ("--sources=ETTh1,illness", "--targets", "ETTh2", "--horizons", "96,192", "--rows", "none", "--seeds", "2")
    done = shell.run(CROSS_DOMAIN, *flags, "--train_epochs", "3", "--percent", "20")
    assert done.returncode == 0, done.stderr
    found = {(args.data, args.target_data, args.pred_len, args.seed) for args in shell.parsed}
    assert found == {("ETTh1,illness", "ETTh2", steps, seed) for steps in (96, 192) for seed in (2021, 2022)}
    assert {(args.train_epochs, args.percent) for args in shell.parsed} == {(3, 20)}


def test_without_other_data_sets_those_trained_on_alone_are_tested(shell: Shell) -> None:
    done = shell.run(CROSS_DOMAIN, "--rows", "full", present=["ETTh1", "ETTm1", "weather"])
    assert done.returncode == 0, done.stderr
    assert [(args.target_data, args.zero_shot) for args in shell.parsed] == [(None, 0)]


def test_illness_is_too_short_for_longer_horizons(shell: Shell) -> None:
    assert shell.run(CROSS_DOMAIN, "--horizons", "192", present=["illness", "ETTm2"]).returncode == 0
    assert {args.target_data for args in shell.parsed} == {"ETTm2"}


def test_a_failure_does_not_stop_the_others_and_is_listed(shell: Shell) -> None:
    done = shell.run(CROSS_DOMAIN, fail="*--llm_init random*")
    assert done.returncode == 1
    assert len(shell.runs) == 3 and "Failed:\n  exit code 1" in done.stdout


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--sources", "ETTh1"], "--sources ETTh1: name two data sets or more."),
        (["--sources", "ETTh1,ETTh1"], "--sources: name each data set once."),
        (["--sources", "ETTh1,ETTh9"], "--sources ETTh1,ETTh9: choose some of ETTh1, ETTh2"),
        (["--targets", "illness,weather"], "--targets: weather is trained on, and tested without being named."),
        (["--targets", "m4"], "--targets m4: choose some of"),
        (["--rows", "half"], "--rows half: choose some of full, random, none"),
        (["--seed", "7"], "--seed: the seeds are 2021 and on"),
    ],
)
def test_a_wrong_choice_ends_with_one_message_before_anything_runs(shell: Shell, flags: list[str], named: str) -> None:
    done = shell.run(CROSS_DOMAIN, *flags)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {named}") and done.stderr.count("\n") == 1
    assert not shell.calls
