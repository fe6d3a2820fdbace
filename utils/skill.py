"""Is the model worth using? In plain words, against the forecasts that need none."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from utils.files import write_json

TEST = "test.json"

SIMPLE = {
    "naive": ("naive forecast", "repeat the last value"),
    "seasonal_naive": ("seasonal naive forecast", "repeat the last season"),
}
MOST_NAMES = 12


def verdict(reports: Mapping[str, Mapping[str, Any]], model: str) -> Iterator[str]:
    """Lines that say whether the model beats the simple forecasts, and what to use where it does not.

    Args:
        reports: ``ErrorSums.report`` by name of the forecast.
    """
    mse = {name: report["standardised"]["mse"] for name, report in reports.items()}
    simple = [name for name in SIMPLE if name in mse]
    for name in simple:
        relation = "beats" if mse[model] < mse[name] else "does NOT beat"
        yield f"{model} {relation} the {SIMPLE[name][0]}: MSE {mse[model]:.4f} against {mse[name]:.4f}."
    best = min(simple, key=mse.__getitem__, default=None)
    if best and not mse[model] < mse[best]:
        title, how = SIMPLE[best]
        yield f"The better choice for these data is the {title} ({how}): use that, not {model}."
    elif lost := [f"{column} ({title})" for column, title in _lost(reports, model, simple)]:
        yield f"On single columns a simple forecast is the better choice: {_listing(lost)}."
    if "best_possible" in mse:
        yield (
            f"The best possible forecast, which knows the recipe of this data, has MSE "
            f"{mse['best_possible']:.4f}; {model} is at {mse[model] / mse['best_possible']:.2f} times that."
        )


def save_skill(folder: Path, record: Mapping[str, Any]) -> None:
    """Put the figures of a test beside its checkpoint, so that a later forecast can tell them."""
    reports = {name: {"standardised": report["standardised"]} for name, report in record["metrics"].items()}
    windows = record["metrics"][record["model"]]["windows"]
    write_json(folder / TEST, {"model": record["model"], "windows": windows, "metrics": reports})


def skill_lines(folder: Path) -> list[str]:
    """What the test of a checkpoint says of it; that there was none, where there was none."""
    try:
        record = json.loads((folder / TEST).read_text(encoding="utf-8"))
        lines = list(verdict(record["metrics"], record["model"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [f"{folder} has not been tested: whether it beats a naive forecast is not known."]
    return [f"On the {record['windows']:,} windows of the test split:", *(f"  {line}" for line in lines)]


def _lost(reports: Mapping[str, Mapping[str, Any]], model: str, simple: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Columns on which a simple forecast is at least as good, with the name of the best of them."""
    columns = {name: reports[name]["standardised"]["per_channel"] for name in (model, *simple)}
    for column, own in columns[model].items():
        if own["mse"] is None or not simple:
            continue
        best = min(simple, key=lambda name: columns[name][column]["mse"])
        if not own["mse"] < columns[best][column]["mse"]:
            yield column, SIMPLE[best][0].removesuffix(" forecast")


def _listing(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f", … and {more} more" if more > 0 else "")
