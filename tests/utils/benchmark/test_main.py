"""The command: what it prints and saves, and what it refuses."""

import json
from pathlib import Path

import pytest

from tests.utils.benchmark.tiny import TINY_FLAGS
from utils.benchmark import __main__ as command


def test_measures_both_and_saves_ratios_that_follow_from_the_figures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "figures.json"
    with caplog.at_level("INFO"):
        assert command.main([*TINY_FLAGS, "--device", "cpu", "--output", str(output)]) == 0
    figures = json.loads(output.read_text())
    *modes, plain = figures["rows"]
    assert [row["mode"] for row in modes] == ["fp32", "bf16"]
    for row in modes:
        assert row["train_speed_up"] == pytest.approx(row["train_steps_per_s"] / plain["train_steps_per_s"])
        assert row["evaluation_speed_up"] == pytest.approx(
            row["evaluated_windows_per_s"] / plain["evaluated_windows_per_s"]
        )
    assert figures["train_gflop"] > figures["evaluation_gflop"] > 0
    assert figures["float32_matmul_precision"] == "highest"
    assert "bf16 against plain float32" in caplog.text
    assert "float32 matrix products: highest" in caplog.text


def test_the_plain_one_is_left_out_on_demand(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    assert command.main([*TINY_FLAGS, "--modes", "bf16", "--plain", "0", "--output", str(output)]) == 0
    figures = json.loads(output.read_text())
    assert [row["mode"] for row in figures["rows"]] == ["bf16"]
    assert "train_speed_up" not in figures["rows"][0]


def test_growth_is_saved_and_drawn_beside_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    output = tmp_path / "grow.json"
    lists = ["--grow_channels=2,3", "--grow_pred_lens=8", "--grow_batches="]
    with caplog.at_level("INFO"):
        assert command.main([*TINY_FLAGS, "--grow", *lists, "--modes=fp32", "--output", str(output)]) == 0
    assert [row["channels"] for row in json.loads(output.read_text())["rows"]] == [2, 3]
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert "s/train step" in caplog.text


def test_the_profile_is_saved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    output = tmp_path / "profile.json"
    with caplog.at_level("INFO"):
        assert command.main([*TINY_FLAGS, "--profile", "--modes=fp32", "--output", str(output)]) == 0
    assert json.loads(output.read_text())["profile"].keys() == {"fp32"}
    assert "matrix products" in caplog.text


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--output", "nosuch/figures.json"], "--output"),
        (["--modes", "fp16"], "'fp16' is unknown"),
        (["--modes", "compiled,bf16-compiled"], "each mode once"),
        (["--channels", "0"], "--channels 0"),
        (["--grow", "--grow_channels", "7;21"], "--grow_channels 7;21"),
        (["--grow", "--grow_channels", "7,2000"], "2000 channels"),
        (["--grow", "--plain", "0"], "--plain applies to the run at one size, not to --grow"),
        (["--grow_batches", "8"], "--grow_batches applies to --grow"),
        (["--m4", "--modes", "fp32"], "not to --m4"),
        (["--compile_mode", "default"], "--compile_mode applies to compiled modes"),
        (["--grow", "--output", "figures.png"], "the plot"),
        (["--device", "abacus"], "--device abacus"),
    ],
)
def test_a_flag_that_cannot_be_used_is_refused_before_measuring(
    flags: list[str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def never(*args: object) -> None:
        pytest.fail("measured")

    for module in ("one_size", "grow"):
        monkeypatch.setattr(f"utils.benchmark.{module}.MatrixRates", never)
    monkeypatch.chdir(tmp_path)
    assert command.main(["--llm=gpt2-tiny", "--gpt_layers=1", *flags]) == 2
    assert named in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
