"""What a run leaves behind for people and programs: a table, a JSON record, a line in a text file."""

import errno
import math
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.files import in_turn, replacing, write_json

RECORD = "metrics.json"
FIGURES = ("mse", "mae", "smape", "mase", "mape", "owa")
MOST_CHANNELS = 21  # printed; the record has them all
SCALES = {"standardised": "the standardised scale, as in papers", "original_units": "the data's units"}


def save_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``metrics.json``, the sign that a run is finished."""
    write_json(folder / RECORD, record)


def save_metrics(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``metrics.npy``: MAE, MSE, RMSE, standardised; then ``metrics.json``, the whole record."""
    with replacing(folder / "metrics.npy") as temporary, temporary.open("wb") as file:
        np.save(file, np.array([record["mae"], record["mse"], math.sqrt(record["mse"])]))
    save_record(folder, record)


def append_block(path: Path, lines: Iterable[str]) -> None:
    """Append one block, whole or not at all, however many runs do so at once."""
    block = ("\n".join(lines) + "\n\n").encode()
    with in_turn(path), path.open("ab", buffering=0) as file:
        end = file.tell()
        try:
            if file.write(block) < len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError as error:
            file.truncate(end)
            error.filename = error.filename or str(path)
            raise


def comparison(reports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines of two tables, one per scale: MSE and MAE of each forecast, overall, per quarter, per channel.

    Args:
        reports: ``ErrorSums.report`` by name of the forecast, the model first.
    """
    for scale, title in SCALES.items():
        figures = {name: report[scale] for name, report in reports.items()}
        width = max(18, *(len(row) + 2 for row, _ in _rows(figures)))
        yield ""
        yield f"Test errors in {title}"
        yield " " * width + "".join(f"{name.replace('_', ' '):>24}" for name in figures)
        yield " " * width + f"{'MSE':>14}{'MAE':>10}" * len(figures)
        for row, cells in _rows(figures):
            numbers = "".join(f"{_number(cell['mse']):>14}{_number(cell['mae']):>10}" for cell in cells)
            yield f"  {row:<{width - 2}}{numbers}"
        hidden = len(next(iter(figures.values()))["per_channel"]) - MOST_CHANNELS
        if hidden > 0:
            yield f"  … and {hidden} more channels in metrics.json"
    yield ""


def _rows(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, float]]]]:
    first = next(iter(figures.values()))
    yield "all", list(figures.values())
    for i, part in enumerate(first["per_quarter"]):
        yield f"steps {part['steps'][0]}-{part['steps'][1]}", [f["per_quarter"][i] for f in figures.values()]
    for name in list(first["per_channel"])[:MOST_CHANNELS]:
        yield name, [f["per_channel"][name] for f in figures.values()]


def _number(value: float | None) -> str:
    if value is None:
        return "none"  # every target was filled in
    return f"{value:.4f}" if abs(value) < 10_000 else f"{value:.3g}"


def run_title(record: Mapping[str, Any]) -> str:
    """What a record is about: model, data, windows, and whatever makes its figures of another kind."""
    data = f"M4 {record['seasonal_patterns']}" if "seasonal_patterns" in record else record["data"]
    tested = f", tested on {record['target_data']} (zero-shot)" if "target_data" in record else ""
    selected = ", selected on test" if record.get("selected_on") == "test" else ""
    return f"{record['model']} on {data}, {record['seq_len']} -> {record['pred_len']}{tested}{selected}"


def run_figures(record: Mapping[str, Any]) -> str:
    """The figures of a record in a few words."""
    return ", ".join(f"{name}:{record[name]:.4f}" for name in FIGURES if record.get(name) is not None)


def over_seeds(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mean and sample standard deviation of several runs that differ in their seed."""
    first = records[0]
    seeds = ", ".join(str(record["seed"]) for record in records)
    backbone = f"{first['backbone']['name']} ({first['backbone']['init']})"
    parts = []
    for name in FIGURES:
        values = [record.get(name) for record in records]
        if None not in values:
            parts.append(f"{name}:{statistics.mean(values):.6f} ± {statistics.stdev(values):.6f}")
    return [f"{run_title(first)}, backbone {backbone}, mean ± std over seeds {seeds}", ", ".join(parts)]
