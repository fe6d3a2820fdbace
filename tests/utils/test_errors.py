"""Names from outside, on their way to a terminal."""

import logging
from pathlib import Path

import pytest

from utils.command import Formatter, run_command
from utils.errors import UserError, naming_arguments, shown_lines
from utils.results import append_block

NAME, SHOWN = "a\x1b[31m\ud800\x9b\nsecond", "a\\x1b[31m\\ud800\\x9b\nsecond"


def fail() -> None:
    raise UserError(NAME)


def test_control_characters_are_escaped_in_every_line() -> None:
    assert shown_lines(NAME) == SHOWN


def test_neither_a_message_nor_a_line_of_the_log_nor_a_summary_has_control_characters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_command(fail, "python run.py") == 2
    assert capsys.readouterr().err == f"error: {SHOWN}\n"
    assert Formatter().format(logging.LogRecord("exp", logging.INFO, "", 1, "%s", (NAME,), None)) == SHOWN
    append_block(tmp_path / "results.txt", [NAME])
    assert (tmp_path / "results.txt").read_text() == f"{SHOWN}\n\n"


@pytest.mark.parametrize(
    ("said", "in_python"),
    [
        ("with --fill linear (between) or --fill ffill", 'with fill="linear" (between) or fill="ffill"'),
        ("Name its time zone, like --tz Europe/Berlin, or", 'Name its time zone, like tz="Europe/Berlin", or'),
        ("no column 'x' (--date_col); its", "no column 'x' (date_col); its"),
        ("with --duplicates mean|first|last.", 'with duplicates="mean|first|last".'),
        ("say --missing -200", 'say missing="-200"'),
        ("--predict_len True: choose", "predict_len True: choose"),
    ],
)  # fmt: skip
def test_errors_of_the_python_api_name_its_arguments(said: str, in_python: str) -> None:
    with pytest.raises(UserError) as raised, naming_arguments():
        raise UserError(said)
    assert str(raised.value) == in_python
