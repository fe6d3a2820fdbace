"""scripts/ablation.sh: which rows it runs, with which flags, and what is written at the end."""

from pathlib import Path

import pytest

from tests.helpers.shell import ROOT, Shell

ABLATION = ROOT / "scripts" / "ablation.sh"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_every_row_is_another_model_on_the_published_settings(shell: Shell) -> None:
    done = shell.run(ABLATION)
    assert done.returncode == 0, done.stderr
    runs = shell.parsed
    assert {(args.data, args.pred_len, args.seed, args.batch_size) for args in runs} == {("ETTh1", 96, 2021, 256)}
    kinds = [
        (args.llm_init, args.backbone, args.text_branch, args.freeze, args.lora, args.words, args.channel_order,
         args.output_w, args.feature_w)
        for args in runs
    ]  # fmt: skip
    assert len(set(kinds)) == len(kinds) == 17
    assert kinds[0] == ("pretrained", "gpt2", 1, "paper", 1, "pca", "file", 1.0, 0.01)
    assert ("random", "gpt2", 0, "none", 0, "pca", "file", 1.0, 0.01) in kinds
    assert {kind[1] for kind in kinds} == {"gpt2", "none", "linear", "attention", "transformer"}
    assert {kind[5] for kind in kinds} == {"pca", "random", "learned", "topk"}
    assert shell.calls[-1] == ["-m", "utils.tables.ablation"]


def test_rows_data_sets_horizons_and_seeds_can_be_chosen(shell: Shell) -> None:
    flags = ("--datasets", "ETTh1,weather", "--horizons=96,720", "--rows", "full,none", "--seeds", "2")
    done = shell.run(ABLATION, *flags, "--llm", "gpt2-tiny", "--llm_init", "random")
    assert done.returncode == 0, done.stderr
    found = {(args.data, args.pred_len, args.backbone, args.seed) for args in shell.parsed}
    assert found == {
        (data, steps, backbone, seed)
        for data in ("ETTh1", "weather")
        for steps in (96, 720)
        for backbone in ("gpt2", "none")
        for seed in (2021, 2022)
    }
    assert {args.llm for args in shell.parsed} == {"gpt2-tiny"}


def test_a_failure_does_not_stop_the_others_and_is_listed(shell: Shell) -> None:
    done = shell.run(ABLATION, "--rows", "full,linear,no_text", fail="*linear*")
    assert done.returncode == 1
    assert len(shell.runs) == 3
    assert "Failed:\n  exit code 1" in done.stdout and "--backbone linear" in done.stdout
    assert shell.calls[-1] == ["-m", "utils.tables.ablation"]


def test_stopped_by_hand_it_runs_nothing_more(shell: Shell) -> None:
    done = shell.run(ABLATION, "--rows", "full,linear,no_text", fail="*linear*", code=130)
    assert done.returncode == 130
    assert len(shell.runs) == 2
    assert done.stderr == "Stopped; the same command goes on from here.\n"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--rows", "half"], "--rows half: choose some of full, random, random_all, none"),
        (["--datasets", "ETTh9"], "--datasets ETTh9: choose some of ETTh1, ETTh2"),
        (["--horizons", "97"], "--horizons 97: choose some of 96, 192, 336, 720"),
        (["--seeds", "0"], "--seeds 0: choose 1 to 999."),
        (["--seeds"], "--seeds needs a value."),
        (["--seed", "7"], "--seed: the seeds are 2021 and on"),
    ],
)
def test_a_wrong_choice_ends_with_one_message_before_anything_runs(shell: Shell, flags: list[str], named: str) -> None:
    done = shell.run(ABLATION, *flags)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {named}") and done.stderr.count("\n") == 1
    assert not shell.calls
