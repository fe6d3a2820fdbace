"""Time reading and drawing on generated files of the size of M4's largest pattern."""

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_provider.m4 import M4Config, m4_file, read_m4
from data_provider.m4_windows import FlatSeries, M4Samples
from utils.device import PeakMemory, environment
from utils.files import replacing
from utils.m4.patterns import Pattern

# The published Monthly series: 42 to 2,794 values, 216 on average.
SHORTEST, LONGEST, MEAN = 42, 2794, 216
BATCH, BATCHES = 512, 200
CPU = torch.device("cpu")


def measure_m4(series: int | None = None) -> dict[str, Any]:
    """Generate Monthly files, read them, draw batches of 512; seconds and bytes as plain values.

    Args:
        series: how many; as many as published if left out.
    """
    config = M4Config("m4", "Monthly")
    pattern = config.pattern
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, pattern, series or pattern.series)
        size = m4_file(folder, pattern, "train").stat().st_size
        with PeakMemory(CPU) as memory:
            started = time.perf_counter()
            data = read_m4(folder, pattern)
            seconds = time.perf_counter() - started
    samples = M4Samples(
        FlatSeries(data.values, data.offsets), pattern, config.seq_len, held_out=pattern.horizon, draws=1, seed=0
    )
    return {
        "series": len(data.ids),
        "values": len(data.values),
        "train_file_bytes": size,
        "read_seconds": seconds,
        "read_peak_bytes": memory.peak,
        "batch_size": BATCH,
        "batch_milliseconds": 1000 * statistics.median(_draws(samples)),
        "environment": environment(CPU),
    }


def report_m4(figures: Mapping[str, Any]) -> list[str]:
    """The figures in words."""
    peak = f"{figures['read_peak_bytes'] / 1e9:.2f} GB" if figures["read_peak_bytes"] else "unknown"
    return [
        f"{figures['series']:,} series, {figures['values']:,} values, {figures['train_file_bytes'] / 1e6:.0f} MB:",
        f"read in {figures['read_seconds']:.1f} s, peak memory of the process {peak}",
        f"a batch of {figures['batch_size']} drawn in {figures['batch_milliseconds']:.2f} ms (median)",
    ]


def generate(folder: Path, pattern: Pattern, series: int) -> None:
    """Write training and test file in the published format, with quotes and empty cells at the end."""
    random = np.random.default_rng(0)
    lengths = np.clip(SHORTEST + random.gamma(2, (MEAN - SHORTEST) / 2, series).astype(int), SHORTEST, LONGEST)
    lengths[0] = LONGEST
    for part, counts in (("train", lengths), ("test", np.full(series, pattern.horizon))):
        width = int(counts.max())
        with replacing(m4_file(folder, pattern, part)) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write(",".join(f'"V{i + 1}"' for i in range(width + 1)) + "\n")
            for i, count in enumerate(counts):
                cells = '","'.join(map(str, random.integers(100_000, 999_999, count) / 100))
                file.write(f'"{pattern.name[0]}{i + 1}","{cells}"{"," * (width - count)}\n')


def _draws(samples: M4Samples) -> Iterator[float]:
    """Seconds that each of some batches took."""
    random = np.random.default_rng(0)
    for _ in range(BATCHES):
        indices = random.integers(len(samples), size=BATCH).tolist()
        started = time.perf_counter()
        samples.__getitems__(indices)
        yield time.perf_counter() - started
