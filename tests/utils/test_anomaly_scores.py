"""Scores of anomaly detection."""

import numpy as np
import pytest

from utils.anomaly_scores import adjusted, range_f, scores_of, segments, threshold_free, with_labels


@pytest.fixture(autouse=True)
def short_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Average over fewer buffers: aeon takes seconds for all of them, however short a series is."""
    monkeypatch.setattr("utils.anomaly_scores.BUFFER", 10)


LABELS = np.array([1, 1, 0, 0, 1, 1, 1, 0, 0, 0], dtype=bool)
FLAGS = np.array([0, 1, 0, 0, 0, 0, 1, 1, 0, 0], dtype=bool)


def test_rows_are_counted() -> None:
    assert with_labels(FLAGS, LABELS) == pytest.approx({"accuracy": 0.6, "precision": 2 / 3, "recall": 0.4, "f1": 0.5})
    assert with_labels(np.zeros(10, bool), LABELS)["f1"] == 0


def test_adjustment_fills_segments_with_a_hit_and_the_released_one_leaves_row_0() -> None:
    assert adjusted(FLAGS, LABELS).astype(int).tolist() == [1, 1, 0, 0, 1, 1, 1, 1, 0, 0]
    assert adjusted(FLAGS, LABELS, released=True).astype(int).tolist() == [0, 1, 0, 0, 1, 1, 1, 1, 0, 0]
    assert segments(LABELS) == [(0, 2), (4, 7)]


def test_a_score_that_knows_all_is_perfect_and_chance_is_not() -> None:
    labels = np.zeros(600, dtype=bool)
    labels[300:330] = True
    perfect = threshold_free(labels.astype(float), labels)
    chance = threshold_free(np.random.default_rng(0).random(600), labels)
    assert perfect["auc_pr"] == pytest.approx(1)
    assert perfect["vus_pr"] > 0.8 > 0.3 > chance["vus_pr"]
    assert chance["auc_pr"] < 0.15
    assert range_f(labels, labels) == pytest.approx(1)


def test_without_both_kinds_of_rows_there_is_no_score() -> None:
    assert threshold_free(np.arange(5.0), np.zeros(5, bool)) == {"vus_pr": None, "auc_pr": None}


def test_scores_are_means_over_series_and_counts_are_over_all_rows() -> None:
    labels = np.zeros(400, dtype=bool)
    labels[[50, 51, 52, 250, 251]] = True
    energies = np.random.default_rng(1).random(400)
    energies[labels] += 5
    series = {"a": slice(0, 200), "b": slice(200, 300), "quiet": slice(300, 400)}
    found = scores_of(energies, 2.0, labels, series)
    assert found["per_series"]["quiet"]["vus_pr"] is None
    for name in ("vus_pr", "auc_pr", "range_f"):
        assert found[name] == pytest.approx(np.mean([found["per_series"][one][name] for one in "ab"]))
    assert (found["f1"], found["pa_f1"], found["flagged"]) == (1, 1, 5)


def test_adjusting_by_labels_makes_chance_look_good() -> None:
    labels = np.zeros(5000, dtype=bool)
    for start in range(200, 5000, 500):
        labels[start : start + 100] = True
    found = scores_of(np.random.default_rng(2).random(5000), 0.95, labels, {"": slice(None)})
    assert found["f1"] < 0.2 and found["pa_f1"] > 0.7 and found["pa_f1_of_random"] > 0.7
