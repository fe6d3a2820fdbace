"""One row of a table: one size in one mode, timed and weighed."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from utils.benchmark.clock import Counts, seconds
from utils.benchmark.contestants import Bench, Mode, PlainBench, Size
from utils.benchmark.needs import Arithmetic, plain_bytes, training_bytes
from utils.device import PeakMemory, available_memory

PLAIN = "plain"
GIB = 2**30


def too_large(size: Size, mode: Mode | None, device: torch.device) -> str | None:
    """Why this row is better not tried on the CPU, where running out of memory ends the process.

    Args:
        mode: CALF's, None for the plain restatement.
    """
    free = available_memory() if device.type == "cpu" else None
    if free is None:
        return None
    needed = plain_bytes(size) if mode is None else training_bytes(size, mode)
    if needed <= free:
        return None
    return f"needs about {needed / GIB:.1f} GiB, {free / GIB:.1f} GiB are free"


def measure_row(size: Size, mode: Mode | None, device: torch.device, counts: Counts) -> dict[str, Any]:
    """Seconds and peak bytes of a training step and of evaluating the batch, or why not.

    Args:
        mode: CALF's, None for the plain restatement, which evaluates window by window.
    """
    checkpointed = mode is not None and mode.grad_checkpoint
    row = {**asdict(size), "mode": PLAIN if mode is None else mode.name, "grad_checkpoint": checkpointed}
    reason = too_large(size, mode, device)
    if reason is None:
        try:
            if mode is None:
                return row | _measure(PlainBench(size, device), 1, counts)
            return row | _measure(Bench(size, device, mode), size.batch_size, counts)
        except torch.cuda.OutOfMemoryError:
            reason = "the GPU ran out of memory"
    return row | {"skipped": reason}


def add_rates(row: dict[str, Any], work: Arithmetic, rates: Mapping[str, float]) -> None:
    """Add what follows from the seconds, once all the matrix rates are known."""
    if "skipped" in row:
        return
    batch, train, evaluation = row["batch_size"], row["train_seconds"], row["evaluation_seconds"]
    rate = rates["fp32" if row["mode"] == PLAIN else row["mode"][:4]]
    row["train_gflop"], row["evaluation_gflop"] = work.train / 1e9, work.evaluation / 1e9
    row["train_steps_per_s"] = 1 / train
    row["train_share_of_matrix_rate"] = work.train / train / rate
    row["evaluated_windows_per_s"] = batch / evaluation
    row["evaluation_share_of_matrix_rate"] = work.evaluation / evaluation / rate


def compare(row: dict[str, Any], plain: Mapping[str, Any]) -> None:
    """Add how many times as fast a row is as the plain restatement, and how much of its memory it takes."""
    if "skipped" in row or "skipped" in plain:
        return
    row["train_speed_up"] = plain["train_seconds"] / row["train_seconds"]
    row["evaluation_speed_up"] = plain["evaluation_seconds"] / row["evaluation_seconds"]
    known = row["train_peak_bytes"] and plain["train_peak_bytes"]
    row["train_memory_of_plain"] = row["train_peak_bytes"] / plain["train_peak_bytes"] if known else None


def gibibytes(peak: int | None) -> str:
    return f"{peak / GIB:.2f} GiB" if peak else "unknown"


def _measure(bench: Bench, evaluated: int, counts: Counts) -> dict[str, Any]:
    """``evaluated``: how many windows one evaluation covers; the seconds are those of the whole batch."""
    device = bench.device
    with bench.evaluating(), PeakMemory(device) as evaluation_memory:  # first: training leaves moments behind
        evaluation = seconds(bench.evaluate, counts.evaluation, counts.warm_up, device, counts.enough)
    with PeakMemory(device) as memory:
        train = seconds(bench.train_step, counts.train, counts.warm_up, device, counts.enough)
    return {
        "train_seconds": train,
        "train_peak_bytes": memory.peak,
        "evaluation_seconds": evaluation * bench.size.batch_size / evaluated,
        "evaluation_peak_bytes": evaluation_memory.peak,
    }
