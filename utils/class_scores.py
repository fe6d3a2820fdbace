"""Score found classes, and say in words who found more. Shapes: N cases, K classes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from utils.errors import shown_path
from utils.files import replacing
from utils.results import compare, format_metric

TITLES = {"accuracy": "accuracy", "balanced_accuracy": "balanced", "macro_f1": "macro F1"}
NAMES = {"majority_class": "majority class", "MiniRocket": "classifier MiniRocket"}


def class_scores(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Return scores of classes (N,) that were found for cases of known classes (N,); higher is better.

    ``accuracy`` is the share of cases; ``balanced_accuracy`` the mean share over the classes that there are;
    ``macro_f1`` the mean F1 over all classes that there are or that were found.
    """
    return {
        "accuracy": float((truth == found).mean()),
        "balanced_accuracy": float(
            recall_score(truth, found, labels=np.unique(truth), average="macro", zero_division=0)
        ),
        "macro_f1": float(f1_score(truth, found, average="macro", zero_division=0)),
    }


def confusions(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Return how often (K, K) each class, a row, was found to be each class, a column."""
    return confusion_matrix(truth, found, labels=range(classes))


def write_confusions(path: Path, counts: np.ndarray, classes: Sequence[str]) -> None:
    """Write a matrix of :func:`confusions` as CSV: a row a true class, a column a found one."""
    table = pd.DataFrame(counts, pd.Index(classes, name="true class"), classes)
    with replacing(path) as temporary:
        table.to_csv(temporary)


def class_table(reports: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the lines of a table of ``class_scores`` and seconds by name, the model first."""
    width = max(16, *(len(name) + 2 for name in reports))
    yield ""
    yield "Test scores (higher is better)"
    yield " " * width + "".join(f"{title:>12}" for title in (*TITLES.values(), "seconds"))
    for name, report in reports.items():
        figures = "".join(f"{format_metric(report[key]):>12}" for key in TITLES)
        yield f"  {name.replace('_', ' '):<{width - 2}}{figures}{report['seconds']:>12.1f}"
    yield ""


def class_verdict(reports: Mapping[str, Mapping[str, float]], model: str) -> Iterator[str]:
    """Yield lines that say whether a model finds more classes than its rivals do, and what to use where it does not."""
    accuracy = {name: report["accuracy"] for name, report in reports.items()}
    rivals = [name for name in reports if name != model]
    for name in rivals:
        own, other = accuracy[model], accuracy[name]
        yield compare(model, NAMES.get(name, shown_path(name)), "accuracy", own, other, higher=True)
    best = max(rivals, key=accuracy.__getitem__)
    if accuracy[best] > accuracy[model]:
        yield f"The better choice for these data is the {NAMES.get(best, best)}: use that, not {model}."
