"""Measure on generated files as large as the largest data sets: the memory of a whole run, the reading of M4."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from data_provider.config import M4Config
from data_provider.datasets import find_dataset
from data_provider.m4 import read_m4
from data_provider.windows import FlatSeries, M4Samples
from utils.device import peak_memory, return_freed
from utils.errors import UserError

RUN = Path(__file__).parent.parent / "run.py"
SEQ_LEN, BATCH = 96, 2
KILOBYTE = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss
M4_BATCH, M4_BATCHES = 512, 200


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


def measure_stream(
    device: torch.device, windows: int = 3413, channels: int = 862, pred_len: int = 720
) -> dict[str, Any]:
    """Train a tiny network on a few rows of a generated file, test it on many windows; return what the process took.

    Args:
        device: on which the run computes.
        windows: of the test split; those of traffic at its longest horizon if left out.
        channels: of the file.
        pred_len: H.

    Raises:
        UserError: the temporary folder is too small, or the run failed.
    """
    from resource import RUSAGE_CHILDREN, getrusage  # there is none on Windows

    rows, array = ceil((windows + pred_len - 1) / 0.2), 4 * windows * channels * pred_len
    free, needed = shutil.disk_usage(tempfile.gettempdir()).free, 2.2 * array  # two arrays and the file
    if free < needed:
        place = tempfile.gettempdir()
        raise UserError(f"{place} has {free / 1e9:.1f} GB free, the run takes {needed / 1e9:.1f}: set TMPDIR.")
    flags = {
        "data": "custom", "data_path": "data.csv", "seq_len": SEQ_LEN, "pred_len": pred_len, "batch_size": BATCH,
        "percent": ceil(100 * (pred_len + BATCH) / (int(0.7 * rows) - SEQ_LEN)), "train_epochs": 1, "device": device,
        "llm": "gpt2-tiny", "llm_init": "random", "gpt_layers": 1,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        write_series(Path(name, "data.csv"), rows, channels)
        started = time.perf_counter()
        command = [sys.executable, str(RUN), *(f"--{key}={value}" for key, value in flags.items())]
        ended = subprocess.run(command, cwd=name, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seconds, peak = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN).ru_maxrss
        if ended.returncode:
            last = ended.stdout.strip().rpartition("\n")[2]
            raise UserError(f"the run ended with exit code {ended.returncode}: {last}")
        (written,) = Path(name).glob("results/*/pred.npy")
        size = written.stat().st_size / 2**30
    return {"rows": rows, "seconds": seconds, "array_gib": size, "peak_gib": peak * KILOBYTE / 2**30}


def write_series(path: Path, rows: int, channels: int) -> None:
    """Write an hourly CSV with a daily season and noise, four digits each as traffic's are."""
    random, hours = np.random.default_rng(0), np.arange(rows)[:, None]
    season = np.sin(2 * np.pi * (hours / 24 + random.random(channels)))
    values = np.abs(0.05 + 0.04 * season + 0.01 * random.standard_normal((rows, channels)))
    table = pd.DataFrame(values, pd.date_range("2015-01-01", periods=rows, freq="h", name="date"))
    table.rename(columns={channels - 1: "OT"}).to_csv(path, float_format="%.4f")


def measure_m4(series: int = 48_000) -> dict[str, Any]:
    """Read generated files as large as Monthly's, and draw batches of samples; return seconds and peak memory."""
    with tempfile.TemporaryDirectory() as name:
        config = M4Config(seasonal_patterns="Monthly", root_path=name)
        write_m4(config, series)
        known = reset_peak(torch.device("cpu"))
        started = time.perf_counter()
        data = read_m4(config, find_dataset("m4"))
        seconds = time.perf_counter() - started
        peak = peak_memory(torch.device("cpu")) / 2**30 if known else None
    flat = FlatSeries(data.values, data.offsets)
    samples = M4Samples(flat, config.pattern, config.seq_len, held_out=config.pred_len, draws=1, seed=0)
    times = []
    for indices in np.random.default_rng(0).integers(series, size=(M4_BATCHES, M4_BATCH)).tolist():
        started = time.perf_counter()
        samples.__getitems__(indices)
        times.append(time.perf_counter() - started)
    figures = {"values": len(data.values), "read_s": seconds, "read_peak_gib": peak}
    return {**figures, f"draw_{M4_BATCH}_samples_s": statistics.median(times)}


def write_m4(config: M4Config, series: int) -> None:
    """Write training and test file as published: quotes, empty cells at the end, series of 42 to 2,794 values."""
    random = np.random.default_rng(0)
    lengths = np.clip(42 + random.gamma(2, 87, series).astype(int), 42, 2794)  # 216 on average
    for part, counts in (("train", lengths), ("test", np.full(series, config.pred_len))):
        with (config.folder / f"Monthly-{part}.csv").open("w") as file:
            file.write(",".join(f'"V{i}"' for i in range(1, counts.max() + 2)) + "\n")
            for i, count in enumerate(counts):
                cells = '","'.join(map(str, random.integers(100_000, 999_999, count) / 100))
                file.write(f'"M{i + 1}","{cells}"{"," * (counts.max() - count)}\n')
