"""Progress on a terminal and in a log."""

import logging
import sys
from collections.abc import Iterator

import pytest

from utils.progress import Progress, clock


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets: its last element is the time."""
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[-1])
    return now


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "00:00"),
        (9.4, "00:09"),
        (59.6, "01:00"),
        (125, "02:05"),
        (3599.7, "1:00:00"),
        (3723, "1:02:03"),
        (90000, "25:00:00"),
    ],
)
def test_the_clock_reads_like_a_clock(time: float, text: str) -> None:
    assert clock(time) == text


@pytest.mark.parametrize("terminal", [False, True])
def test_every_item_is_passed_on(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert list(Progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]


def test_in_a_log_there_is_a_line_every_half_minute_with_figures_and_the_time_left(
    seconds: list[float], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    bar = Progress(range(10), "epoch 1", 10)
    for _ in bar:
        bar.show(loss="0.5")
        seconds.append(seconds[-1] + 20)
    assert caplog.messages == [
        "  epoch 1, batch 2 of 10, loss=0.5, 02:40 left",
        "  epoch 1, batch 4 of 10, loss=0.5, 02:00 left",
        "  epoch 1, batch 6 of 10, loss=0.5, 01:20 left",
        "  epoch 1, batch 8 of 10, loss=0.5, 00:40 left",
        "  epoch 1, batch 10 of 10, loss=0.5, 00:00 left",
    ]
    assert capsys.readouterr().err == ""


def test_quick_work_says_nothing_in_a_log(seconds: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in Progress(range(100), "epoch 1", 100):
        seconds.append(seconds[-1] + 0.1)
    assert not caplog.messages


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = Progress(range(3), "epoch 7", 3)
    for _ in bar:
        bar.show(loss="0.25")
    assert "epoch 7" in capsys.readouterr().err


def test_an_error_in_the_items_comes_through() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(Progress(items(), "epoch 1", 2))
