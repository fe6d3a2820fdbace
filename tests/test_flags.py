"""The flags of the command line, and the name of a run that follows from them."""

import re
from pathlib import Path
from typing import Any

import pytest

import run
from exp import flags as command_line
from exp.config import RunConfig
from tests.conftest import WriteCsv

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


class TestFlags:
    @pytest.mark.parametrize("line", RELEASE_LINES)
    def test_command_lines_of_the_release_parse_unchanged(self, line: str) -> None:
        args, given = run.parse(line.split())
        assert RunConfig.from_args(args).gpt_layers == 6
        assert len(given) == len(re.findall(r"--\w+", line))

    @pytest.mark.parametrize("flag", ["data_path", "root_path", "target_data_path", "target_root_path"])
    def test_an_empty_path_is_no_path_left_out(self, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as left:
            run.parse([f"--{flag}", ""])
        assert left.value.code == 2
        assert f"error: --{flag} is empty" in capsys.readouterr().err

    def test_every_flag_is_read_or_declared_without_effect(self) -> None:
        read: set[str] = set()

        class Recorder:
            def __init__(self, values: dict[str, Any]) -> None:
                self.values = values

            def __getattr__(self, name: str) -> Any:
                read.add(name)
                return self.values[name]

        args, _ = run.parse([])
        m4 = {"task_name": "short_term_forecast", "data": "m4", "root_path": "nowhere"}
        with pytest.raises(run.UserError, match=r"M4 file nowhere.Monthly-train\.csv does not exist"):
            run.run(Recorder({**vars(args), **m4}), set())  # type: ignore[arg-type]
        with pytest.raises(run.UserError, match="--target_data names 1 data set"):
            run.run(Recorder({**vars(args), "zero_shot": 1, "target_data": "ETTm1", "target_data_path": "a,b"}), set())
        with pytest.raises(run.UserError, match="gpt2-tiny"):
            zero_shot = {"zero_shot": 1, "target_data": "sample", "llm": "gpt2-tiny"}
            run.run(Recorder({**vars(args), **zero_shot}), set())  # type: ignore[arg-type]
        with pytest.raises(run.UserError, match="gpt2-tiny"):
            run.run(Recorder({**vars(args), "llm": "gpt2-tiny", "save_arrays": 0}), set())  # type: ignore[arg-type]
        flags = {action.dest for action in command_line.build_parser()._actions} - {"help"}
        unread = {*command_line.WITHOUT_EFFECT, "p_hidden_dims", *command_line.SWITCHES_WITHOUT_EFFECT}
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
        text = command_line.build_parser().format_help()
        for name in ("data:", "model and backbone:", "training:", "device and output:", "--zero_shot", "--d_model"):
            assert name in text


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
