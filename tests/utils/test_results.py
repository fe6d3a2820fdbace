"""Test what a run writes for people and programs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.records import long_term, m4
from utils.metrics import ErrorSums
from utils.results import append_block, comparison, format_metric, over_seeds, run_figures, run_title, save_metrics


def report(error: float, channels: int = 3, pred_len: int = 8) -> dict[str, Any]:
    sums = ErrorSums(pred_len, channels)
    sums.add(torch.full((2, pred_len, channels), error), torch.zeros(2, pred_len, channels))
    return sums.report([f"c{i}" for i in range(channels)], np.full(channels, 100.0))


def test_metrics_are_saved_as_an_array(tmp_path: Path) -> None:
    save_metrics(tmp_path / "results", {"mse": 4.0, "mae": 1.5})
    assert np.load(tmp_path / "results" / "metrics.npy").tolist() == [1.5, 4.0, 2.0]


def test_blocks_are_appended_with_an_empty_line_between(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    append_block(path, ["setting", "mse:1 ± 0"])
    append_block(path, ["other"])
    assert path.read_text(encoding="utf-8") == "setting\nmse:1 ± 0\n\nother\n\n"


def test_the_tables_show_every_forecast_on_both_scales() -> None:
    lines = list(comparison({"CALF": report(0.5), "seasonal_naive": report(2.0)}))
    assert [line for line in lines if line.startswith("Test errors")] == [
        "Test errors in the standardised scale, as in papers",
        "Test errors in the data's units",
    ]
    assert lines[2].split() == ["CALF", "seasonal", "naive"]
    assert lines[3].split() == ["MSE", "MAE", "MSE", "MAE"]
    half = len(lines) // 2
    assert [line.split() for line in lines[4:half]] == [
        [*name.split(), "0.2500", "0.5000", "4.0000", "2.0000"]
        for name in ("all", "steps 1-2", "steps 3-4", "steps 5-6", "steps 7-8", "c0", "c1", "c2")
    ]
    assert lines[half + 4].split() == ["all", "2500.0000", "50.0000", "4e+04", "200.0000"]
    assert len({len(line) for line in lines if line.startswith("  ")}) == 1


@pytest.mark.parametrize(("channels", "hidden"), [(21, 0), (22, 1), (30, 9)])
def test_more_channels_than_fit_are_counted(channels: int, hidden: int) -> None:
    lines = list(comparison({"CALF": report(1.0, channels)}))
    assert [line for line in lines if "more channels" in line] == [
        f"  … and {hidden} more channels in metrics.json" for _ in range(2) if hidden
    ]
    assert any(line.startswith("  c20 ") for line in lines)
    assert not any(line.startswith("  c21 ") for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.159512, "0.1595"), (1.685313, "1.6853"), (0.048135, "0.04813"), (0.01, "0.01"), (1234.5, "1234.5000"),
        (0.0, "0.0000"), (0.00012345, "0.0001234"), (0.0099996, "0.01"), (3.2e-9, "3.2e-09"), (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_a_metric_is_shown_with_four_decimals_or_digits(value: float, text: str) -> None:
    assert format_metric(value) == text


def test_small_errors_can_be_told_apart_in_the_tables() -> None:
    (line,) = [line for line in comparison({"CALF": report(0.001)}) if line.startswith("  all")][:1]
    assert line.split() == ["all", "1e-06", "0.001"]


@pytest.mark.parametrize(
    ("record", "title"),
    [
        (long_term(pred_len=192), "CALF on ETTh1, 96 -> 192"),
        (long_term(target="ETTm1"), "CALF on ETTh1, 96 -> 96, tested on ETTm1 (zero-shot)"),
        (m4("Hourly", model="DLinear", selected_on="test"), "DLinear on M4 Hourly, 96 -> 48, selected on test"),
    ],
)
def test_a_run_has_a_title(record: dict[str, Any], title: str) -> None:
    assert run_title(record) == title


def test_the_figures_of_a_run_are_those_of_its_task() -> None:
    assert run_figures(long_term(mse=0.159512, mae=0.0003)) == "mse:0.1595, mae:0.0003"
    assert run_figures(m4("Hourly", naive2=False)) == "smape:10.0000, mase:2.0000, mape:20.0000"


def test_several_seeds_give_mean_and_sample_deviation() -> None:
    assert over_seeds([long_term(seed=seed, mse=mse, mae=2.0) for seed, mse in ((1, 1.0), (2, 3.0))]) == [
        "CALF on ETTh1, 96 -> 96, backbone gpt2 (random), mean ± std over seeds 1, 2",
        "mse:2.000000 ± 1.414214, mae:2.000000 ± 0.000000",
    ]


def test_a_model_without_a_backbone_is_reported_over_seeds_without_one() -> None:
    title, _ = over_seeds([long_term(seed=seed, model="DLinear") for seed in (1, 2)])
    assert title == "DLinear on ETTh1, 96 -> 96, mean ± std over seeds 1, 2"


def test_m4_runs_are_reported_over_seeds_by_their_own_figures() -> None:
    title, figures = over_seeds([m4("Hourly", seed, smape, naive2=False) for seed, smape in ((1, 10.0), (2, 12.0))])
    assert title.startswith("CALF on M4 Hourly, 96 -> 48, backbone gpt2 (random)")
    assert figures == "smape:11.000000 ± 1.414214, mase:2.000000 ± 0.000000, mape:20.000000 ± 0.000000"
