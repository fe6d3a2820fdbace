"""Compare a model with forecasts that need no training, and phrase the verdict."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import read_json, write_json
from utils.results import format_metric, printable

TEST = "test.json"

SIMPLE = {
    "naive": ("naive forecast", "repeat the last value"),
    "seasonal_naive": ("seasonal naive forecast", "repeat the last season"),
}
MOST_NAMES = 12


def compare(model: str, rival: str, metric: str, own: float, other: float) -> str:
    """Return a sentence that says whether a model beats a rival by a metric: lower is better."""
    shown, against = format_metric(own), format_metric(other)
    relation = "equals" if shown == against else "beats" if own < other else "does NOT beat"
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
        more = f", … and {len(lost) - MOST_NAMES} more" if len(lost) > MOST_NAMES else ""
        yield f"On single columns a simple forecast is the better choice: {', '.join(lost[:MOST_NAMES])}{more}."
    if "best_possible" in mse:
        yield (
            "The best possible forecast, which knows the recipe of this data, has MSE "
            f"{format_metric(mse['best_possible'])}; {model} is at {mse[model] / mse['best_possible']:.2f} times that."
        )


def _lost(reports: Mapping[str, Mapping[str, Any]], model: str, simple: Sequence[str]) -> Iterator[str]:
    """Yield the columns on which a simple forecast is at least as good, with the name of the best of them."""
    columns = {name: reports[name]["standardised"]["per_channel"] for name in (model, *simple)}
    for column, own in columns[model].items():
        if simple and own["mse"] is not None:
            best = min(simple, key=lambda name: columns[name][column]["mse"])
            if not own["mse"] < columns[best][column]["mse"]:
                yield f"{column} ({SIMPLE[best][0].removesuffix(' forecast')})"


def save_skill(folder: Path, record: Mapping[str, Any]) -> None:
    """Save the metrics of a test next to its checkpoint, so that a later forecast can show them."""
    model, scores = record["model"]["name"], record["scores"]["metrics"]
    reports = {name: {"standardised": report["standardised"]} for name, report in scores.items()}
    write_json(folder / TEST, {"model": model, "windows": scores[model]["windows"], "metrics": reports})


def skill_lines(folder: Path) -> list[str]:
    """Return what the test of a checkpoint showed; where there is none to read, a line that says so."""
    path = folder / TEST
    unknown = "whether it beats a naive forecast is not known."
    if not path.exists():
        return [f"{folder} has not been tested: {unknown}"]
    try:
        record = read_json(path)
        lines = [f"  {printable(line)}" for line in verdict(record["metrics"], record["model"])]
        return [f"On the {int(record['windows']):,} windows of the test split:", *lines]
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return [f"{path} cannot be read: {unknown} Test the checkpoint again: --is_training 0 --load {folder}."]
