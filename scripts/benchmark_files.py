"""Measure seconds, matrix products and memory, also of a run whose test split is as large as the largest data set's."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.benchmark import Measurement, Timer

from utils.device import PRECISIONS, return_freed
from utils.errors import UserError

RUN = Path(__file__).parent.parent / "run.py"
SEQ_LEN, BATCH = 96, 2
SECONDS = {"cpu": 15.0, "cuda": 3.0}  # that each measurement is repeated for
LARGEST_MATRIX = {"cpu": 2048, "cuda": 8192}
KILOBYTE = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss


def reset_peak(device: torch.device) -> bool:
    """Let ``utils.device.peak_memory`` count from now on; return False where it cannot (on a CPU outside Linux)."""
    return_freed()  # what the last model left
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return True
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return True
    return False


def timed(work: Callable[[], Any], least: float) -> Measurement:
    """Time some work after a warm-up, again and again for at least some seconds."""
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=least)


def matrix_rate(device: torch.device, precision: str) -> float:
    """Return GFLOP/s of products of square matrices, of the first size that takes 20 ms, or of the largest."""
    dtype, edge, fastest = getattr(torch, PRECISIONS[precision]), 128, 0.0
    while fastest < 0.02 and edge < LARGEST_MATRIX[device.type]:
        edge *= 2
        a, b = torch.randn(2, edge, edge, device=device).to(dtype)
        measured = timed(lambda a=a, b=b: torch.mm(a, b), SECONDS[device.type] / 50)
        fastest = min(measured.times)  # of the small ones some may have been disturbed
    return 2 * edge**3 / measured.median / 1e9


def measure_stream(
    device: torch.device, windows: int = 3413, channels: int = 862, pred_len: int = 720
) -> dict[str, float]:
    """Train a tiny network on a few rows of a generated file and test it on many windows, traffic's if left out.

    Raises:
        UserError: the temporary folder is too small, or the run failed.
    """
    from resource import RUSAGE_CHILDREN, getrusage  # there is none on Windows

    rows, place = ceil((windows + pred_len - 1) / 0.2), tempfile.gettempdir()
    free, needed = shutil.disk_usage(place).free, 2.2 * 4 * windows * channels * pred_len  # two arrays and the file
    if free < needed:
        raise UserError(f"{place} has {free / 1e9:.1f} GB free, the run takes {needed / 1e9:.1f}: set TMPDIR.")
    flags = {
        "data": "custom", "data_path": "data.csv", "seq_len": SEQ_LEN, "pred_len": pred_len, "batch_size": BATCH,
        "percent": ceil(100 * (pred_len + BATCH) / (int(0.7 * rows) - SEQ_LEN)), "train_epochs": 1, "device": device,
        "llm": "gpt2-tiny", "llm_init": "random", "gpt_layers": 1,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder, "data.csv"), rows, channels)
        command = [sys.executable, str(RUN), *(f"--{key}={value}" for key, value in flags.items())]
        started = time.perf_counter()
        ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seconds, peak = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN).ru_maxrss
        if ended.returncode:
            last = ended.stdout.strip().rpartition("\n")[2]
            raise UserError(f"the run ended with exit code {ended.returncode}: {last}")
        (written,) = Path(folder).glob("results/*/pred.npy")
        size = written.stat().st_size / 2**30
    return {"rows": rows, "seconds": seconds, "array_gib": size, "peak_gib": peak * KILOBYTE / 2**30}


def write_series(path: Path, rows: int, channels: int) -> None:
    """Write an hourly CSV with a daily season and noise, four digits each as traffic's are."""
    random, hours = np.random.default_rng(0), np.arange(rows)[:, None]
    season = np.sin(2 * np.pi * (hours / 24 + random.random(channels)))
    values = np.abs(0.05 + 0.04 * season + 0.01 * random.standard_normal((rows, channels)))
    table = pd.DataFrame(values, pd.date_range("2015-01-01", periods=rows, freq="h", name="date"))
    table.rename(columns={channels - 1: "OT"}).to_csv(path, float_format="%.4f")
