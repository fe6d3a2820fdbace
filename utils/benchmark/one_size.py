"""One size, CALF in some modes against the plain restatement: the default run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from utils.benchmark.clock import Counts, MatrixRates
from utils.benchmark.contestants import Mode, Size
from utils.benchmark.needs import arithmetic
from utils.benchmark.rows import add_rates, compare, gibibytes, measure_row
from utils.benchmark.settings import settings, title
from utils.benchmark.targets import judge, target_lines


def measure(
    size: Size, modes: Sequence[Mode], counts: tuple[Counts, Counts], device: torch.device, plain: bool = True
) -> dict[str, Any]:
    """Every figure of one size, as plain values. The matrix rates are taken between the other measurements.

    Args:
        counts: of CALF, and of the plain restatement.
    """
    work = arithmetic(size)
    rates = MatrixRates(device, {mode.precision for mode in modes} | ({"fp32"} if plain else set()))
    rows = []
    for mode in modes:
        rows.append(measure_row(size, mode, device, counts[0]))
        rates.take()
    if plain:
        rows.append(measure_row(size, None, device, counts[1]))
        rates.take()
    medians = rates.medians()
    for row in rows:
        add_rates(row, work, medians)
    if plain:
        for row in rows[:-1]:
            compare(row, rows[-1])
    return {
        "size": asdict(size),
        "matrix_gflops_per_s": {precision: rate / 1e9 for precision, rate in medians.items()},
        "train_gflop": work.train / 1e9,
        "evaluation_gflop": work.evaluation / 1e9,
        "rows": rows,
        "targets": judge(rows, device.type),
        **settings(device),
    }


def report(figures: Mapping[str, Any]) -> list[str]:
    """The figures as lines of text."""
    size = figures["size"]
    return [
        f"batch {size['batch_size']}, {size['channels']} channels, {size['seq_len']} -> {size['pred_len']}, "
        f"{size['gpt_layers']} blocks of {size['llm']}",
        *title(figures),
        f"a training step takes {figures['train_gflop']:.0f} GFLOP, evaluating a batch "
        f"{figures['evaluation_gflop']:.0f}",
        f"{'':14}{'train steps/s':>14}{'of rate':>9}{'peak memory':>13}{'windows/s':>11}{'of rate':>9}"
        f"{'peak memory':>13}",
        *(_line(row) for row in figures["rows"]),
        *(_ratio(row) for row in figures["rows"] if "train_speed_up" in row),
        *target_lines(figures["targets"]),
    ]


def _line(row: Mapping[str, Any]) -> str:
    if "skipped" in row:
        return f"{row['mode']:14}skipped: {row['skipped']}"
    return (
        f"{row['mode']:14}{row['train_steps_per_s']:>14.3f}{row['train_share_of_matrix_rate']:>9.0%}"
        f"{gibibytes(row['train_peak_bytes']):>13}{row['evaluated_windows_per_s']:>11.1f}"
        f"{row['evaluation_share_of_matrix_rate']:>9.0%}{gibibytes(row['evaluation_peak_bytes']):>13}"
    )


def _ratio(row: Mapping[str, Any]) -> str:
    memory = row["train_memory_of_plain"]
    of = "unknown" if memory is None else f"{memory:.2f} of it"
    return (
        f"{row['mode']} against plain float32: training {row['train_speed_up']:.2f} times as fast, evaluation "
        f"{row['evaluation_speed_up']:.1f} times, peak memory of training {of}"
    )
