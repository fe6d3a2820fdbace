"""Choose the device, seed its random numbers, and describe the machine and its memory."""

import ctypes
import gc
import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from timeit import repeat

import torch
from accelerate.utils import set_seed

from utils.command import processes, whole_number
from utils.errors import UserError

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def pick_device(name: str, use_gpu: bool = True, gpu: int = 0) -> torch.device:
    """Return the device that ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` means.

    ``auto`` is the CPU without ``use_gpu``. ``gpu`` is the card of ``auto`` and ``cuda``, but for several processes,
    each of which has the card of its own number.

    Raises:
        UserError: the device is unknown or not there.
    """
    if name == "auto":
        name = "cuda" if use_gpu and torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", name):
        raise UserError(f"--device {name}: choose auto, cpu, cuda or cuda:N.")
    if name == "cpu":
        return torch.device("cpu")
    if not use_gpu:
        raise UserError(f"--device {name} and --use_gpu 0 contradict each other.")
    number = name.partition(":")[2]
    index, cards = int(number or gpu), torch.cuda.device_count()
    if processes() > 1:
        if number:
            raise UserError(f"--device {name}: of several processes each has a card of its own; say cuda.")
        index = whole_number("LOCAL_RANK", 0)
    if not torch.cuda.is_available() or not 0 <= index < cards:
        raise UserError(f"--device {name}, card {index}: this machine shows {cards} CUDA device(s) to PyTorch.")
    return torch.device("cuda", index)


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device computes in bfloat16: every CPU, some slowly, and CUDA cards since 2020."""
    return device.type == "cpu" or torch.cuda.get_device_capability(device) >= (8, 0)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for matrix products in bfloat16."""
    if device.type == "cuda":
        return has_bfloat16(device)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def bfloat16_slowdown() -> float:
    """Measure how many times as long as in float32 a matrix product takes on this CPU in bfloat16, in under 1 s."""
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(2, 256, 256, dtype=dtype)  # without instructions a tenth of a second for each product
        seconds.append(min(repeat(lambda a=a, b=b: a @ b, number=1, repeat=4)[1:]))
    return seconds[1] / seconds[0]


def check_precision(precision: str, device: torch.device, flag: str = "--precision") -> None:
    """Raise UserError, which names the flag, where a device cannot train in a precision."""
    if precision == "fp16" and device.type == "cpu":
        raise UserError(f"{flag} fp16 is for CUDA; on the CPU choose bf16 or fp32.")
    if precision == "bf16" and not has_bfloat16(device):
        raise UserError(f"{flag} bf16: {device_name(device)} has no bfloat16; choose fp16 or fp32.")


def check_compiler(device: torch.device) -> None:
    """Compile something small; raise UserError where torch.compile does not work."""
    try:
        torch.compile(lambda x: x + 1)(torch.ones(2, device=device))
    except Exception as error:  # what is lacking can surface as anything inside the compiler
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        wanted = "Triton" if device.type == "cuda" else "a C++ compiler, like g++"
        raise UserError(f"--compile 1: torch.compile does not work here ({reason}); it needs {wanted}.") from error


def seed_everything(seed: int, device: torch.device) -> None:
    """Seed Python, NumPy and PyTorch, and ask CUDA for repeatable kernels."""
    set_seed(seed)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)  # attention backward is repeatable in no milder mode
        torch.utils.deterministic.fill_uninitialized_memory = False


def device_name(device: torch.device) -> str:
    """Return what to write beside a result: the card, or the CPU and its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def environment(device: torch.device) -> dict[str, str | None]:
    """Return machine, library versions and the commit of the code."""
    return {
        "device": device_name(device),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "commit": _commit(),
    }


@cache
def _commit() -> str | None:
    """Return the commit of the code as this process found it, or None."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():  # installed: a repository further up is another project's
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True, timeout=10).strip()
    except (OSError, subprocess.SubprocessError):
        return None


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes this process has taken so far, of memory or on the CUDA device; None where unknown."""
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
