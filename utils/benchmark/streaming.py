"""How much memory a whole run takes whose test is as large as traffic's at horizon 720, both arrays written."""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from utils.device import environment
from utils.errors import UserError

ROOT = Path(__file__).parent.parent.parent
SEQ_LEN, BATCH = 96, 2
TEST_SHARE, TRAIN_SHARE = 0.2, 0.7
BOUND = 2e9


@dataclass(frozen=True)
class Stream:
    """Test windows, channels and horizon; the file is made as long as that takes."""

    windows: int = 3413
    channels: int = 862
    pred_len: int = 720

    @property
    def rows(self) -> int:
        return math.ceil((self.windows + self.pred_len - 1) / TEST_SHARE)

    @property
    def percent(self) -> int:
        """The smallest share of the training rows that holds a batch."""
        return math.ceil(100 * (self.pred_len + BATCH) / (int(self.rows * TRAIN_SHARE) - SEQ_LEN))

    @property
    def array_bytes(self) -> int:
        return 4 * self.windows * self.pred_len * self.channels


def measure_stream(stream: Stream, device: str) -> dict[str, Any]:
    """Generate a file, train a tiny network on it for an epoch, test it; the peak of that process, as plain values.

    Raises:
        UserError: the temporary folder is too small for the arrays, or the run failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        free, needed = shutil.disk_usage(folder).free, 2.2 * stream.array_bytes
        if free < needed:
            raise UserError(
                f"{tempfile.gettempdir()} has {free / 1e9:.1f} GB free, the arrays take {needed / 1e9:.1f}: set TMPDIR."
            )
        generate(folder / "data.csv", stream.rows, stream.channels)
        started = time.perf_counter()
        peak = _peak_of(_command(stream, device), folder)
        seconds = time.perf_counter() - started
        (array,) = folder.glob("results/*/pred.npy")
        shape = np.load(array, mmap_mode="r").shape
    return {
        **asdict(stream),
        "rows": stream.rows,
        "array_shape": list(shape),
        "peak_bytes": peak,
        "holds": peak <= BOUND,
        "seconds": seconds,
        "environment": environment(torch.device("cpu") if device == "cpu" else torch.device("cuda")),
    }


def report_stream(figures: Mapping[str, Any]) -> list[str]:
    """The figures in words."""
    gigabytes = 4 * math.prod(figures["array_shape"]) / 1e9
    return [
        f"{figures['rows']:,} rows of {figures['channels']} channels, generated; trained for an epoch on a few, "
        f"tested on {figures['windows']:,} windows at horizon {figures['pred_len']}, in {figures['seconds']:.0f} s",
        f"pred.npy and true.npy {gigabytes:.2f} GB each",
        f"target: the process takes <= {BOUND / 1e9:g} GB at its peak: {figures['peak_bytes'] / 1e9:.2f} GB, "
        f"{'holds' if figures['holds'] else 'missed'}",
    ]


def generate(path: Path, rows: int, channels: int) -> None:
    """Write hourly series with a daily season and noise, four digits each, as traffic's are."""
    random = np.random.default_rng(0)
    phase = random.uniform(0, 2 * np.pi, channels)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(["date", *map(str, range(channels - 1)), "OT"]) + "\n")
        for i, date in enumerate(pd.date_range("2015-01-01", periods=rows, freq="h")):
            values = np.abs(0.05 + 0.04 * np.sin(2 * np.pi * i / 24 + phase) + 0.01 * random.standard_normal(channels))
            file.write(f"{date}," + ",".join(f"{value:.4f}" for value in values) + "\n")


def _command(stream: Stream, device: str) -> list[str]:
    flags = {
        "data": "custom", "data_path": "data.csv", "seq_len": SEQ_LEN, "pred_len": stream.pred_len,
        "percent": stream.percent, "batch_size": BATCH, "train_epochs": 1, "llm": "gpt2-tiny", "llm_init": "random",
        "gpt_layers": 1, "device": device,
    }  # fmt: skip
    return [sys.executable, str(ROOT / "run.py"), *(f"--{name}={value}" for name, value in flags.items())]


def _peak_of(command: list[str], folder: Path) -> int:
    """Most bytes that the process of a command took."""
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = (folder / "said.txt").read_text().strip().splitlines()[-1:]
        raise UserError(f"the run ended with exit code {process.returncode}: {' '.join(last)}")
    return usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
