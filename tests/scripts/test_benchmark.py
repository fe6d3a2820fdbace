"""The benchmark measures what it says. How fast it is, is no test."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from scripts import benchmark, benchmark_files
from scripts.benchmark import PLAIN, Bench, Options, choose_modes, count_operations, main, parse
from scripts.benchmark_files import measure_many, measure_stream
from tests.helpers.forked import stand_in
from utils.errors import UserError

CPU = torch.device("cpu")
SIZE = {"channels": 3, "pred_len": 8, "batch_size": 4}
TINY = Options(seq_len=24, network={"llm": "gpt2-tiny", "llm_init": "random", "gpt_layers": 1})
FLAGS = [f"--{name}={value}" for name, value in {"seq_len": 24, "llm": "gpt2-tiny", "gpt_layers": 1, **SIZE}.items()]


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure everything once, on small matrices."""
    monkeypatch.setitem(benchmark_files.SECONDS, "cpu", 0.0)
    monkeypatch.setitem(benchmark_files.LARGEST_MATRIX, "cpu", 256)


def test_every_mode_is_announced_measured_and_compared_with_the_plain_restatement(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "figures.json"
    assert main([*FLAGS, "--modes", "fp32,bf16,plain", "--json", str(output)]) == 0
    fast, _, plain = rows = json.loads(output.read_text())["rows"]
    assert [row["mode"] for row in rows] == ["fp32", "bf16", "plain"]
    assert fast["train_ratio"] == pytest.approx(plain["train_s"] / fast["train_s"])
    assert fast["eval_per_s"] == pytest.approx(4 / fast["eval_s"])
    assert fast["train_gflop"] > fast["eval_gflop"] > 0
    assert [f"{row['mode']}, {phase}" in caplog.text for row in rows for phase in ("eval", "train")] == [True] * 6


def test_any_model_can_be_measured_at_sizes_that_meet_each_other(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    sizes = ["--channels", "2,3", "--batch_size", "4,8", "--modes", "fp32", "--json", str(output)]
    assert main(["--model", "DLinear", "--individual", "1", *sizes]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert [(row["channels"], row["batch_size"]) for row in rows] == [(2, 4), (2, 8), (3, 4), (3, 8)]
    assert rows[0]["eval_gflop"] == pytest.approx(2 * 2 * 96 * 96 * 2 * 4 / 1e9)  # two maps
    assert parse(["--grow"]).channels == "7,21,321"


def test_a_model_that_does_not_train_is_only_evaluated() -> None:
    bench = Bench(Options(model="SeasonalNaive", seq_len=8), SIZE, "fp32", CPU)
    assert [phase for phase, _, _ in bench.phases()] == ["eval"]


@pytest.mark.parametrize("mode", ["fp32", "bf16", PLAIN])
def test_training_moves_all_that_trains(mode: str) -> None:
    bench = Bench(TINY, SIZE, mode, CPU)
    words = bench.model.weights["match.words"] if mode == PLAIN else bench.model.match.words
    words.normal_()
    trained = bench.optimizer.param_groups[0]["params"]
    before = [tensor.detach().clone() for tensor in trained]
    for _ in range(2):  # LoRA's A moves once its B has left 0
        bench.train_step()
    assert not any(torch.equal(*pair) for pair in zip(before, trained, strict=True))


def test_the_plain_restatement_forecasts_what_calf_does() -> None:
    plain, own = (Bench(TINY, SIZE, mode, CPU) for mode in (PLAIN, "fp32"))
    theirs, ours = (bench.model.eval()(own.x).forecast for bench in (plain, own))
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)


def test_operations_are_those_of_a_forecast_in_full() -> None:
    width, tokens = 96, 3
    linear = 24 * width + 4 * width**2 + 2 * width * 2048 + 12 * width**2 + width * 8
    attention = 2 * 2 * width * tokens**2
    counted = count_operations(TINY, {**SIZE, "batch_size": 5})["eval"]
    assert counted == pytest.approx(2 * 5 * (tokens * linear + attention) / 1e9, rel=0.01)


def test_a_mode_without_instructions_is_left_out_with_a_line_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("utils.device.has_fast_bfloat16", lambda device: False)
    with caplog.at_level("INFO"):
        assert choose_modes(Options(), CPU) == ["fp32", "plain"]
    assert "bf16 is left out" in caplog.text
    assert choose_modes(Options(modes="bf16,bf16"), CPU) == ["bf16"]


def test_a_gpu_that_runs_out_of_memory_is_a_row_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(bench: Bench) -> None:
        raise torch.cuda.OutOfMemoryError("full")

    monkeypatch.setattr(Bench, "evaluate", full)
    assert "GPU" in benchmark.measure(TINY, SIZE, "fp32", CPU)["skipped"]


def test_the_profile_gives_shares_of_the_whole_time(tmp_path: Path) -> None:
    output = tmp_path / "profile.json"
    assert main([*FLAGS, "--profile", "--modes", "fp32", "--json", str(output)]) == 0
    shares = json.loads(output.read_text())["channels 3, pred_len 8, batch_size 4"]
    assert [sum(shares[name].values()) for name in ("eval fp32", "train fp32")] == pytest.approx([1, 1])
    assert shares["eval fp32"]["aten::addmm"] > 0


def test_a_whole_run_is_weighed_and_one_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = measure_stream(CPU, windows=60, channels=3, pred_len=24)
    assert figures["array_gib"] * 2**30 == pytest.approx(4 * 60 * 3 * 24, abs=200)
    assert figures["peak_gib"] > 0.1
    monkeypatch.setattr(benchmark_files, "BATCH", 0)
    with pytest.raises(UserError, match=r"exit code 2: .*--batch_size 0"):
        measure_stream(CPU, windows=60, channels=3, pred_len=24)
    with pytest.raises(UserError, match=r"GB free, the run takes .*: set TMPDIR"):
        measure_stream(CPU, windows=10**7)


def test_a_run_on_many_series_is_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_files, "subprocess", SimpleNamespace(run=stand_in, PIPE=None, STDOUT=None))
    figures = measure_many(CPU, series=8, rows=60)
    assert (figures["series"], figures["rows"], figures["forecasts"]) == (8, 480, 8 * 14)
    assert 0 < figures["epoch_seconds"] < figures["seconds"]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--modes fp8", "--modes fp8: choose fp32, bf16, fp16"),
        ("--modes fp16", "--modes fp16 is for CUDA"),
        ("--model DLinear --modes plain", "a restatement of CALF, not of DLinear"),
        ("--model Linear", "--model Linear: no such model"),
        ("--channels 7;21", "--channels 7;21: choose a number"),
        ("--json nosuch/figures.json", "name a file in a folder that exists"),
        ("--device abacus", "--device abacus"),
        ("--grow --stream", "not allowed with argument --grow"),
    ],
)
def test_a_flag_that_cannot_be_used_ends_with_one_message(
    flags: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(flags.split())
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert named in capsys.readouterr().err
