"""A flag that there is not: the message names the one that was meant."""

import pytest

import run
from exp.flag_names import OTHER_WORDS, closest
from exp.flags import OF_RELEASE, build_parser
from models import MODELS

KNOWN = build_parser()[1]
WORDS = [(word, flag) for flag, words in OTHER_WORDS.items() for word in words]


def test_no_flag_is_suggested_that_there_is_not() -> None:
    for model in MODELS:
        parser, known = build_parser(model)
        assert {flag for _, flag in WORDS} <= known.keys()
        assert {closest(word, known) for word, _ in WORDS} <= known.keys()
        assert all(f"--{flag}" in parser._option_string_actions for _, flag in WORDS)


def test_every_word_of_another_tool_stands_in_the_table_once() -> None:
    assert len({word for word, _ in WORDS}) == len(WORDS)
    assert all(closest(word, KNOWN) == (word if word in KNOWN else flag) for word, flag in WORDS)


@pytest.mark.parametrize(
    ("word", "flag"),
    [
        ("horizon", "pred_len"), ("h", "pred_len"), ("lookback", "seq_len"), ("context_length", "seq_len"),
        ("max_epochs", "train_epochs"), ("lr", "learning_rate"), ("csv", "data_path"), ("frequency", "freq"),
        ("season_length", "season"), ("confidence", "interval"), ("gpu_id", "gpu"),
        ("country", "holidays"), ("output_dir", "checkpoints"), ("Pred-Len", "pred_len"), ("pred-len", "pred_len"),
        ("learning_rte", "learning_rate"), ("bacth_size", "batch_size"), ("overwrit", "overwrite"), ("modle", "model"),
        ("x", None), ("zzzzzz", None), ("", None),
    ],
)  # fmt: skip
def test_a_word_means_a_flag_or_none(word: str, flag: str | None) -> None:
    assert closest(word, KNOWN) == flag


def test_flags_of_the_release_without_effect_are_not_suggested() -> None:
    assert closest("labl_len", KNOWN) not in set(OF_RELEASE) - KNOWN.keys()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--horizon", "--horizon; did you mean --pred_len?"),
        ("--horizon 24", "--horizon 24; did you mean --pred_len?"),
        ("--lr=0.1", "--lr=0.1; did you mean --learning_rate?"),
        ("--epochs 5 --zzzzzz", "--epochs 5 --zzzzzz; did you mean --train_epochs for --epochs?"),
        ("--horizon 1 --lookback 2",
         "--horizon 1 --lookback 2; did you mean --pred_len for --horizon, --seq_len for --lookback?"),
        ("--zzzzzz 5", "--zzzzzz 5"),
        ("file.csv", "file.csv"),
    ],
)  # fmt: skip
def test_the_message_ends_with_what_was_meant(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(line.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: unrecognized arguments: {said}\nSee run.py --help.\n"
