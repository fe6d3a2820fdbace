"""Classify the cases of a file with a trained model (``--do_classify``). Shapes: N cases, K classes."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import models
from data_provider.classification import Cases, CaseScaler, check_channels, fill, numbers, pad
from data_provider.ts_file import TsFile, read_ts
from exp.classifier import Classifier
from exp.config import RunConfig
from exp.evaluation import evaluation_batch_size
from exp.forecast_files import deliver
from exp.options import Command
from models.base import Model, check_finite
from models.checkpoint import CONFIG
from utils.class_scores import class_scores, class_verdict, confusions
from utils.command import is_main_process
from utils.compute import Compute
from utils.device import pick_device
from utils.errors import UserError, shown_path
from utils.files import alone_in, read_json, replacing
from utils.plots import plot_matrix
from utils.results import TEST

logger = logging.getLogger(__name__)

CSV, PICTURE = "classes.csv", "classes.png"
DRAWN = 40  # cases of a picture
MOST_LISTED = 5


def classify_file(folder: Path, config: RunConfig, command: Command) -> None:
    """Write ``classes.csv``, a class and probabilities for each case of a file, and a picture; fill ``--output``.

    The file is the one that the flags name, else the test file of the training data.

    Raises:
        UserError: checkpoint or file cannot be used, or do not fit each other.
    """
    if not is_main_process():
        return
    runtime = config.runtime
    path = config.data.file if runtime.loaded_from else config.data.training_files()[1]
    model = models.load(folder)
    classes, scaler = _trained_on(model)
    file = read_ts(path)
    cases = _fitted(file, model, scaler, classes)
    device = pick_device(runtime.device, runtime.use_gpu, runtime.gpu)
    precision = config.training.precision  # that it was tested in
    compute = Compute(device, "fp32" if precision == "fp16" and device.type == "cpu" else precision)
    size = runtime.eval_batch_size or evaluation_batch_size(model.config.channels, model.config.seq_len)
    logits = Classifier(model.to(device), compute, size).logits(cases, "classes", alone=True)
    check_finite(logits, shown_path(path))
    probabilities = logits.double().softmax(-1).numpy()
    results = config.results
    with alone_in(results):
        write_classes(results / CSV, probabilities, classes, file.labels)
        _draw(results / PICTURE, file, probabilities, classes, config.model)
    for line in (*_lines(file, probabilities, classes), *_shown_in_test(folder, model)):
        logger.info(line)
    deliver(config, "classes", results / CSV, results / PICTURE)


def _trained_on(model: Model) -> tuple[list[str], CaseScaler]:
    """Return classes and statistics that a checkpoint holds; raise UserError where it holds none that fit."""
    try:
        data = model.stored.extras["data"]
        classes = [str(name) for name in data["classes"]]
        mean, scale = (np.array(data["scaler"][name], dtype=np.float64) for name in ("mean", "scale"))
        sound = mean.shape == scale.shape == (model.config.channels,) and len(classes) == model.config.classes
        if sound and np.isfinite([mean, scale]).all() and (scale > 0).all():
            return classes, CaseScaler(mean, scale)
        reason = "its classes or statistics do not fit the model"
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing or of another kind"
    path = shown_path(model.stored.folder / CONFIG)
    raise UserError(f"{path} cannot be used to classify: {reason}. Train anew or restore it.")


def _fitted(file: TsFile, model: Model, scaler: CaseScaler, classes: Sequence[str]) -> Cases:
    """Return the cases of a file as the model takes them; raise UserError where they do not fit it."""
    check_channels(file, model.config.channels, shown_path(model.stored.folder.name))
    longest = max(range(len(file.values)), key=lambda i: len(file.values[i]))
    steps, most = len(file.values[longest]), model.config.seq_len
    if steps > most:
        raise UserError(
            f"{shown_path(file.source)}: case {longest + 1} has {steps:,} steps, and the model takes {most:,} at most, "
            "as many as the longest case that it was trained or tested on: cut the case, or train anew with it."
        )
    found = None if file.labels is None else numbers(file.labels, classes)
    return pad([fill(case) for case in file.values], scaler, most, file.source, found)


def write_classes(path: Path, probabilities: np.ndarray, classes: Sequence[str], labels: Sequence[str] | None) -> None:
    """Write the class of each case, numbered from 1, the true one where it is known, and all probabilities (N, K)."""
    table: dict[str, Any] = {"sample": np.arange(1, len(probabilities) + 1)}
    table["class"] = [classes[k] for k in probabilities.argmax(-1)]
    if labels is not None:
        table["true_class"] = labels
    table |= {f"probability_{name}": probabilities[:, k] for k, name in enumerate(classes)}
    with replacing(path) as temporary:
        pd.DataFrame(table).to_csv(temporary, index=False, float_format="%.6f")


def _draw(path: Path, file: TsFile, probabilities: np.ndarray, classes: Sequence[str], model: str) -> None:
    """Draw what was found of which classes where these are known, else the probabilities of the first cases."""
    title = f"{model}: {file.source.name}"
    if file.labels is not None:
        names = [*classes, *sorted({*file.labels} - {*classes})]
        counts = confusions(numbers(file.labels, names), probabilities.argmax(-1), len(names))
        plot_matrix(path, counts[:, : len(classes)], names, classes, title, "true class", "class found", whole=True)
        return
    rows = [str(number) for number in range(1, len(probabilities) + 1)][:DRAWN]
    plot_matrix(path, probabilities[:DRAWN], rows, classes, f"{title}, probabilities", "case", "class", whole=False)


def _lines(file: TsFile, probabilities: np.ndarray, classes: Sequence[str]) -> Iterator[str]:
    """Yield what was found."""
    found = probabilities.argmax(-1)
    counts = ", ".join(f"{(found == k).sum():,} of {shown_path(classes[k])}" for k in np.unique(found))
    yield ""
    yield f"Classified the {len(found):,} cases of {shown_path(file.source)}: {counts}"
    if missing := sum(int(np.isnan(case).sum()) for case in file.values):
        yield f"  note: {missing:,} missing values are filled linearly within their case"
    if file.labels is None:
        yield "  the file holds no classes to compare with (@classLabel false)"
        return
    scores = class_scores(numbers(file.labels, classes), found)
    yield f"  accuracy {scores['accuracy']:.4f}, balanced {scores['balanced_accuracy']:.4f} against those in the file"
    if unknown := sorted({*file.labels} - {*classes}):
        shown = ", ".join(map(shown_path, unknown[:MOST_LISTED]))
        yield f"  note: the model does not know {shown}: cases of such a class count as not found"


def _shown_in_test(folder: Path, model: Model) -> list[str]:
    """Return whether the model of a checkpoint beat its rivals in its test, in words."""
    try:
        record = read_json(folder / TEST)
        lines = [*class_verdict(record["metrics"], str(record["model"]))]
        selected = ", the epoch chosen on them" if model.stored.extras["data"].get("selected_on") == "test" else ""
        return [f"In its test, on {int(record['cases']):,} cases{selected}:", *(f"  {line}" for line in lines)]
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"How good the model is is not known: {shown_path(folder)} was not tested."]
