"""``--task_name imputation``: hidden values of windows are found again and scored beside simple fills."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import run
from data_provider.hidden import HiddenWindows, load_hidden
from exp.config import RunConfig
from exp.flags import parse
from exp.imputation import Imputation
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import prepared, refused, succeed
from utils.interpolation import FILLS

BASE = {"task_name": "imputation", "pred_len": None, "model": "DLinear", "llm": None, "word_embedding_path": None,
        "gpt_layers": None, "do_predict": None, "learning_rate": 0.01}  # fmt: skip


@pytest.fixture
def flags(tiny: Tiny) -> Tiny:
    """Flags of a short run of DLinear; keyword arguments are more flags."""
    return lambda **more: tiny(**{**BASE, **more})


def test_a_run_scores_hidden_values_beside_simple_fills_and_says_which_is_better(
    flags: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (record,) = succeed(flags(mask_rate=0.375))
    scores = record["scores"]
    assert record["task"]["metrics"] == ["mse", "mae"]
    assert list(scores["metrics"]) == ["DLinear", *FILLS]
    assert scores["hidden_share"] == pytest.approx(0.375, abs=0.02)
    assert scores["mse"] == scores["metrics"]["DLinear"]["standardised"]["mse"]
    assert (
        "DLinear beats the window mean: MAE" in caplog.text
        or "DLinear does NOT beat the window mean: MAE" in caplog.text
    )
    folder = Path("results") / record["run"]["setting"]
    assert np.load(folder / "errors.npy").shape == (scores["metrics"]["window_mean"]["windows"], 2)
    assert len(list(Path("test_results").rglob("window_*.png"))) == 3
    assert "mse:" in Path("results_imputation.txt").read_text()


def test_the_figures_are_means_over_all_hidden_values(flags: Tiny) -> None:
    (record,) = succeed(flags())
    config = RunConfig.from_flags(parse(flags()))
    windows = list(load_hidden(config.data, config.seed, tells=False).windows.values())[-1]
    batch = windows.__getitems__(range(len(windows)))
    shown = windows.shown(batch.origins)
    for name, fill in FILLS.items():
        error = (fill(batch.x.double(), shown) - batch.y)[~shown]
        report = record["scores"]["metrics"][name]["standardised"]
        assert error.square().mean().item() == pytest.approx(report["mse"])
        assert error.abs().mean().item() == pytest.approx(report["mae"])


def test_every_model_meets_the_same_hidden_values(flags: Tiny, tmp_path: Path) -> None:
    first, second = (prepared(flags(model=model), Imputation) for model in ("DLinear", "PatchTST"))
    one, other = (list(each.data.windows.values())[-1].__getitems__([0, 9]) for each in (first, second))
    assert torch.equal(one.x, other.x)
    assert one.visible is None and other.visible is not None  # DLinear sees zeros alone


def test_several_rates_are_a_run_each_and_one_table(flags: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    records = succeed(flags(mask_rate="0.125, 0.50", train_epochs=1))
    assert sorted(record["data"]["config"]["mask_rate"] for record in records) == ["0.125", "0.5"]
    table = Path("results_imputation.txt").read_text().rpartition("mask 0.125 to mask 0.5")[2]
    rows = {line.split("  ")[1]: line.split() for line in table.splitlines()[2:5]}
    assert rows.keys() == {"mask 0.125", "mask 0.5", "mean"}
    means = [np.mean([record["scores"][metric] for record in records]) for metric in ("mse", "mae")]
    assert [float(cell) for cell in rows["mean"][1:3]] == pytest.approx(means, abs=1e-4)


def test_a_channel_that_is_wholly_hidden_gives_no_nan(flags: Tiny, write_csv: WriteCsv) -> None:
    table = hourly_table()
    table.loc[330:370, "c0"] = np.nan
    path = write_csv(table, "gap.csv")
    (record,) = succeed(flags(data_path=path, model="PatchTST", d_model=8, n_heads=2, d_ff=8, e_layers=1))
    assert np.isfinite(record["scores"]["mse"])


def test_a_training_that_was_stopped_goes_on_with_the_same_hidden_values(
    flags: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    argv, weights = flags(train_epochs=2), "checkpoints/imputation*/model.safetensors"
    begin = HiddenWindows.begin_epoch

    def stop_in_the_second(self: HiddenWindows, epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(HiddenWindows, "begin_epoch", stop_in_the_second)
        assert run.main(argv) == 130
    caplog.set_level("INFO")
    assert run.main(argv) == 0
    assert "going on after epoch 1 of 2" in caplog.text
    (stopped,) = (path.read_bytes() for path in Path().glob(weights))
    (tmp_path / "another").mkdir()
    monkeypatch.chdir(tmp_path / "another")
    assert run.main(argv) == 0
    assert next(Path().glob(weights)).read_bytes() == stopped


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"mask_rate": "0"}, "--mask_rate 0: choose a share between 0 and 1"),
        ({"mask_rate": "1"}, "--mask_rate 1: choose a share between 0 and 1"),
        ({"mask_rate": "0.5,0.50"}, "--mask_rate 0.5,0.50: choose a share between 0 and 1, or several, each once"),
        ({"mask_kind": "row"}, "--mask_kind row: choose one of point, block"),
        ({"model": "Naive"}, "--model Naive learns nothing, and --task_name imputation is for models that do"),
        ({"do_predict": 1}, "--do_predict is for --task_name long_term_forecast, not for imputation"),
        ({"data": "m4", "data_path": None}, "--task_name imputation does not go with --data m4; it takes ETTh1"),
    ],
)
def test_what_makes_no_sense_is_refused(
    more: dict[str, object], message: str, flags: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(flags(**more), capsys)


def test_a_dry_run_says_what_is_hidden_and_writes_nothing(flags: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert run.main([*flags(mask_kind="block"), "--dry_run"]) == 0
    assert "windows of 24 steps inside their split, 0.25 of their values hidden (gaps): train 257" in caplog.text
    assert not Path("results").exists()


def test_flags_of_forecasts_are_named_as_without_effect(flags: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert run.main([*flags(pred_len=12), "--dry_run"]) == 0
    assert "--pred_len" in next(line for line in caplog.messages if line.startswith("no effect"))


def test_a_checkpoint_says_what_it_is_for(flags: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(flags())
    (folder,) = Path("checkpoints").glob("imputation*")
    config = json.loads((folder / "config.json").read_text())
    assert config["model"]["config"]["reconstructs"] == 1
    said = refused(["--load", str(folder), "--do_predict", "--data_path", "any.csv"], capsys)
    assert "--do_predict is for --task_name long_term_forecast, not for imputation" in said
