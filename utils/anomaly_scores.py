"""Score how well energies tell anomalies: without a threshold, with one, and as the field does.

Shapes: M rows, in order of time.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

SEED = 0
BUFFER = 500  # rows around an anomaly, at most, over which VUS-PR averages: aeon's own


def threshold_free(energies: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """Return VUS-PR (Paparrizos et al., VLDB 2022) and the area under the precision-recall curve, by aeon.

    Both are None where all rows are anomalous or none is.

    Args:
        energies: (M,), higher in an anomaly.
        labels: (M,), True in an anomaly.
    """
    if labels.all() or not labels.any():
        return {"vus_pr": None, "auc_pr": None}
    from aeon.benchmarking.metrics.anomaly_detection import pr_auc_score, range_pr_vus_score

    truth, scores = labels.astype(int), energies.astype(float)
    return {
        "vus_pr": float(range_pr_vus_score(truth, scores, max_buffer_size=BUFFER)),
        "auc_pr": float(pr_auc_score(truth, scores)),
    }


def range_f(flags: np.ndarray, labels: np.ndarray) -> float:
    """Return range F (Tatbul et al., NeurIPS 2018) of rows that are flagged, by aeon."""
    if not flags.any() or not labels.any():
        return 0.0
    from aeon.benchmarking.metrics.anomaly_detection import range_f_score

    return float(range_f_score(labels.astype(int), flags.astype(int)))


def with_labels(flags: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return accuracy, and precision, recall and F1 of the anomalous rows; 0 where a quotient has no denominator."""
    hits, flagged, anomalous = int((flags & labels).sum()), int(flags.sum()), int(labels.sum())
    return {
        "accuracy": float((flags == labels).mean()),
        "precision": hits / flagged if flagged else 0.0,
        "recall": hits / anomalous if anomalous else 0.0,
        "f1": 2 * hits / (flagged + anomalous) if flagged + anomalous else 0.0,
    }


def adjusted(flags: np.ndarray, labels: np.ndarray, released: bool = False) -> np.ndarray:
    """Return flags with every labelled segment whole that holds one: point adjustment, which uses the labels.

    Args:
        released: leave the first of all rows as it was, as the authors' code does.
    """
    found = flags.copy()
    for first, last in segments(labels):
        if flags[first:last].any():
            found[first:last] = True
    if released and len(flags):
        found[0] = flags[0]
    return found


def segments(labels: np.ndarray) -> list[tuple[int, int]]:
    """Return the first row of each run of True and the row after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], labels, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def scores_of(
    energies: np.ndarray, threshold: float, labels: np.ndarray, series: Mapping[str, slice], released: bool = False
) -> dict[str, Any]:
    """Return all scores of energies (M,) at a threshold.

    Threshold-free scores and range F are means over the series; counts of rows are over all of them. ``pa_f1`` is the
    field's point-adjusted F1, and ``pa_f1_of_random`` that of as many flags at random.

    Args:
        series: rows of each series by its name.
        released: adjust as the authors' code does.
    """
    flags = energies > threshold
    by_series = {
        name: threshold_free(energies[rows], labels[rows]) | {"range_f": range_f(flags[rows], labels[rows])}
        for name, rows in series.items()
    }
    known = [scores for scores in by_series.values() if scores["vus_pr"] is not None]
    means = {
        name: float(np.mean([scores[name] for scores in known])) if known else None
        for name in ("vus_pr", "auc_pr", "range_f")
    }
    random = np.zeros(len(flags), dtype=bool)
    random[np.random.default_rng(SEED).permutation(len(flags))[: int(flags.sum())]] = True
    found = {
        **means,
        **with_labels(flags, labels),
        "pa_f1": with_labels(adjusted(flags, labels, released), labels)["f1"],
        "pa_f1_of_random": with_labels(adjusted(random, labels, released), labels)["f1"],
        "threshold": float(threshold),
        "flagged": int(flags.sum()),
    }
    return found | ({"per_series": by_series} if len(by_series) > 1 else {})
