"""Measure seconds, matrix products and memory, also of whole runs: a test as large as traffic's, many series."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
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
from utils.files import read_json

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
        figures = _measured_run(folder, flags)
        (written,) = Path(folder, "results").rglob("pred.npy")
        size = written.stat().st_size / 2**30
    return {"rows": rows, "array_gib": size, **figures}


def measure_many(device: torch.device, series: int = 10_000, rows: int = 200) -> dict[str, float]:
    """Train a tiny CALF for one epoch on a long file of many series, test it and forecast each series.

    Returns:
        seconds of the whole run and of the epoch with its validation, windows and forecasts it made, and peak memory.

    Raises:
        UserError: the run failed.
    """
    flags = {
        "data_path": "data.csv", "train_epochs": 1, "device": device, "llm": "gpt2-tiny", "llm_init": "random",
        "gpt_layers": 2,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write_long(Path(folder, "data.csv"), series, rows)
        figures = _measured_run(folder, flags)
        (trained,) = Path(folder).glob("checkpoints/*/training.json")
        (forecast,) = Path(folder, "results").rglob("forecast.csv")
        epoch, forecasts = read_json(trained)["seconds"], len(pd.read_csv(forecast))
    return {"series": series, "rows": series * rows, "epoch_seconds": epoch, "forecasts": forecasts, **figures}


def _measured_run(folder: str, flags: Mapping[str, Any]) -> dict[str, float]:
    """Return seconds and peak memory in GiB of a run in a folder; raise UserError where it fails."""
    from resource import RUSAGE_CHILDREN, getrusage  # there is none on Windows

    command = [sys.executable, str(RUN), *(f"--{key}={value}" for key, value in flags.items())]
    started = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds, peak = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN).ru_maxrss
    if ended.returncode:
        last = ended.stdout.strip().rpartition("\n")[2]
        raise UserError(f"the run ended with exit code {ended.returncode}: {last}")
    return {"seconds": seconds, "peak_gib": peak * KILOBYTE / 2**30}


def write_long(path: Path, series: int, rows: int) -> None:
    """Write a long daily CSV of series with a weekly season and noise."""
    random, days = np.random.default_rng(0), pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    season = 2 + np.sin(2 * np.pi * np.arange(rows) / 7)
    values = 100 * (season + 0.3 * random.standard_normal((series, rows)))
    names = [f"item {i}" for i in range(series)]
    table = pd.DataFrame({"item": np.repeat(names, rows), "date": np.tile(days, series), "y": values.ravel()})
    table.to_csv(path, index=False, float_format="%.4f")


def write_series(path: Path, rows: int, channels: int) -> None:
    """Write an hourly CSV with a daily season and noise, four digits each as traffic's are."""
    random, hours = np.random.default_rng(0), np.arange(rows)[:, None]
    season = np.sin(2 * np.pi * (hours / 24 + random.random(channels)))
    values = np.abs(0.05 + 0.04 * season + 0.01 * random.standard_normal((rows, channels)))
    table = pd.DataFrame(values, pd.date_range("2015-01-01", periods=rows, freq="h", name="date"))
    table.rename(columns={channels - 1: "OT"}).to_csv(path, float_format="%.4f")
