"""Fill the missing values of a file by a model for imputation (``--do_impute``).

Shapes: T rows, L seq_len, C channels.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import models
from data_provider.config import data_file
from data_provider.datasets import find_dataset
from data_provider.hidden import read_with_gaps
from data_provider.reading import Frame, Reading, counted, written_dates
from exp.config import RunConfig
from exp.evaluation import Predictor
from exp.filled_file import write_filled
from exp.forecast_files import deliver
from exp.options import Command
from exp.trained_series import TrainedSeries
from models.base import Model, check_finite
from utils.command import is_main_process
from utils.compute import Compute
from utils.device import pick_device
from utils.errors import UserError, shown_path
from utils.files import alone_in, read_json
from utils.plots import plot_filled
from utils.results import TEST, imputation_verdict

logger = logging.getLogger(__name__)

CSV, PICTURE = "imputed.csv", "imputed.png"
DRAWN, AROUND, SHOWN = 4, 48, 240  # columns of the picture, rows beside a gap, and rows of a gap at most
BATCH = 64
OVERLAPS, UNSEEN = 4, 1e-3  # windows that see a row, and how much one counts that sees nothing of a channel


def impute_file(folder: Path, config: RunConfig, command: Command) -> None:
    """Write the file of a run with its missing values filled, ``imputed.csv``, and a picture; fill ``--output``.

    Raises:
        UserError: checkpoint or file cannot be used, or do not fit each other.
    """
    if not is_main_process():
        return
    runtime, spec = config.runtime, find_dataset(config.data.data)
    if spec.made:
        raise UserError(f"--do_impute needs a file: --data_path FILE; nothing is missing in --data {config.data.data}.")
    model = models.load(folder)
    series = TrainedSeries.of(model)
    compute = Compute(pick_device(runtime.device, runtime.use_gpu, runtime.gpu), series.precision)
    path = data_file(config.data, spec)
    reading = replace(Reading.of(config.data, spec), columns=series.columns, trained=True)
    frame = read_with_gaps(path, reading)
    gone = np.zeros(frame.values.shape, dtype=bool) if frame.filled is None else frame.filled
    filled = fill_in(frame, gone, model.to(compute.device), series, compute)
    filled[:, : series.scored.start or 0] = np.nan  # what the model was not trained to find
    with alone_in(config.results):
        count = write_filled(config.results / CSV, path, reading, frame, filled)
        if gone.any():
            draw(config.results / PICTURE, frame, gone, filled, config.model)
    for line in (*_lines(frame, gone, count), *_shown_in_test(folder)):
        logger.info(line)
    deliver(config, "imputed", config.results / CSV, config.results / PICTURE if gone.any() else None)


def fill_in(frame: Frame, gone: np.ndarray, model: Model, series: TrainedSeries, compute: Compute) -> np.ndarray:
    """Return what a model finds for all rows (T, C), in the units of the file.

    Windows overlap. Where several see a row, they are averaged: one counts the more, the nearer the row lies to its
    middle and the more values of the channel it sees.

    Raises:
        UserError: the file has fewer rows than a window.
    """
    rows, length = len(frame.values), model.config.seq_len
    if rows < length:
        raise UserError(
            f"{frame.source} has {rows:,} rows, and the model sees windows of {length:,} (--seq_len): give more rows, "
            "or train with shorter windows."
        )
    values = torch.from_numpy((frame.values - series.mean) / series.scale).float()
    shown = torch.from_numpy(~gone)
    hop = max(1, length // OVERLAPS)
    starts = torch.tensor(sorted({*range(0, rows - length + 1, hop), rows - length}))
    predictor = Predictor(model, compute, BATCH)
    total, weights = torch.zeros(2, *values.shape, dtype=torch.float64)
    nearness = 1 + torch.minimum(torch.arange(length), torch.arange(length).flip(0))[:, None]  # (L, 1)
    with predictor.evaluating():
        for some in starts.split(BATCH):
            places = some[:, None] + torch.arange(length)
            visible = shown[places]
            told = {"visible": visible.float()} if model.config.takes_visible else {}
            windows = predictor.forecast(torch.where(visible, values[places], 0.0), **told).cpu().double()
            check_finite(windows, frame.source)
            for start, window, seen in zip(some.tolist(), windows, visible, strict=True):
                weight = nearness * (UNSEEN + seen.double().mean(dim=0))
                total[start : start + length] += weight * window
                weights[start : start + length] += weight
    return (total / weights).numpy() * series.scale + series.mean


def draw(path: Path, frame: Frame, gone: np.ndarray, filled: np.ndarray, model: str) -> None:
    """Draw the columns with most missing values around the longest gap."""
    columns = np.argsort(-gone.sum(axis=0), kind="stable")[:DRAWN]
    columns = [int(c) for c in columns if gone[:, c].any() and not np.isnan(filled[:, c]).any()]
    if not columns:
        return
    at, steps = longest_gap(gone[:, columns[0]], SHOWN)
    rows = slice(max(0, at - AROUND), at + min(steps, SHOWN) + AROUND)
    known = np.where(gone, np.nan, frame.values)[rows]
    title = f"{model}: missing values of {Path(frame.source).name}, around a gap of {steps} row(s)"
    names = {c: frame.columns[c] for c in columns}
    plot_filled(path, counted(frame.dates[rows], frame.form), known, gone[rows], {"filled": filled[rows]}, names, title)


def longest_gap(gone: np.ndarray, most: int | None = None) -> tuple[int, int]:
    """Return the first row and the length of the longest run of missing values (T,).

    Args:
        most: prefer one of at most so many rows, where there is any.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], gone, [False]]).astype(np.int8)))
    begins, lengths = edges[::2], edges[1::2] - edges[::2]
    fitting = lengths <= (most or len(gone))
    longest = int(np.argmax(np.where(fitting, lengths, 0) if fitting.any() else lengths))
    return int(begins[longest]), int(lengths[longest])


def _shown_in_test(folder: Path) -> list[str]:
    """Return whether the model of a checkpoint beat simple fills in its test, in words."""
    try:
        record = read_json(folder / TEST)
        lines = [*imputation_verdict(record["metrics"], str(record["model"]))]
        return [f"In its test, on {int(record['windows']):,} windows:", *(f"  {line}" for line in lines)]
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"Whether the model beats linear interpolation is not known: {shown_path(folder)} was not tested."]


def _lines(frame: Frame, gone: np.ndarray, count: int) -> Iterator[str]:
    """Yield what was filled."""
    yield ""
    if not gone.any():
        yield f"Nothing is missing in {frame.source}: it is written as it is."
        return
    missing = ", ".join(f"{name} {n:,}" for name, n in zip(frame.columns, gone.sum(axis=0), strict=True) if n)
    rows = int((frame.rows < 0).sum()) if frame.rows is not None else 0
    added = f", {rows:,} of {len(frame.dates):,} rows were missing and are added" if rows else ""
    yield f"Filled {count:,} missing values of {frame.source} ({missing}){added}"
    at, steps = max((longest_gap(column) for column in gone.T if column.any()), key=lambda gap: gap[1])
    first = written_dates(frame.dates[[at]], frame.offset, frame.form)[0]
    yield f"  the longest gap has {steps:,} row(s) and begins at {first}"
    for note in frame.notes:
        yield f"  note: {note}"
