"""Memory that was taken and given back."""

import sys
from pathlib import Path

import pytest
import torch

from scripts.benchmark_files import reset_peak
from utils.device import peak_memory, return_freed

CPU = torch.device("cpu")
LINUX_ALONE = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


def resident() -> int:
    """Return the bytes of the process in memory."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


@LINUX_ALONE
def test_the_peak_counts_what_was_taken_and_given_back_since_its_reset() -> None:
    torch.ones(2**27).sum()
    if not reset_peak(CPU):
        pytest.skip("this machine does not let a process reset its peak")
    before = peak_memory(CPU)
    torch.ones(2**25).sum()
    assert 2**26 < peak_memory(CPU) - before < 2**28


@LINUX_ALONE
def test_what_small_pieces_leave_behind_is_given_back() -> None:
    pieces = [torch.ones(1000) for _ in range(40_000)]  # 160 MB, too small each to be a mapping of its own
    kept = torch.ones(1000)  # above them: the heap cannot shrink
    full = resident()
    del pieces
    return_freed()
    assert len(kept) == 1000
    assert full - resident() > 100 * 2**20
