"""The command line: its flags, what a run leaves behind, and what it says to wrong input."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import run
from data_provider.windows import WindowDataset
from exp.config import RunConfig
from exp.long_term_forecast import LongTermForecast
from tests.commands import succeed, tiny_run, written
from tests.conftest import WriteCsv, hourly_table, save_gpt2
from utils.word_embeddings import WordEmbeddings, principal_words, save_word_embeddings

ROOT = Path(run.__file__).parent

# Command lines as the authors' scripts have them.
RELEASE_LINES = [
    "--root_path ./datasets/ETT-small/ --data_path ETTh2.csv --is_training 1 --task_name long_term_forecast "
    "--model_id ETTh2_CALF_96_96 --data ETTh2 --seq_len 96 --label_len 0 --pred_len 96 --batch_size 256 "
    "--learning_rate 0.0005 --lradj type1 --train_epochs 100 --d_model 768 --n_heads 4 --d_ff 768 --dropout 0.3 "
    "--enc_in 7 --c_out 7 --gpt_layers 6 --itr 1 --model CALF --tmax 20 --cos 1 --r 8 --lora_alpha 32 "
    "--lora_dropout 0.1 --patience 5",
    "--root_path ./datasets/traffic/ --data_path traffic.csv --is_training 1 --task_name long_term_forecast "
    "--model_id traffic_CALF_96_96 --data custom --seq_len 96 --label_len 0 --pred_len 96 --batch_size 8 "
    "--learning_rate 0.0005 --train_epochs 10 --d_model 768 --n_heads 4 --d_ff 768 --gpt_layer 6 --itr 1 --model CALF "
    "--cos 1 --tmax 10 --r 8 --lora_alpha 32 --lora_dropout 0.1 --patience 5 --task_loss smooth_l1 "
    "--feature_loss smooth_l1 --output_loss smooth_l1",
    "--use_gpu True --use_multi_gpu --devices 0,1 --gpu 0 --p_hidden_dims 128 128 --p_hidden_layers 2 --distil "
    "--output_attention --embed timeF --activation gelu --moving_avg 25 --factor 3 --e_layers 2 --d_layers 1 "
    "--dec_in 7 --top_k 5 --num_kernels 6 --mask_rate 0.25 --anomaly_ratio 0.25 --seasonal_patterns Monthly --freq h "
    "--features M --target OT --des Exp --num_workers 10 --use_amp --inverse --checkpoints ./checkpoints/ "
    "--word_embedding_path wte_pca_500.pt --task_w 1.0 --feature_w 0.01 --output_w 1.0 --percent 100 --zero_shot 0 "
    "--target_data ETTm1",
]


@pytest.fixture
def tiny(tiny_gpt2: Path, tiny_words: Path, write_csv: WriteCsv, workplace: Path) -> Callable[..., list[str]]:
    """Flags of a tiny run on an hourly file of three channels; keyword arguments are more flags."""
    csv = write_csv()

    def flags(**more: object) -> list[str]:
        return tiny_run(csv, tiny_gpt2, tiny_words, **more)

    return flags


Tiny = Callable[..., list[str]]


class TestFlags:
    @pytest.mark.parametrize("line", RELEASE_LINES)
    def test_command_lines_of_the_release_parse_unchanged(self, line: str) -> None:
        args, given = run.parse(line.split())
        assert RunConfig.from_args(args).gpt_layers == 6
        assert len(given) == len(re.findall(r"--\w+", line))

    def test_every_flag_is_read_or_declared_without_effect(self) -> None:
        read: set[str] = set()

        class Recorder:
            def __init__(self, values: dict[str, Any]) -> None:
                self.values = values

            def __getattr__(self, name: str) -> Any:
                read.add(name)
                return self.values[name]

        args, _ = run.parse([])
        with pytest.raises(run.UserError, match="zero_shot"):
            run.run(Recorder({**vars(args), "zero_shot": 1}), set())  # type: ignore[arg-type]
        with pytest.raises(run.UserError, match="gpt2-tiny"):
            run.run(Recorder({**vars(args), "llm": "gpt2-tiny", "save_arrays": 0}), set())  # type: ignore[arg-type]
        flags = {action.dest for action in run.build_parser()._actions} - {"help"}
        unread = {*run.WITHOUT_EFFECT, "p_hidden_dims", *run.SWITCHES_WITHOUT_EFFECT}
        assert flags - unread == read & flags

    def test_given_flags_without_effect_are_named_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        args, given = run.parse(
            [
                "--d_model",
                "768",
                "--n_heads",
                "4",
                "--lradj",
                "type1",
                "--lora",
                "0",
                "--r",
                "4",
                "--feature_w",
                "0",
                "--feature_loss",
                "mse",
                "--device",
                "cpu",
                "--gpu",
                "3",
            ]
        )
        assert run.idle_flags(args, given) == [
            "no effect on CALF: --d_model, --n_heads",
            "no effect with --cos 1: --lradj",
            "no effect with --lora 0: --r",
            "no effect with --feature_w 0: --feature_loss",
            "no effect with --device cpu: --gpu",
        ]
        args, given = run.parse(["--is_training", "0", "--load", "x", "--itr", "2", "--patience", "9"])
        assert run.idle_flags(args, given) == [
            "no effect with --is_training 0: --patience",
            "no effect with --load: --itr",
        ]
        assert run.idle_flags(*run.parse(["--cos", "0", "--lradj", "type2", "--decay_fac", "0.75"])) == []

    def test_a_file_alone_means_an_own_csv_and_nothing_the_sample(self) -> None:
        assert run.parse(["--data_path", "sales.csv"])[0].data == "custom"
        assert run.parse(["--data", "ETTh1", "--data_path", "other.csv"])[0].data == "ETTh1"
        assert run.parse([])[0].data == "sample"

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("--pred 96", "unrecognized arguments: --pred"),
            ("--batch_size 0", "'0' is not a whole number of at least 1"),
            ("--learning_rate nan", "'nan' is not a positive number"),
            ("--use_gpu maybe", "'maybe' is not 0 or 1"),
            ("--num_workers -1", "'-1' is not a whole number of at least 0"),
            ("--lora_dropout 1", "'1' is not a number from 0 to below 1"),
        ],
    )
    def test_wrong_flags_end_with_one_message(
        self, line: str, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            run.main(line.split())
        assert ended.value.code == 2
        assert message in capsys.readouterr().err

    def test_help_is_grouped_and_names_every_flag(self) -> None:
        text = run.build_parser().format_help()
        for name in ("data:", "model and backbone:", "training:", "device and output:", "--zero_shot", "--d_model"):
            assert name in text


class TestARun:
    def test_leaves_everything_its_users_need(self, tiny: Tiny, workplace: Path) -> None:
        (record,) = succeed(tiny())
        setting = record["setting"]
        assert set(written(workplace)) == {
            f"checkpoints/{setting}/config.json",
            f"checkpoints/{setting}/model.safetensors",
            f"checkpoints/{setting}/training.json",
            *(f"results/{setting}/{name}" for name in ("metrics.json", "metrics.npy", "pred.npy", "true.npy")),
            *(f"test_results/{setting}/window_{index:05d}.png" for index in (0, 36, 72)),
            "results_long_term_forecast.txt",
        }
        config = json.loads((workplace / "checkpoints" / setting / "config.json").read_text())
        assert config["data"]["columns"] == ["c0", "c1", "OT"]
        assert config["data"]["frequency"] == "h"
        assert len(config["data"]["scaler"]["mean"]) == 3
        assert config["backbone"]["fingerprint"] in (workplace / "results_long_term_forecast.txt").read_text()

    def test_scores_the_arrays_it_writes(self, tiny: Tiny, workplace: Path) -> None:
        (record,) = succeed(tiny())
        folder = workplace / "results" / record["setting"]
        pred, true = np.load(folder / "pred.npy"), np.load(folder / "true.npy")
        assert pred.shape == true.shape == (73, 8, 3)
        error = pred.astype(np.float64) - true
        assert record["mse"] == pytest.approx(np.square(error).mean(), rel=1e-6)
        assert record["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-6)
        assert np.load(folder / "metrics.npy") == pytest.approx([record["mae"], record["mse"], record["mse"] ** 0.5])

    def test_scores_naive_forecasts_on_the_same_windows_in_both_scales(self, tiny: Tiny) -> None:
        (record,) = succeed(tiny())
        values = hourly_table()[["c0", "c1", "OT"]].to_numpy()
        scale = values[:280].std(axis=0)
        origins = np.arange(320, 393)
        truth = values[origins[:, None] + np.arange(8)]
        naive = truth - values[origins - 1][:, None]
        seasonal = truth - values[origins[:, None] + np.arange(8) - 24]
        for name, error in (("naive", naive), ("seasonal_naive", seasonal)):
            report = record["metrics"][name]
            assert report["original_units"]["mse"] == pytest.approx(np.square(error).mean(), rel=1e-5)
            assert report["standardised"]["mae"] == pytest.approx(np.abs(error / scale).mean(), rel=1e-5)
            assert report["standardised"]["per_channel"]["OT"]["mse"] == pytest.approx(
                np.square(error[..., 2] / scale[2]).mean(), rel=1e-5
            )
            assert [part["steps"] for part in report["standardised"]["per_quarter"]] == [[1, 2], [3, 4], [5, 6], [7, 8]]

    def test_evaluated_later_in_another_process_gives_identical_figures(self, tiny: Tiny, workplace: Path) -> None:
        (trained,) = succeed(tiny())
        (workplace / "results" / trained["setting"] / "metrics.json").unlink()
        command = [sys.executable, str(ROOT / "run.py"), *tiny(is_training=0)]
        # One thread, as in this process: the order of sums decides the last digits.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=workplace, env=environment, check=True, capture_output=True, text=True)
        later = json.loads((workplace / "results" / trained["setting"] / "metrics.json").read_text())
        assert later["metrics"] == trained["metrics"]
        assert later["best"] == trained["best"]

    def test_same_seed_same_numbers_other_seed_others(self, tiny: Tiny, workplace: Path) -> None:
        (first,) = succeed(tiny())
        (again,) = succeed(tiny())
        assert again["metrics"] == first["metrics"]
        first, other = succeed(tiny(seed=2022))
        assert other["setting"] != first["setting"]
        assert other["mse"] != first["mse"]

    def test_several_seeds_are_reported_with_mean_and_deviation(
        self, tiny: Tiny, workplace: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        records = succeed(tiny(itr=2, save_arrays=0))
        assert [record["seed"] for record in records] == [2021, 2022]
        mse = [record["mse"] for record in records]
        text = (workplace / "results_long_term_forecast.txt").read_text()
        assert f"mse:{np.mean(mse):.6f} ± {np.std(mse, ddof=1):.6f}" in text
        assert not list(workplace.rglob("pred.npy"))

    def test_arrays_in_the_data_s_units_on_request(self, tiny: Tiny, workplace: Path) -> None:
        (record,) = succeed([*tiny(is_training=1), "--inverse"])
        true = np.load(workplace / "results" / record["setting"] / "true.npy")
        values = hourly_table()[["c0", "c1", "OT"]].to_numpy()
        np.testing.assert_allclose(true[0], values[320:328], rtol=1e-5)
        assert record["arrays"] == "original units"

    @pytest.mark.parametrize(("features", "channels", "scored"), [("MS", 3, ["OT"]), ("S", 1, ["OT"])])
    def test_with_a_target_scores_the_target_alone(
        self, tiny: Tiny, workplace: Path, features: str, channels: int, scored: list[str]
    ) -> None:
        (record,) = succeed(tiny(features=features))
        assert list(record["metrics"]["CALF"]["standardised"]["per_channel"]) == scored
        assert np.load(workplace / "results" / record["setting"] / "pred.npy").shape == (73, 8, 1)
        config = json.loads((workplace / "checkpoints" / record["setting"] / "config.json").read_text())
        assert config["model"]["channels"] == channels

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
        monkeypatch.setattr("exp.long_term_forecast.LongTermForecast.test", lambda self: tested.append(len(last_rows)))
        assert run.main(tiny(train_epochs=2)) == 0
        assert tested == [len(last_rows)]
        assert max(last_rows) < 320

    def test_trains_without_lora_and_without_the_text_branch(self, tiny: Tiny, workplace: Path) -> None:
        (record,) = succeed(tiny(lora=0, output_w=0, feature_w=0))
        tensors = load_file(workplace / "checkpoints" / record["setting"] / "model.safetensors")
        assert not [name for name in tensors if "lora" in name]
        assert np.isfinite(record["mse"])

    def test_in_bfloat16_comes_close_to_float32(self, tiny: Tiny) -> None:
        (full,) = succeed(tiny())
        records = succeed([*tiny(), "--use_amp"])
        (half,) = (record for record in records if record["setting"] != full["setting"])
        assert half["mse"] == pytest.approx(full["mse"], rel=0.05)

    def test_stores_a_random_backbone_and_makes_its_words(
        self, tiny: Tiny, workplace: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        flags = tiny(llm_init="random", word_embedding_path=None)
        (record,) = succeed(flags)
        assert len(list(workplace.glob("wte_pca_24_tiny-gpt2_*.pt"))) == 1
        assert "is missing; making it" in caplog.text
        assert record["backbone"]["init"] == "random"
        folder = workplace / "checkpoints" / record["setting"]
        assert "time_gpt2.h.0.mlp.c_fc.weight" in load_file(folder / "model.safetensors")
        (again,) = succeed([*flags, "--is_training", "0"])
        assert again["metrics"] == record["metrics"]

    def test_on_the_sample_says_how_close_to_the_best_possible_it_came(
        self, tiny: Tiny, caplog: pytest.LogCaptureFixture
    ) -> None:
        (record,) = succeed(tiny(data="sample", data_path=None, seq_len=48, pred_len=12, batch_size=512, gpt_layers=1))
        best = record["metrics"]["best_possible"]["standardised"]["mse"]
        assert 0 < best < record["mse"]
        assert f"has MSE {best:.4f}; CALF is at {record['mse'] / best:.2f} times that" in caplog.text

    def test_a_checkpoint_tells_all_but_the_data_file(self, tiny: Tiny, write_csv: WriteCsv, workplace: Path) -> None:
        (trained,) = succeed(tiny(lora=0, seed=7))
        load = str(Path("checkpoints") / trained["setting"])
        (again,) = succeed(["--is_training", "0", "--load", load, "--itr", "3"])
        assert (again["metrics"], again["config"], again["seed"]) == (trained["metrics"], trained["config"], 7)
        assert again["training"] == trained["training"]
        newer = write_csv(name="newer.csv", seed=1)
        records = succeed(["--is_training", "0", "--load", load, "--data_path", str(newer)])
        assert len(records) == 2
        assert {record["config"]["lora"] for record in records} == {None}

    def test_a_test_need_not_repeat_how_the_model_was_trained(self, tiny: Tiny) -> None:
        (trained,) = succeed(tiny(train_epochs=2, learning_rate=0.001))
        (again,) = succeed(tiny(is_training=0))
        assert again["metrics"] == trained["metrics"]
        assert again["config"]["train_epochs"] == 2

    def test_loader_processes_change_no_figure(self, tiny: Tiny) -> None:
        (alone,) = succeed(tiny())
        (helped,) = succeed(tiny(num_workers=2))
        assert helped["metrics"] == alone["metrics"]

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


class TestSettings:
    @pytest.mark.parametrize(
        "change",
        ["--seed 1", "--pred_len 12", "--learning_rate 0.01", "--lora 0", "--r 4", "--percent 50", "--target c0",
         "--features MS", "--feature_w 0.1", "--task_loss mse", "--cos 0", "--llm_init random", "--gpt_layers 1",
         "--batch_size 8", "--train_epochs 2", "--patience 9", "--use_amp", "--des other", "--model_id other",
         "--freq D", "--word_embedding_path other.pt", "--data_path elsewhere.csv", "--data sample"],
    )  # fmt: skip
    def test_differ_wherever_the_configuration_does(self, change: str, write_csv: WriteCsv, workplace: Path) -> None:
        Path("elsewhere.csv").touch()
        base = f"--data custom --data_path {write_csv()}"
        settings = {RunConfig.from_args(run.parse(f"{base} {more}".split())[0]).setting for more in ("", change)}
        assert len(settings) == 2

    @pytest.mark.parametrize(
        "change", ["--device cpu", "--num_workers 2", "--save_arrays 0", "--is_training 0", "--inverse", "--d_model 9"]
    )
    def test_stay_where_only_the_surroundings_change(self, change: str, write_csv: WriteCsv) -> None:
        base = f"--data custom --data_path {write_csv()}"
        settings = {RunConfig.from_args(run.parse(f"{base} {more}".split())[0]).setting for more in ("", change)}
        assert len(settings) == 1

    def test_do_not_depend_on_how_the_file_is_named(self, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch) -> None:
        csv = write_csv()
        monkeypatch.chdir(csv.parent)
        lines = (f"--data_path {csv}", f"--data_path {csv.name}", f"--root_path {csv.parent} --data_path {csv.name}")
        parsed = [run.parse(f"--data custom {line}".split())[0] for line in lines]
        assert len({RunConfig.from_args(args).setting for args in parsed}) == 1


class TestWrongInput:
    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ({"data": "nosuch"}, "--data nosuch: no such data set"),
            ({"task_name": "imputation"}, "--task_name imputation: no such task"),
            ({"model": "DLinear"}, "--model DLinear: no such model"),
            ({"task_loss": "huber"}, "--task_loss huber: no such loss"),
            ({"feature_loss": "smape"}, "--feature_loss smape: no such loss"),
            ({"task_loss": "smape", "word_embedding_path": None}, "--task_loss smape is for M4"),
            ({"lradj": "type9"}, "--lradj type9: no such schedule"),
            ({"features": "X"}, "--features X"),
            ({"target": "revenue"}, "has no column 'revenue'.*c0, c1, OT"),
            ({"data_path": "nosuch.csv"}, "nosuch.csv does not exist"),
            ({"seq_len": 0}, "--seq_len 0"),
            ({"pred_len": 100}, "the val split has 40 rows, a window takes 100"),
            ({"percent": 3}, "the train split has 31 rows .--percent 3.*larger --percent"),
            ({"percent": 0}, "--percent 0: choose 1 to 100"),
            ({"llm": "./nosuch"}, "--llm ./nosuch: there is no such folder"),
            ({"llm_init": "zeros"}, "--llm_init zeros"),
            ({"gpt_layers": 9}, "--gpt_layers 9: .* has 3 blocks"),
            ({"device": "tpu"}, "--device tpu"),
            ({"freq": "fortnight"}, "--freq fortnight"),
            ({"zero_shot": 1}, "--zero_shot 1"),
            ({"is_training": 0}, "There is no checkpoint in"),
        ],
    )
    def test_ends_with_one_message_and_nothing_written(
        self, tiny: Tiny, workplace: Path, flags: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run.main(tiny(**flags)) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert re.search(message, error)
        assert "Traceback" not in error
        assert written(workplace) == []

    def test_more_channels_than_positions_are_refused(
        self, tiny: Tiny, write_csv: WriteCsv, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run.main(tiny(data_path=write_csv(name="wide.csv", channels=17), word_embedding_path=None)) == 2
        assert written(workplace) == []
        assert "17 channels, but the backbone has 16 positions" in capsys.readouterr().err

    def test_word_embeddings_of_another_width_are_refused(
        self, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "wide.pt"
        save_word_embeddings(path, WordEmbeddings(principal_words(torch.randn(60, 48), 10)))
        assert run.main(tiny(word_embedding_path=path)) == 2
        assert re.search(r"wide.pt has word embeddings of width 48, the backbone .* 24", capsys.readouterr().err)

    def test_word_embeddings_of_another_backbone_are_refused(
        self, tiny: Tiny, workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = Path("words.pt")
        other = save_gpt2(tmp_path / "other-gpt2", seed=9)
        assert run.main([*tiny(word_embedding_path=words)]) == 0
        assert run.main([*tiny(word_embedding_path=words, llm=other)]) == 2
        assert re.search(r"words.pt was made from the token table of .*tiny-gpt2", capsys.readouterr().err)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"pred_len": 4}, "--pred_len is 4 here and 8 in"),
            ({"features": "S"}, "--features is S here and M in"),
            ({"lora": 0}, "--lora is 0 here and 1 in"),
            ({"seed": 5}, "--seed is 5 here and 2021 in"),
            ({"is_training": 1}, "--load names a checkpoint to test"),
        ],
    )
    def test_flags_that_contradict_the_checkpoint_to_test_are_refused(
        self, tiny: Tiny, workplace: Path, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (record,) = succeed(tiny())
        load = Path("checkpoints") / record["setting"]
        before = {path: path.read_bytes() for path in load.iterdir()}
        assert run.main(tiny(**{"is_training": 0, "load": load, **change})) == 2
        assert message in capsys.readouterr().err
        assert {path: path.read_bytes() for path in load.iterdir()} == before

    def test_a_checkpoint_of_other_columns_is_refused(
        self, tiny: Tiny, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (record,) = succeed(tiny())
        other = write_csv(hourly_table().rename(columns={"c0": "new"}), name="other.csv")
        load = Path("checkpoints") / record["setting"]
        assert run.main(["--is_training", "0", "--load", str(load), "--data", "custom", "--data_path", str(other)]) == 2
        assert "the columns is ['new', 'c1', 'OT'] here and ['c0', 'c1', 'OT'] there" in capsys.readouterr().err

    def test_several_checkpoints_that_fit_are_listed(self, tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
        for patience in (1, 2):
            succeed(tiny(patience=patience))
        assert run.main(tiny(is_training=0)) == 2
        error = capsys.readouterr().err
        assert error.count("--load checkpoints/") == 2

    def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_place(
        self, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run.main(tiny(learning_rate=1e30, train_epochs=3)) == 2
        error = capsys.readouterr().err
        assert re.search(r"not finite in epoch \d", error)
        assert "lower --learning_rate" in error

    def test_a_checkpoint_whose_record_of_the_data_is_damaged_is_refused(
        self, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (record,) = succeed(tiny())
        file = workplace / "checkpoints" / record["setting"] / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "data": []}))
        assert run.main(tiny(is_training=0)) == 2
        assert "has no proper 'data'" in capsys.readouterr().err

    def test_a_folder_that_cannot_be_written_ends_with_a_message(
        self, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (workplace / "checkpoints").write_text("a file where a folder should be")
        assert run.main(tiny()) == 2
        assert re.search(r"error: checkpoints.*: (File exists|Not a directory)", capsys.readouterr().err)

    def test_ctrl_c_ends_with_a_message_and_keeps_the_best_epoch(
        self, tiny: Tiny, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        validate, calls = LongTermForecast.validate, []

        def interrupted(self: LongTermForecast) -> float:
            calls.append(None)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return validate(self)

        monkeypatch.setattr(LongTermForecast, "validate", interrupted)
        assert run.main(tiny(train_epochs=3)) == 130
        assert "stopped by hand" in capsys.readouterr().err
        monkeypatch.undo()
        monkeypatch.chdir(workplace)
        assert run.main(tiny(train_epochs=3, is_training=0)) == 0

    def test_a_local_backbone_is_remembered_by_its_full_path(
        self, tiny: Tiny, tiny_gpt2: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tiny_gpt2.parent)
        args, _ = run.parse(tiny(llm=f"./{tiny_gpt2.name}"))
        assert RunConfig.from_args(args).llm == str(tiny_gpt2)


class TestAnEnvironmentThatLacksAPackage:
    def test_is_named_with_the_remedy(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def missing(*args: object) -> None:
            raise ModuleNotFoundError("No module named 'nosuch'", name="nosuch")

        monkeypatch.setattr(run, "run", missing)
        assert run.main([]) == 2
        assert re.search("lacks nosuch: .*pip install -r requirements.txt", capsys.readouterr().err)

    def test_but_a_missing_part_of_the_project_is_a_bug(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(*args: object) -> None:
            raise ModuleNotFoundError("No module named 'exp.nosuch'", name="exp.nosuch")

        monkeypatch.setattr(run, "run", missing)
        with pytest.raises(ModuleNotFoundError):
            run.main([])
