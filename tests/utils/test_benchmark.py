"""The benchmark on a tiny size: its figures are there and add up. How fast it is, is no test."""

import json
from pathlib import Path

import pytest
import torch

from utils import benchmark
from utils.benchmark import PlainBench, Repeats, Size

TINY = Size(batch_size=2, channels=3, seq_len=24, pred_len=8, gpt_layers=2, llm="gpt2-tiny")
CPU = torch.device("cpu")


def test_measures_both_and_saves_ratios_that_follow_from_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(benchmark, "MATRIX", 64)
    monkeypatch.setattr(benchmark.Repeats, "__init__", lambda self: None)
    for name in ("steps", "plain_steps", "plain_windows", "warm_up"):
        monkeypatch.setattr(benchmark.Repeats, name, 1)
    output = tmp_path / "figures.json"
    flags = [f"--{name}={value}" for name, value in vars(TINY).items()]
    with caplog.at_level("INFO"):
        assert benchmark.main([*flags, "--device", "cpu", "--output", str(output)]) == 0
    figures = json.loads(output.read_text())
    calf, plain, ratios = figures["calf"], figures["plain"], figures["ratios"]
    assert ratios["train_speed"] == pytest.approx(calf["train_steps_per_s"] / plain["train_steps_per_s"])
    assert ratios["evaluation_speed"] == pytest.approx(
        calf["evaluated_windows_per_s"] / plain["evaluated_windows_per_s"]
    )
    assert figures["train_gflop"] > figures["evaluation_gflop"] > 0
    assert "times as fast" in caplog.text


def test_the_plain_model_computes_what_calf_computes() -> None:
    plain = PlainBench(TINY, CPU)
    calf = benchmark.Bench(TINY, CPU)
    calf.model.eval()
    with torch.no_grad():
        ours = calf.model.branches(calf.x)
        forecast, text_forecast, *_ = plain.forward(plain.x, dropout=0.0)
    torch.testing.assert_close(ours.forecast, forecast, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.text_forecast, text_forecast, rtol=1e-4, atol=1e-4)


def test_a_training_step_moves_the_trained_tensors_of_both() -> None:
    for bench in (benchmark.Bench(TINY, CPU), PlainBench(TINY, CPU)):
        trained = bench.optimiser.param_groups[0]["params"]
        before = [t.detach().clone() for t in trained]
        bench.train_step()
        bench.train_step()  # LoRA's A moves once its B has left 0
        moved = [not torch.equal(a, b) for a, b in zip(before, trained, strict=True)]
        assert sum(moved) == len(moved)


def test_repeats_are_medians_of_more_than_one() -> None:
    repeats = Repeats()
    assert min(repeats.steps, repeats.plain_steps, repeats.plain_windows) >= 3


def test_counts_the_arithmetic_of_a_forecast_in_full() -> None:
    bench = benchmark.Bench(TINY, CPU)
    bench.model.eval()
    width, tokens, pairs = 96, 2 * 3, 2 * 3 * 3
    encoder = 4 * width**2 + 2 * width * 2048
    block = 12 * width**2
    linear = 24 * width + encoder + TINY.gpt_layers * block + width * 8
    attention = 2 * width * pairs * (1 + TINY.gpt_layers)
    with bench.model.merged_adapters():
        assert benchmark.flops(bench.evaluate) == pytest.approx(2 * (tokens * linear + attention), rel=0.01)


def test_an_output_that_cannot_be_written_is_refused_before_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main(["--output", str(tmp_path / "nosuch" / "figures.json")]) == 2
    assert "--output" in capsys.readouterr().err
