"""Write what a run found for people and programs: tables, sentences and a block of text, and what a test showed."""

import errno
import math
import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.errors import UserError, shown_lines, shown_path
from utils.files import in_turn, read_json, replacing, write_json

RECORD, TEST = "metrics.json", "test.json"
SCORES = "scores.safetensors"  # of training and validation rows, beside a checkpoint for anomaly detection
ERRORS = "errors.npy"  # (W, 2), MSE and MAE of each test window in float32, in order of time
FORMAT = 2  # of the record; increased when its keys change
MOST_CHANNELS = 21  # printed; the record has them all
MOST_LOST = 12  # columns named in a verdict
SCALES = {"standardised": "the standardised scale, as in papers", "original_units": "the data's units"}
SIMPLE = {
    "naive": ("naive forecast", "repeat the last value"),
    "seasonal_naive": ("seasonal naive forecast", "repeat the last season"),
}

Figure = tuple[str, int, Callable[[float], str]]  # title, width and form of a column


def save_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Write ``metrics.npy``: MAE, MSE and RMSE."""
    with replacing(folder / "metrics.npy") as temporary, temporary.open("wb") as file:
        np.save(file, np.array([metrics["mae"], metrics["mse"], math.sqrt(metrics["mse"])]))


def append_block(path: Path, lines: Iterable[str]) -> None:
    """Append one block of text, whole or not at all, however many runs do so at once.

    A block that is there already, as the last one with its first line, is not repeated: a run that was killed after it
    appended its block is tested again.
    """
    block = (shown_lines("\n".join(lines)) + "\n\n").encode()
    with in_turn(path), path.open("a+b", buffering=0) as file:
        end = file.tell()
        file.seek(0)
        title, before = block.split(b"\n", 1)[0], file.read().split(b"\n\n")
        if [one for one in before if one.split(b"\n", 1)[0] == title][-1:] == [block[:-2]]:
            return
        try:
            if file.write(block) < len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError as error:
            file.truncate(end)
            error.filename = error.filename or str(path)
            raise


def format_metric(value: float) -> str:
    """Return a metric with four decimals; a small one, of which these would hide some, with four digits."""
    return f"{value:.4f}" if value == 0 or not abs(value) < 0.1 else f"{value:.4g}"


def comparison(reports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of two tables, one per scale: MSE and MAE of each forecast, overall, per quarter, per channel.

    The reports are those of ``ErrorSums`` by name of the forecast, the model first.
    """
    yield ""
    for scale, title in SCALES.items():
        if not all(scale in report for report in reports.values()):  # many series have no units in common
            continue
        yield f"Test errors in {title}"
        found = {name.replace("_", " "): report[scale] for name, report in reports.items()}
        yield from _table("all", found, {"mse": ("MSE", 14, _error), "mae": ("MAE", 10, _error)})


