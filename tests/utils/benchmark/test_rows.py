"""A row holds what was asked for, or says why not."""

import pytest
import torch

from tests.utils.benchmark.tiny import CPU, TINY
from utils.benchmark import rows
from utils.benchmark.clock import Counts
from utils.benchmark.contestants import Bench, Mode
from utils.benchmark.needs import Arithmetic
from utils.benchmark.rows import add_rates, compare, measure_row

ONCE = Counts(1, 1, 0)


def test_figures_follow_from_seconds_and_the_rate_of_the_own_precision() -> None:
    row = {"mode": "bf16-compiled", "batch_size": 8, "train_seconds": 2.0, "evaluation_seconds": 0.5}
    add_rates(row, Arithmetic(600, 100), {"fp32": 100.0, "bf16": 400.0})
    assert row["train_share_of_matrix_rate"] == 600 / 2 / 400
    assert row["evaluation_share_of_matrix_rate"] == 100 / 0.5 / 400
    assert (row["train_steps_per_s"], row["evaluated_windows_per_s"]) == (0.5, 16)
    plain = {"mode": "plain", "batch_size": 8, "train_seconds": 6.0, "evaluation_seconds": 5.0}
    add_rates(plain, Arithmetic(600, 100), {"fp32": 100.0, "bf16": 400.0})
    assert plain["train_share_of_matrix_rate"] == 1.0
    row["train_peak_bytes"], plain["train_peak_bytes"] = 10, 40
    compare(row, plain)
    assert (row["train_speed_up"], row["evaluation_speed_up"], row["train_memory_of_plain"]) == (3, 10, 0.25)


def test_plain_seconds_are_those_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "seconds", lambda work, *rest: 3.0)
    assert measure_row(TINY, None, CPU, ONCE)["evaluation_seconds"] == 3.0 * TINY.batch_size
    assert measure_row(TINY, Mode(), CPU, ONCE)["evaluation_seconds"] == 3.0


def test_what_the_machine_cannot_bear_is_skipped_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "available_memory", lambda: 1)
    for row in (measure_row(TINY, Mode(), CPU, ONCE), measure_row(TINY, None, CPU, ONCE)):
        assert "GiB are free" in row["skipped"]
        assert "train_seconds" not in row


def test_a_gpu_that_runs_out_of_memory_skips_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(bench: Bench) -> None:
        raise torch.cuda.OutOfMemoryError("full")

    monkeypatch.setattr(Bench, "train_step", full)
    assert "GPU" in measure_row(TINY, Mode(), CPU, ONCE)["skipped"]
    assert "GPU" in measure_row(TINY, None, CPU, ONCE)["skipped"]


def test_a_skipped_row_gets_no_figures() -> None:
    row = {"mode": "fp32", "skipped": "too large"}
    add_rates(row, Arithmetic(1, 1), {"fp32": 1.0})
    compare(row, row)
    assert row == {"mode": "fp32", "skipped": "too large"}
