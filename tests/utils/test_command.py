"""How a command ends: with its work, with one message, by a stop, or with the traceback of a bug."""

import os
import signal
import sys

import pytest

from utils.command import run_command
from utils.errors import UserError

STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(autouse=True)
def hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop replaces this hook."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


def test_work_that_is_done_ends_with_0_and_wrong_input_with_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise UserError("data.csv has no column 'x'.")

    assert run_command(lambda: None, "python run.py") == 0
    assert run_command(refuse, "python run.py") == 2
    assert capsys.readouterr().err == "error: data.csv has no column 'x'.\n"


def test_a_bug_ends_with_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: print(1 / 0), "python run.py")


@pytest.mark.parametrize("number", STOPS)
def test_whatever_a_stop_breaks_counts_as_the_stop(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    def break_down() -> None:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raise RuntimeError("a worker is gone") from None

    assert run_command(break_down, "python run.py --data ETTh1") == STOPS[number]
    assert capsys.readouterr().err.endswith("The same command goes on from here:\n  python run.py --data ETTh1\n")


@pytest.mark.parametrize("number", STOPS)
def test_a_child_that_has_just_begun_ends_at_a_stop_without_its_parents_last_words(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    codes = []

    def fork() -> None:
        if (pid := os.fork()) == 0:
            os.kill(os.getpid(), number)
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    assert run_command(fork, "python run.py") == 0
    assert codes == [STOPS[number]]
    assert capfd.readouterr().err == ""
