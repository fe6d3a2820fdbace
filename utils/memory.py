"""How much memory a piece of work takes at its peak, and how much is left."""

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

import torch

CLEAR_REFS = Path("/proc/self/clear_refs")
CGROUP = Path("/sys/fs/cgroup")


def peak_memory(device: torch.device) -> int | None:
    """The most bytes this process has taken so far: of its own memory, or on the CUDA device. None where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(ImportError):
        import resource  # there is none on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return None


def return_freed() -> None:
    """Give back to the system what the C library keeps of memory that is free again, where it can."""
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # not every C library can
        ctypes.CDLL(None).malloc_trim(0)


class PeakMemory:
    """Peak memory of a ``with`` block in bytes: of the process, or of the CUDA device. None where unknown."""

    peak: int | None = None

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._known = False

    def __enter__(self) -> "PeakMemory":
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        elif sys.platform == "linux":
            return_freed()  # what the last model left
            with suppress(OSError):
                CLEAR_REFS.write_text("5")
                self._known = True
        return self

    def __exit__(self, *error: object) -> None:
        if self.device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self.device)
        elif self._known:
            status = Path("/proc/self/status").read_text()
            kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
            self.peak = int(kilobytes) * 1024


def available_memory() -> int | None:
    """Bytes that this process can still take, None where unknown."""
    free = []
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))))
    with suppress(OSError, ValueError, IndexError):  # "max" where the container is not limited
        limit = int((CGROUP / "memory.max").read_text())
        free.append(limit - int((CGROUP / "memory.stat").read_text().split()[1]))  # its first line: anon BYTES
    return min(free, default=None)
