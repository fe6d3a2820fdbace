"""The benchmark of M4's reader on few series: its files are as published. How fast it is, is no test."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_provider import m4_benchmark
from data_provider.m4 import read_m4
from data_provider.m4_benchmark import generate, measure_m4
from utils.benchmark import __main__ as benchmark
from utils.m4.patterns import PATTERNS


def test_the_generated_series_are_as_long_as_the_published_ones(tmp_path: Path) -> None:
    generate(tmp_path, PATTERNS["Monthly"], 500)
    lengths = np.diff(read_m4(tmp_path, PATTERNS["Monthly"]).offsets)
    assert (lengths.min() >= 42, lengths.max()) == (True, 2794)
    assert lengths.mean() == pytest.approx(216, rel=0.1)


def test_the_benchmark_reports_and_saves_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(m4_benchmark, "BATCHES", 2)
    monkeypatch.setattr(benchmark, "measure_m4", lambda: measure_m4(20))
    output = tmp_path / "m4.json"
    with caplog.at_level("INFO"):
        assert benchmark.main(["--m4", "--output", str(output)]) == 0
    figures = json.loads(output.read_text())
    assert figures["series"] == 20
    assert figures["values"] > 2794
    assert figures["read_seconds"] > 0
    assert "20 series" in caplog.text
    assert "a batch of 512 drawn in" in caplog.text
