"""Memory that was taken, and that is left."""

import sys
from pathlib import Path

import pytest
import torch

from utils import memory
from utils.device import PeakMemory, available_memory, return_freed

GIB = 2**30


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_some_memory_is_left_and_no_more_than_the_machine_has() -> None:
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < available_memory() <= total


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_a_container_limit_counts_without_what_the_page_cache_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.stat").write_text("anon 1000\nfile 500000\n")
    (tmp_path / "memory.max").write_text("5000\n")
    assert available_memory() == 4000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() > 5000


def test_the_peak_holds_what_was_taken_and_given_back() -> None:
    with PeakMemory(torch.device("cpu")) as small:
        pass
    with PeakMemory(torch.device("cpu")) as large:
        torch.ones(2**26).sum()
    if small.peak is None:
        pytest.skip("this machine does not tell")
    assert large.peak - small.peak > 2**27


def resident() -> int:
    """Bytes of the process in memory."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_what_small_pieces_leave_behind_is_given_back() -> None:
    pieces = [torch.ones(1000) for _ in range(40_000)]  # 160 MB, too small each to be a mapping of its own
    kept = torch.ones(1000)  # above them: the heap cannot shrink
    full = resident()
    del pieces
    return_freed()
    assert len(kept) == 1000
    assert full - resident() > 100 * 2**20
