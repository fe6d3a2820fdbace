"""A sweep measures the sizes that were asked for."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.utils.benchmark.tiny import CPU, TINY
from utils.benchmark.contestants import Mode
from utils.benchmark.grow import Sweep, measure_growth, report_growth
from utils.benchmark.growth_plot import plot_growth

SWEEP = Sweep(TINY, channels=(3, 2), pred_lens=(8, 4), batches=(2, 4))


def test_channels_meet_each_horizon_and_no_size_comes_twice() -> None:
    assert SWEEP.sizes() == [
        TINY,
        replace(TINY, channels=2),
        replace(TINY, pred_len=4),
        replace(TINY, channels=2, pred_len=4),
        replace(TINY, batch_size=4),
    ]


def test_the_sizes_in_question_are_measured_when_none_are_named() -> None:
    sizes = Sweep(replace(TINY, channels=7, pred_len=96, batch_size=8)).sizes()
    assert [(s.channels, s.pred_len) for s in sizes[:8]] == [(c, h) for h in (96, 720) for c in (7, 21, 321, 862)]
    assert [s.batch_size for s in sizes[8:]] == [32, 128]


def test_every_size_and_mode_is_a_row_of_table_and_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = Sweep(replace(TINY, gpt_layers=1), channels=(3, 2), pred_lens=(8,), batches=(4,))
    figures = measure_growth(sweep, [Mode("fp32"), Mode("bf16")], CPU)
    asked = [(s.channels, s.pred_len, s.batch_size, mode) for s in sweep.sizes() for mode in ("fp32", "bf16")]
    assert [(r["channels"], r["pred_len"], r["batch_size"], r["mode"]) for r in figures["rows"]] == asked
    assert all(r["train_seconds"] > 0 and r["evaluation_seconds"] > 0 for r in figures["rows"])
    three, two, larger = (row["train_gflop"] for row in figures["rows"] if row["mode"] == "fp32")
    assert two < three < larger
    assert len([line for line in report_growth(figures) if "fp32  " in line]) == len(asked) / 2
    drawn: list[tuple[int, list[float]]] = []

    def spy(figure: Figure, *args: object, **kwargs: object) -> None:
        drawn.extend((len(axis.lines), sorted(set(axis.lines[0].get_xdata()))) for axis in figure.axes)

    monkeypatch.setattr(Figure, "savefig", spy)
    plot_growth(tmp_path / "plot.png", figures)
    # Training and evaluation in two modes each, against channels and against batch.
    assert drawn == [(4, [2, 3]), (4, [2, 4])]


def test_a_skipped_row_stands_in_the_table_and_not_in_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.benchmark.rows.available_memory", lambda: 1)
    figures = measure_growth(replace(SWEEP, channels=(3,), pred_lens=(8,), batches=()), [Mode()], CPU)
    assert sum("skipped: needs about" in line for line in report_growth(figures)) == 1
    plot_growth(tmp_path / "plot.png", figures)
    assert (tmp_path / "plot.png").exists()
