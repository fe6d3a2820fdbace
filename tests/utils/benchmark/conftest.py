"""These tests time everything once, on small matrices. How fast it is, is no test."""

from types import SimpleNamespace

import pytest

from utils.benchmark import __main__ as command
from utils.benchmark import clock, grow
from utils.benchmark.clock import Counts


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "MATRIX", {"cpu": 64})
    monkeypatch.setattr(command, "counts_for", lambda device: (Counts(1, 1, 0), Counts(1, 1, 0)))
    monkeypatch.setattr(grow, "COUNTS", Counts(1, 1, 0))
    # Half a second a time, and peaks of tiny models say nothing.
    monkeypatch.setattr("utils.device.gc", SimpleNamespace(collect=lambda: 0))
