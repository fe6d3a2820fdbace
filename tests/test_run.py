"""What a run does and leaves behind, trained or tested again."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

import run
from data_provider.windows import WindowDataset
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import succeed, written
from tests.helpers.forked import finish, start

ROOT = Path(run.__file__).parent


class TestARun:
    @pytest.mark.pictures
    def test_leaves_everything_its_users_need(self, tiny: Tiny, workplace: Path) -> None:
        (record,) = succeed(tiny())
        setting = record["run"]["setting"]
        assert set(written(workplace)) == {
            f"checkpoints/{setting}/config.json",
            f"checkpoints/{setting}/model.safetensors",
            *(f"checkpoints/{setting}/{name}" for name in ("training.json", "test.json", "intervals.safetensors")),
            *(
                f"results/{setting}/{name}"
                for name in ("metrics.json", "run.yaml", "metrics.npy", "errors.npy", "pred.npy", "true.npy")
            ),
            *(f"results/{setting}/{name}" for name in ("log.csv", "loss.png")),
            *(f"test_results/{setting}/window_{index:05d}.png" for index in (0, 36, 72)),
            "results_long_term_forecast.txt",
        }
        config = json.loads((workplace / "checkpoints" / setting / "config.json").read_text())
        assert config["data"]["columns"] == ["c0", "c1", "OT"]
        assert config["data"]["frequency"] == "h"
        assert len(config["data"]["scaler"]["mean"]) == 3
        assert (
            config["model"]["origin"]["backbone"]["fingerprint"]
            in (workplace / "results_long_term_forecast.txt").read_text()
        )

    def test_scores_the_arrays_it_writes(self, tiny: Tiny, workplace: Path) -> None:
        (record,) = succeed(tiny())
        folder = workplace / "results" / record["run"]["setting"]
        pred, true = np.load(folder / "pred.npy"), np.load(folder / "true.npy")
        assert pred.shape == true.shape == (73, 8, 3)
        error = pred.astype(np.float64) - true
        assert record["scores"]["mse"] == pytest.approx(np.square(error).mean(), rel=1e-6)
        assert record["scores"]["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-6)
        assert np.load(folder / "metrics.npy") == pytest.approx(
            [record["scores"]["mae"], record["scores"]["mse"], record["scores"]["mse"] ** 0.5]
        )

    def test_scores_naive_forecasts_on_the_same_windows_in_both_scales(self, tiny: Tiny) -> None:
        (record,) = succeed(tiny())
        values = hourly_table()[["c0", "c1", "OT"]].to_numpy()
        scale = values[:280].std(axis=0)
        origins = np.arange(320, 393)
        truth = values[origins[:, None] + np.arange(8)]
        naive = truth - values[origins - 1][:, None]
        seasonal = truth - values[origins[:, None] + np.arange(8) - 24]
        for name, error in (("naive", naive), ("seasonal_naive", seasonal)):
            report = record["scores"]["metrics"][name]
            assert report["original_units"]["mse"] == pytest.approx(np.square(error).mean(), rel=1e-5)
            assert report["standardised"]["mae"] == pytest.approx(np.abs(error / scale).mean(), rel=1e-5)
            assert report["standardised"]["per_channel"]["OT"]["mse"] == pytest.approx(
                np.square(error[..., 2] / scale[2]).mean(), rel=1e-5
            )
            assert [part["steps"] for part in report["standardised"]["per_quarter"]] == [[1, 2], [3, 4], [5, 6], [7, 8]]

    def test_evaluated_later_in_another_process_gives_identical_figures(self, tiny: Tiny, workplace: Path) -> None:
        (trained,) = succeed(tiny())
        (workplace / "results" / trained["run"]["setting"] / "metrics.json").unlink()
        assert finish(start(workplace, tiny(is_training=0))) == 0
        later = json.loads((workplace / "results" / trained["run"]["setting"] / "metrics.json").read_text())
        assert later["scores"]["metrics"] == trained["scores"]["metrics"]
        assert later["run"]["best"] == trained["run"]["best"]

    def test_same_seed_same_numbers_other_seed_others(self, tiny: Tiny, workplace: Path) -> None:
        (first,) = succeed(tiny())
        (again,) = succeed(tiny())
        assert again["scores"]["metrics"] == first["scores"]["metrics"]
        first, other = succeed(tiny(seed=2022))
        assert other["run"]["setting"] != first["run"]["setting"]
        assert other["scores"]["mse"] != first["scores"]["mse"]

    def test_several_seeds_are_reported_with_mean_and_deviation(
        self, tiny: Tiny, workplace: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        records = succeed(tiny(itr=2, save_arrays=0))
        assert [record["run"]["seed"] for record in records] == [2021, 2022]
        mse = [record["scores"]["mse"] for record in records]
        text = (workplace / "results_long_term_forecast.txt").read_text()
        assert f"mse:{np.mean(mse):.6f} ± {np.std(mse, ddof=1):.6f}" in text
        assert not list(workplace.rglob("pred.npy"))

    def test_arrays_in_the_data_s_units_on_request(self, tiny: Tiny, workplace: Path) -> None:
        (record,) = succeed([*tiny(is_training=1), "--inverse"])
        true = np.load(workplace / "results" / record["run"]["setting"] / "true.npy")
        values = hourly_table()[["c0", "c1", "OT"]].to_numpy()
        np.testing.assert_allclose(true[0], values[320:328], rtol=1e-5)
        assert record["scores"]["arrays"] == "original units"

    @pytest.mark.parametrize(("features", "channels", "scored"), [("MS", 3, ["OT"]), ("S", 1, ["OT"])])
    def test_with_a_target_scores_the_target_alone(
        self, tiny: Tiny, workplace: Path, features: str, channels: int, scored: list[str]
    ) -> None:
        (record,) = succeed(tiny(features=features))
        assert list(record["scores"]["metrics"]["CALF"]["standardised"]["per_channel"]) == scored
        assert np.load(workplace / "results" / record["run"]["setting"] / "pred.npy").shape == (73, 8, 1)
        config = json.loads((workplace / "checkpoints" / record["run"]["setting"] / "config.json").read_text())
        assert config["model"]["config"]["channels"] == channels

    def test_never_sees_a_test_target_before_training_is_over(
        self, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        last_rows: list[int] = []
        gather = WindowDataset.__getitems__

        def recorded(dataset: WindowDataset, indices: list[int]) -> Any:
            batch = gather(dataset, indices)
            last_rows.append(int(batch.origins.max()) + dataset.pred_len - 1)
            return batch

        monkeypatch.setattr(WindowDataset, "__getitems__", recorded)
        tested: list[int] = []
        monkeypatch.setattr(
            "exp.long_term_forecast.LongTermForecast.test", lambda self: tested.append(len(last_rows)) or []
        )
        assert run.main(tiny(train_epochs=2)) == 0
        assert tested == [len(last_rows)]
        assert max(last_rows) < 320

    def test_trains_without_lora_and_without_the_text_branch(self, tiny: Tiny, workplace: Path) -> None:
        (record,) = succeed(tiny(lora=0, output_w=0, feature_w=0))
        tensors = load_file(workplace / "checkpoints" / record["run"]["setting"] / "model.safetensors")
        assert not [name for name in tensors if "lora" in name]
        assert np.isfinite(record["scores"]["mse"])

    def test_in_bfloat16_comes_close_to_float32(self, tiny: Tiny) -> None:
        (full,) = succeed(tiny())
        records = succeed([*tiny(), "--use_amp"])
        (half,) = (record for record in records if record["run"]["setting"] != full["run"]["setting"])
        assert half["scores"]["mse"] == pytest.approx(full["scores"]["mse"], rel=0.05)

    def test_stores_a_random_backbone_and_makes_its_words(
        self, tiny: Tiny, workplace: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        flags = tiny(llm_init="random", word_embedding_path=None)
        (record,) = succeed(flags)
        assert len(list(workplace.glob("wte_pca_24_tiny-gpt2_*.pt"))) == 1
        assert "is missing; making it" in caplog.text
        assert record["model"]["origin"]["backbone"]["init"] == "random"
        folder = workplace / "checkpoints" / record["run"]["setting"]
        assert "time_gpt2.h.0.mlp.c_fc.weight" in load_file(folder / "model.safetensors")
        (again,) = succeed([*flags, "--is_training", "0"])
        assert again["scores"]["metrics"] == record["scores"]["metrics"]

    def test_on_the_sample_says_how_close_to_the_best_possible_it_came(
        self, tiny: Tiny, caplog: pytest.LogCaptureFixture
    ) -> None:
        (record,) = succeed(tiny(data="sample", data_path=None, seq_len=48, pred_len=12, batch_size=512, gpt_layers=1))
        best = record["scores"]["metrics"]["best_possible"]["standardised"]["mse"]
        assert 0 < best < record["scores"]["mse"]
        assert f"has MSE {best:.4f}; CALF is at {record['scores']['mse'] / best:.2f} times that" in caplog.text

    def test_a_checkpoint_tells_all_but_the_data_file(self, tiny: Tiny, write_csv: WriteCsv, workplace: Path) -> None:
        (trained,) = succeed(tiny(lora=0, seed=7))
        load = str(Path("checkpoints") / trained["run"]["setting"])
        (again,) = succeed(["--is_training", "0", "--load", load, "--itr", "3"])
        assert again["run"]["seed"] == 7
        assert again == {**trained, "run": again["run"], "cost": again["cost"]}
        assert {**again["run"], "environment": None} == {**trained["run"], "environment": None}
        newer = write_csv(name="newer.csv", seed=1)
        records = succeed(["--is_training", "0", "--load", load, "--data_path", str(newer)])
        assert len(records) == 2
        assert {record["model"]["config"]["lora"] for record in records} == {0}

    def test_a_test_need_not_repeat_how_the_model_was_trained(self, tiny: Tiny) -> None:
        (trained,) = succeed(tiny(train_epochs=2, learning_rate=0.001))
        (again,) = succeed(tiny(is_training=0))
        assert again["scores"]["metrics"] == trained["scores"]["metrics"]
        assert again["run"]["config"]["train_epochs"] == 2

    def test_loader_processes_change_no_figure(self, tiny: Tiny) -> None:
        (alone,) = succeed(tiny())
        (helped,) = succeed(tiny(num_workers=2))
        assert helped["scores"]["metrics"] == alone["scores"]["metrics"]

    def test_dry_run_prints_windows_and_groups_and_writes_nothing(
        self, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        assert run.main([*tiny(word_embedding_path=None), "--dry_run"]) == 0
        for part in (
            "train 249, val 33, test 73",
            "would be made",
            "frozen",
            "0.01 feature (l1)",
            "cosine, tmax 20",
            "at most 1 epochs of batches of 64, patience 3",
            "rank 8, alpha 32",
        ):
            assert part in caplog.text
        for group, tensors, parameters in (("alignment", 14, "8,256"), ("backbone", 28, "103,816")):
            assert re.search(rf"trains: {group} +{tensors} tensors +{parameters} parameters", caplog.text), caplog.text
        for part in ("LoRA", "seed 2021"):
            assert part in caplog.text
        assert written(workplace) == []


def test_a_reader_that_stops_listening_is_no_error(write_csv: WriteCsv, workplace: Path) -> None:
    command = [sys.executable, str(ROOT / "run.py"), "--model", "DLinear", "--data", "custom"]
    command += ["--data_path", str(write_csv()), "--dry_run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert "Traceback" not in error
