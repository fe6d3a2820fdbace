"""Whether a target holds follows from the figures."""

from typing import Any

from utils.benchmark.targets import PUBLISHED, judge, target_lines


def row(mode: str, **more: Any) -> dict[str, Any]:
    return {**PUBLISHED, "mode": mode, "grad_checkpoint": False, **more}


def lines(row: dict[str, Any], device: str = "cpu") -> list[str]:
    return target_lines(judge([row], device))


def test_a_line_says_what_was_reached_and_whether_it_holds() -> None:
    assert lines(row("fp32", train_share_of_matrix_rate=0.8)) == [
        "target: training fp32 >= 70% of the matrix rate: 80%, holds"
    ]
    assert lines(row("bf16", evaluation_share_of_matrix_rate=0.6)) == [
        "target: evaluation bf16 >= 65% of the matrix rate: 60%, missed"
    ]
    assert lines(row("bf16-compiled", evaluation_speed_up=21.0)) == [
        "target: evaluation bf16-compiled >= 20 times the plain float32 restatement: 21, holds"
    ]


def test_a_gpu_has_targets_of_its_own() -> None:
    fast = row("bf16", train_speed_up=3.5, evaluation_speed_up=40.0, train_share_of_matrix_rate=0.1)
    assert [each["holds"] for each in judge([fast], "cuda")] == [True, False]
    wide = row("bf16", train_share_of_matrix_rate=0.39) | {"channels": 321, "batch_size": 32}
    assert lines(wide, "cuda") == [
        "target: training bf16 at 321 channels, batch 32 >= 40% of the matrix rate: 39%, missed"
    ]
    assert lines(wide, "cpu") == []


def test_memory_should_be_at_most_the_bound() -> None:
    wide = row("fp32", train_peak_bytes=15.5e9) | {"channels": 862, "batch_size": 8, "pred_len": 720}
    assert lines(wide) == ["target: training fp32 at 862 channels, batch 8 <= 16 GB at its peak: 15.5 GB, holds"]
    assert [each["holds"] for each in judge([wide | {"train_peak_bytes": 17e9}], "cpu")] == [False]
    checkpointed = wide | {"mode": "bf16", "batch_size": 32, "grad_checkpoint": True}
    assert "with recomputed activations <= 24 GB" in lines(checkpointed)[0]


def test_other_sizes_and_skipped_rows_have_no_targets() -> None:
    assert judge([row("fp32", train_share_of_matrix_rate=0.8) | {"channels": 8}], "cpu") == []
    assert judge([row("fp32", skipped="too large"), row("fp32", train_peak_bytes=None)], "cpu") == []
