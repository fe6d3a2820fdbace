"""How time and memory grow with channels, horizon and batch."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from utils.benchmark.clock import Counts, MatrixRates
from utils.benchmark.contestants import Bench, Mode, Size
from utils.benchmark.needs import CPU, arithmetic
from utils.benchmark.rows import add_rates, gibibytes, measure_row
from utils.benchmark.settings import settings, title
from utils.benchmark.targets import judge, target_lines
from utils.errors import UserError

logger = logging.getLogger("calf")

# Rows with few windows are measured three times, one that takes long once.
COUNTS = Counts(train=3, evaluation=3, warm_up=1, enough=5.0)


@dataclass(frozen=True)
class Sweep:
    """Which sizes are measured.

    Attributes:
        base: every size but for what varies. channels, pred_lens: each with each, at the base's batch size.
        batches: at the base's channels and horizon.
    """

    base: Size
    channels: Sequence[int] = (7, 21, 321, 862)
    pred_lens: Sequence[int] = (96, 720)
    batches: Sequence[int] = (8, 32, 128)

    def sizes(self) -> list[Size]:
        """Each size once, those of the channels first."""
        by_channels = (replace(self.base, channels=c, pred_len=h) for h in self.pred_lens for c in self.channels)
        by_batch = (replace(self.base, batch_size=b) for b in self.batches)
        return list(dict.fromkeys([*by_channels, *by_batch]))


def measure_growth(sweep: Sweep, modes: Sequence[Mode], device: torch.device) -> dict[str, Any]:
    """A row for each size and mode, as plain values.

    Raises:
        UserError: a size cannot be built; before anything is measured.
    """
    sizes = sweep.sizes()
    if not sizes or not modes:
        raise UserError("There is nothing to measure: name channels and horizons, or batches.")
    Bench(replace(sweep.base, channels=max(size.channels for size in sizes), batch_size=1), CPU)
    rates = MatrixRates(device, {mode.precision for mode in modes})
    rows, works = [], []
    for size in sizes:
        work = arithmetic(size)
        for mode in modes:
            rows.append(measure_row(size, mode, device, COUNTS))
            works.append(work)
            logger.info("%d of %d: %s", len(rows), len(sizes) * len(modes), _seconds(rows[-1]))
        rates.take()
    medians = rates.medians()
    for row, work in zip(rows, works, strict=True):
        add_rates(row, work, medians)
    return {
        "base": asdict(sweep.base),
        "matrix_gflops_per_s": {precision: rate / 1e9 for precision, rate in medians.items()},
        "rows": rows,
        "targets": judge(rows, device.type),
        **settings(device),
    }


def report_growth(figures: Mapping[str, Any]) -> list[str]:
    """The rows as a table."""
    base = figures["base"]
    checkpointed = any(row["grad_checkpoint"] for row in figures["rows"])
    return [
        f"windows of {base['seq_len']} steps, {base['gpt_layers']} blocks of {base['llm']}"
        f"{', activations recomputed' if checkpointed else ''}",
        *title(figures),
        f"{'channels':>8}{'horizon':>8}{'batch':>6}  {'mode':14}{'s/train step':>13}{'of rate':>8}"
        f"{'peak memory':>12}{'s/evaluation':>13}{'of rate':>8}{'peak memory':>12}",
        *_table(figures["rows"]),
        *target_lines(figures["targets"]),
    ]


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        start = f"{row['channels']:>8}{row['pred_len']:>8}{row['batch_size']:>6}  {row['mode']:14}"
        if "skipped" in row:
            yield f"{start}skipped: {row['skipped']}"
            continue
        yield (
            f"{start}{row['train_seconds']:>13.3g}{row['train_share_of_matrix_rate']:>8.0%}"
            f"{gibibytes(row['train_peak_bytes']):>12}{row['evaluation_seconds']:>13.3g}"
            f"{row['evaluation_share_of_matrix_rate']:>8.0%}{gibibytes(row['evaluation_peak_bytes']):>12}"
        )


def _seconds(row: Mapping[str, Any]) -> str:
    what = f"{row['channels']} channels, horizon {row['pred_len']}, batch {row['batch_size']}, {row['mode']}"
    if "skipped" in row:
        return f"{what}: skipped, {row['skipped']}"
    return f"{what}: training step {row['train_seconds']:.3g} s, evaluation {row['evaluation_seconds']:.3g} s"
