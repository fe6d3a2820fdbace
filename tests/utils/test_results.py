"""What a run leaves behind."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from utils.metrics import ErrorSums
from utils.results import append_block, comparison, over_seeds, save_metrics


def report(error: float, channels: int = 3, pred_len: int = 8) -> dict[str, Any]:
    sums = ErrorSums(pred_len, channels)
    sums.add(torch.full((2, pred_len, channels), error), torch.zeros(2, pred_len, channels))
    return sums.report([f"c{i}" for i in range(channels)], np.full(channels, 100.0))


def test_metrics_are_saved_as_json_and_as_an_array(tmp_path: Path) -> None:
    record = {"mse": 4.0, "mae": 1.5, "seed": 3}
    save_metrics(tmp_path / "results", record)
    assert json.loads((tmp_path / "results" / "metrics.json").read_text()) == record
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


def test_several_seeds_give_mean_and_sample_deviation() -> None:
    records = [
        {
            "seed": seed,
            "mse": mse,
            "mae": mae,
            "model": "CALF",
            "data": "ETTh1",
            "seq_len": 96,
            "pred_len": 192,
            "backbone": {"name": "gpt2", "init": "random"},
        }
        for seed, mse, mae in ((1, 1.0, 2.0), (2, 3.0, 2.0))
    ]
    assert over_seeds(records) == [
        "CALF on ETTh1, 96 -> 192, backbone gpt2 (random), mean ± std over seeds 1, 2",
        "mse:2.000000 ± 1.414214, mae:2.000000 ± 0.000000",
    ]


def test_m4_runs_are_reported_over_seeds_by_their_own_figures() -> None:
    def record(seed: int, smape: float) -> dict[str, Any]:
        return {
            "model": "CALF", "data": "m4", "seasonal_patterns": "Hourly", "selected_on": "test", "seq_len": 96,
            "pred_len": 48, "seed": seed, "smape": smape, "mase": None, "mape": 2.0, "owa": 0.5,
            "backbone": {"name": "gpt2", "init": "random"},
        }  # fmt: skip

    title, figures = over_seeds([record(1, 10.0), record(2, 12.0)])
    assert title.startswith("CALF on M4 Hourly, 96 -> 48, selected on test, backbone gpt2 (random)")
    assert figures == "smape:11.000000 ± 1.414214, mape:2.000000 ± 0.000000, owa:0.500000 ± 0.000000"