def coverage_lines(report: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table of a ``Coverage.report``: coverage and mean width by nominal level."""
    if not report:
        return
    yield "Prediction intervals on the test split: share of the truth inside, mean width (columns in their own units)"
    figures = {"coverage": ("inside", 10, "{:.3f}".format), "width": ("mean width", 14, "{:.5g}".format)}
    yield from _table("all (standardised)", {f"nominal {level}": one for level, one in report.items()}, figures)


def _error(value: float) -> str:
    return format_metric(value) if abs(value) < 10_000 else f"{value:.3g}"


def _table(overall: str, reports: Mapping[str, Mapping[str, Any]], figures: Mapping[str, Figure]) -> Iterator[str]:
    """Yield the lines of a table of some figures by key: overall, per quarter of the horizon if known, per channel."""
    first = next(iter(reports.values()))
    steps, channels = [quarter["steps"] for quarter in first.get("per_quarter", [])], list(first["per_channel"])
    names = [overall, *(f"steps {start}-{end}" for start, end in steps), *channels[:MOST_CHANNELS]]
    columns = [(one, *one.get("per_quarter", []), *one["per_channel"].values()) for one in reports.values()]
    width = max(18, *(len(name) + 2 for name in names))
    yield " " * width + "".join(f"{name:>24}" for name in reports)
    yield " " * width + "".join(f"{title:>{size}}" for title, size, _ in figures.values()) * len(reports)
    for name, *cells in zip(names, *columns, strict=False):
        numbers = [(cell[key], size, form) for cell in cells for key, (_, size, form) in figures.items()]
        # None where every target was filled in, or there is no interval.
        texts = (f"{'none' if value is None else form(value):>{size}}" for value, size, form in numbers)
        yield f"  {name:<{width - 2}}{''.join(texts)}"
    if len(channels) > MOST_CHANNELS:
        yield f"  … and {len(channels) - MOST_CHANNELS} more channels in {RECORD}"
    yield ""


def run_title(record: Mapping[str, Any]) -> str:
    """Return what a run was about: model, data, window lengths, and what makes its metrics of another kind."""
    data, model = record["data"], record["model"]
    pattern = data["config"].get("seasonal_patterns")
    name = f"{data['name'].upper()} {pattern}" if pattern else data["name"]
    ends = ("seq_len", "classes" if model["config"].get("classes") else "pred_len")
    lengths = {**model["config"], **({"seq_len": "searched"} if data["config"].get("searched") else {})}
    steps = " -> ".join(str(lengths[size]) for size in ends if size in lengths)
    steps += " classes" if "classes" in ends else ""
    tested = f", tested on {data['target_data']}" if "target_data" in data else ""
    if tested:
        tested += " (in domain)" if data.get("in_domain") else " (zero-shot)"
    selected = ", selected on test" if data.get("selected_on") == "test" else ""
    shuffled = f", its windows shuffled: {data['shuffle_input']}" if "shuffle_input" in data else ""
    return f"{model['name']} on {name}, {steps}{tested}{shuffled}{selected}"


def run_figures(record: Mapping[str, Any]) -> str:
    """Return the metrics of a run in a few words."""
    metrics = {name: record["scores"][name] for name in record["task"]["metrics"]}
    return ", ".join(f"{name}:{format_metric(value)}" for name, value in metrics.items() if value is not None)


def over_seeds(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return mean and sample standard deviation of runs that differ in their seed, as two lines."""
    first = records[0]
    seeds = ", ".join(str(record["run"]["seed"]) for record in records)
    backbone = first["model"]["origin"].get("backbone")
    network = f", backbone {backbone['name']} ({backbone['init']})" if backbone else ""
    parts = []
    for name in first["task"]["metrics"]:
        values = [record["scores"][name] for record in records]
        if None not in values:
            parts.append(f"{name}:{statistics.mean(values):.6f} ± {statistics.stdev(values):.6f}")
    return [f"{run_title(first)}{network}, mean ± std over seeds {seeds}", ", ".join(parts)]


def over_variants(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of runs that differ in their variant: a row each, over all seeds, and one for their mean.

    The columns are the metrics of the model, and of each rival that all runs have beside it.
    """
    first = records[0]
    model, metrics = first["model"]["name"], first["task"]["metrics"]
    variants = list(dict.fromkeys(record["data"]["variant"] for record in records))
    rivals = [name for name in first["scores"]["metrics"] if name != model]
    cells = [(model, metric) for metric in metrics]
    cells += [(name, metric) for name in rivals for metric in metrics[: 2 if len(metrics) == 2 else 1]]
    titles = [f"{name.replace('_', ' ')} {metric}" for name, metric in cells]

    def row(name: str, chosen: Iterable[Mapping[str, Any]]) -> str:
        reports = [one["scores"]["metrics"] for one in chosen]
        values = [[one[who].get("standardised", one[who]).get(metric) for one in reports] for who, metric in cells]
        shown = ("none" if None in cell else format_metric(statistics.mean(cell)) for cell in values)
        texts = (f"{text:>{len(title) + 2}}" for text, title in zip(shown, titles, strict=True))
        return f"  {name:<{width}}{''.join(texts)}"

    width = max(len(name) for name in (*variants, "mean"))
    seeds = ", ".join(dict.fromkeys(str(record["run"]["seed"]) for record in records))
    return [
        f"{run_title(first)}, {variants[0]} to {variants[-1]}, seed {seeds}",
        " " * (width + 2) + "".join(f"  {title}" for title in titles),
        *(row(name, [record for record in records if record["data"]["variant"] == name]) for name in variants),
        row("mean", records),
    ]


def compare(model: str, rival: str, metric: str, own: float, other: float, higher: bool = False) -> str:
    """Return a sentence that says whether a model beats a rival by a metric: lower is better, or ``higher``."""
    shown, against = format_metric(own), format_metric(other)
    better = own > other if higher else own < other
    relation = "equals" if shown == against else "beats" if better else "does NOT beat"
    return f"{model} {relation} the {rival}: {metric} {shown} against {against}."


def verdict(reports: Mapping[str, Mapping[str, Any]], model: str) -> Iterator[str]:
    """Yield lines that say whether the model beats the simple forecasts, and what to use where it does not.

    The reports are those of ``ErrorSums`` by name of the forecast.
    """
    mse = {name: report["standardised"]["mse"] for name, report in reports.items()}
    simple = [name for name in SIMPLE if name in mse]
    for name in simple:
        yield compare(model, SIMPLE[name][0], "MSE", mse[model], mse[name])
    best = min(simple, key=mse.__getitem__, default=None)
    if best and format_metric(mse[model]) == format_metric(mse[best]):
        yield f"For these data the {SIMPLE[best][0]} ({SIMPLE[best][1]}) is as good as {model}."
    elif best and not mse[model] < mse[best]:
        title, how = SIMPLE[best]
        yield f"The better choice for these data is the {title} ({how}): use that, not {model}."
    elif lost := [*_lost(reports, model, simple)]:
        more = f", … and {len(lost) - MOST_LOST} more" if len(lost) > MOST_LOST else ""
        yield f"On single columns a simple forecast is the better choice: {', '.join(lost[:MOST_LOST])}{more}."
    if "best_possible" in mse:
        yield (
            "The best possible forecast, which knows the recipe of this data, has MSE "
            f"{format_metric(mse['best_possible'])}; {model} is at {mse[model] / mse['best_possible']:.2f} times that."
        )


def imputation_verdict(reports: Mapping[str, Mapping[str, Any]], model: str) -> Iterator[str]:
    """Yield lines that say whether a model finds hidden values better than fills that need no model.

    The reports are those of ``ErrorSums`` by name of the fill.
    """
    mae = {name: report["standardised"]["mae"] for name, report in reports.items()}
    fills = [name for name in reports if name != model]
    for name in fills:
        yield compare(model, name.replace("_", " "), "MAE", mae[model], mae[name])
    best = min(fills, key=mae.__getitem__)
    if not mae[model] < mae[best]:
        yield f"The better choice for these data is the {best.replace('_', ' ')}: use that, not {model}."


ANOMALY_COLUMNS = {
    "vus_pr": "VUS-PR", "auc_pr": "AUC-PR", "range_f": "range F", "precision": "precision", "recall": "recall",
    "f1": "F1", "pa_f1": "PA-F1*", "pa_f1_of_random": "PA-F1* of chance",
}  # fmt: skip


def anomaly_table(metrics: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table of scores by the name of who made them."""
    if all(scores.get("vus_pr") is None for scores in metrics.values()):
        for name, scores in metrics.items():
            yield f"{name}: {scores['flagged']:,} test rows above the threshold {scores['threshold']:.5g}"
        yield "The data have no labels of both kinds: nothing can be said of how good the scores are."
        return
    yield ""
    yield f"  {'':<20}" + "".join(f"{title:>18}" for title in ANOMALY_COLUMNS.values())
    for name, scores in metrics.items():
        cells = (format_metric(scores[key]) if scores.get(key) is not None else "none" for key in ANOMALY_COLUMNS)
        yield f"  {name.replace('_', ' '):<20}" + "".join(f"{cell:>18}" for cell in cells)
    yield "  * point-adjusted by the labels: comparable with published figures, and no measure of skill"
    yield ""


def anomaly_verdict(metrics: Mapping[str, Mapping[str, Any]], model: str) -> Iterator[str]:
    """Yield lines that say whether a model tells anomalies better than what needs no network."""
    own = metrics[model]["vus_pr"]
    others = {name: scores["vus_pr"] for name, scores in metrics.items() if name != model}
    if own is None:
        return
    for name, other in others.items():
        yield compare(model, f"{name.replace('_', ' ')} score", "VUS-PR", own, other, higher=True)
    best = max(others, key=others.__getitem__)
    if others[best] >= own:
        yield f"The better choice for these data is the {best.replace('_', ' ')} score: use that, not {model}."


def _lost(reports: Mapping[str, Mapping[str, Any]], model: str, simple: Sequence[str]) -> Iterator[str]:
    """Yield the columns on which a simple forecast is at least as good, with the name of the best of them."""
    columns = {name: reports[name]["standardised"]["per_channel"] for name in (model, *simple)}
    for column, own in columns[model].items():
        if simple and own["mse"] is not None:
            best = min(simple, key=lambda name: columns[name][column]["mse"])
            if not own["mse"] < columns[best][column]["mse"]:
                yield f"{column} ({SIMPLE[best][0].removesuffix(' forecast')})"


def save_skill(folder: Path, record: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Save the metrics of a test and its answer next to its checkpoint, so that a later forecast can show them."""
    model, record_scores = record["model"]["name"], record["scores"]
    scores = record_scores["metrics"]
    reports = {name: {"standardised": report["standardised"]} for name, report in scores.items()}
    record = {"model": model, "windows": scores[model]["windows"], "metrics": reports}
    record["answer"] = dict(answer)
    write_json(folder / TEST, record | {"coverage": _coverage_of_columns(record_scores.get("intervals", {}))})


def _coverage_of_columns(report: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return from a ``Coverage.report`` the coverage of each column by level."""
    return {
        level: {name: figures["coverage"] for name, figures in of_level["per_channel"].items()}
        for level, of_level in report.items()
    }


def coverage_in_test(folder: Path) -> dict[str, dict[str, float | None]]:
    """Return which share of the truth the intervals of a checkpoint held in its test, by level and column."""
    try:
        found = read_json(folder / TEST)["coverage"]
        return {level: dict(columns) for level, columns in found.items()}
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def skill_lines(folder: Path) -> list[str]:
    """Return what the test of a checkpoint showed; where there is none to read, a line that says so."""
    path = folder / TEST
    unknown = "whether it beats a naive forecast is not known."
    if not path.exists():
        return [f"{folder} has not been tested: {unknown}"]
    try:
        record = read_json(path)
        lines = [f"  {shown_path(line)}" for line in verdict(record["metrics"], record["model"])]
        return [f"On the {int(record['windows']):,} windows of the test split:", *lines]
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return [f"{path} cannot be read: {unknown} Test the checkpoint again: --is_training 0 --load {folder}."]
