"""Score the rows of a file by a model for anomaly detection (``--do_detect``).

Shapes: T rows, C channels, L seq_len.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

import models
from data_provider.anomaly import RowWindows, apart, read_series
from data_provider.config import data_file
from data_provider.datasets import find_dataset
from data_provider.reading import Frame, Reading, counted, written_dates
from data_provider.windows import make_loader
from exp.config import RunConfig
from exp.evaluation import Predictor
from exp.forecast_files import deliver
from exp.options import Command
from models.base import Model, check_finite
from models.checkpoint import CONFIG
from utils.anomaly_scores import segments, with_labels
from utils.command import is_main_process
from utils.compute import Compute
from utils.device import pick_device
from utils.errors import UserError, shown_path
from utils.files import alone_in, replacing
from utils.plots import first_and_last, plot_scores
from utils.results import SCORES

logger = logging.getLogger(__name__)

CSV, PICTURE = "anomalies.csv", "anomalies.png"
USUAL_RATE = 0.001  # one false alarm in 1,000 normal rows
BATCH, LISTED, DIGITS = 64, 10, 6


def detect_in_file(folder: Path, config: RunConfig, command: Command) -> None:
    """Write a score for each row and channel of a file, and which rows are flagged; draw them; fill ``--output``.

    Raises:
        UserError: checkpoint or file cannot be used, or do not fit each other.
    """
    if not is_main_process():
        return
    data, runtime, spec = config.data, config.runtime, find_dataset(config.data.data)
    if spec.made or not (data.is_table or data.data == "NAB"):
        raise UserError(f"--do_detect is for a CSV file (--data_path FILE), not for --data {data.data}.")
    model = models.load(folder)
    columns, mean, scale = trained_on(model)
    path = data_file(data, spec) if data.is_table else data.files()[0]
    reading = replace(Reading.of(data, spec), columns=columns, trained=True)
    frame, labels, _ = read_series(path, reading, data.label_col)
    compute = Compute(pick_device(runtime.device, runtime.use_gpu, runtime.gpu), config.training.precision)
    errors = errors_of((frame.values - mean) / scale, model.to(compute.device), compute, frame.source)
    scores, rate = errors.mean(axis=1), data.alarm_rate or USUAL_RATE
    threshold, known = threshold_of(folder, rate)
    flags = scores > threshold
    with alone_in(config.results):
        save(config.results / CSV, frame, errors, flags)
        shown = first_and_last(frame.columns)
        plot_scores(
            config.results / PICTURE,
            scores,
            threshold,
            labels,
            f"{config.model} on {Path(frame.source).name}: {len(segments(flags)):,} flagged span(s)",
            np.asarray(counted(frame.dates, frame.form)),
            {name: frame.values[:, c] for c, name in shown.items()},
        )
    for line in _lines(frame, scores, flags, labels, rate, threshold, known):
        logger.info(line)
    deliver(config, "anomalies", config.results / CSV, config.results / PICTURE)


def trained_on(model: Model) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return the columns that a model was trained on, their mean and their scale; raise UserError if one is missing."""
    try:
        data: Any = model.stored.extras["data"]
        columns = tuple(str(name) for name in data["columns"])
        mean, scale = (np.array(data["scaler"][name], dtype=float) for name in ("mean", "scale"))
        if not (len(columns) == len(mean) == len(scale) == model.config.channels and (scale > 0).all()):
            raise ValueError("its columns and its scaler do not fit each other")
    except (KeyError, TypeError, ValueError) as error:
        path = shown_path(model.stored.folder / CONFIG)
        raise UserError(f"{path} cannot be used to score a file ({error}). Train anew or restore it.") from error
    return columns, mean, scale


def errors_of(values: np.ndarray, model: Model, compute: Compute, source: str) -> np.ndarray:
    """Return the squared errors (T, C) with which a model gives back standardized rows; each row is scored once.

    Raises:
        UserError: there are fewer rows than a window has.
    """
    length = model.config.seq_len
    if len(values) < length:
        raise UserError(
            f"{source} has {len(values):,} rows, and the model sees windows of {length:,} (--seq_len): give more rows, "
            "or train with shorter windows."
        )
    rows = torch.from_numpy(values.astype(np.float32))
    starts, new = apart([(0, len(rows))], length)
    predictor, found = Predictor(model, compute, BATCH), []
    with predictor.evaluating():
        for batch, counts in zip(make_loader(RowWindows(rows, starts, length), BATCH), new.split(BATCH), strict=True):
            again = predictor.forecast(batch.x).cpu()
            check_finite(again, source)
            scored = torch.arange(length) >= length - counts[:, None]
            found.append((again - batch.x).square()[scored].numpy())
    return np.concatenate(found)


def threshold_of(folder: Path, rate: float) -> tuple[float, int]:
    """Return the quantile of a checkpoint's validation scores that a share of them exceeds, and how many there are.

    Raises:
        UserError: the scores are missing: the model was not tested.
    """
    path = folder / SCORES
    try:
        scores = load_file(path)["validation"].double().numpy()
        return float(np.quantile(scores, 1 - rate)), len(scores)
    except (OSError, KeyError, SafetensorError, IndexError) as error:
        raise UserError(
            f"{shown_path(path)} is missing or damaged, and thresholds come from it: test the checkpoint "
            f"(--is_training 0 --load {shown_path(folder)}), or train anew."
        ) from error


def save(path: Path, frame: Frame, errors: np.ndarray, flags: np.ndarray) -> None:
    """Write date, score, flag, the column with the largest error, and the error of each column."""
    dates = written_dates(frame.dates, frame.offset, frame.form)
    most = np.array(frame.columns, dtype=object)[errors.argmax(axis=1)]
    table = pd.DataFrame({"date": dates, "score": errors.mean(axis=1), "flag": flags.astype(int), "column": most})
    table = table.assign(**{f"score {name}": errors[:, c] for c, name in enumerate(frame.columns)})
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")


def _lines(
    frame: Frame,
    scores: np.ndarray,
    flags: np.ndarray,
    labels: np.ndarray | None,
    rate: float,
    threshold: float,
    known: int,
) -> Iterator[str]:
    """Yield how many rows are flagged, the spans with the highest scores, and what labels say of them."""
    yield ""
    found = segments(flags)
    yield f"{int(flags.sum()):,} of {len(flags):,} rows of {frame.source} are flagged, in {len(found):,} span(s)"
    yield (
        f"  threshold {threshold:.5g}: about one false alarm in {1 / rate:,.0f} rows, by {known:,} validation rows "
        "that no training saw (--alarm_rate)"
    )
    if known * rate < 1:
        yield f"  note: {known:,} rows cannot tell so rare an alarm; the threshold is near their highest score"
    dates = written_dates(frame.dates, frame.offset, frame.form)
    for first, last in sorted(found, key=lambda span: -scores[slice(*span)].max())[:LISTED]:
        to = "" if last - first == 1 else f" to {dates[last - 1]}"
        yield f"  {dates[first]}{to}: highest score {scores[first:last].max():.5g}"
    if labels is not None:
        figures = with_labels(flags, labels)
        yield f"  by its labels: precision {figures['precision']:.3f}, recall {figures['recall']:.3f}"
    yield from (f"  note: {note}" for note in frame.notes)
