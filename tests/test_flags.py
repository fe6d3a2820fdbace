"""The flags of the command line, and the name of a run that follows from them."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import run
from data_provider.anomaly_config import AnomalyConfig
from data_provider.classification_config import ClassificationConfig
from data_provider.config import DataConfig, M4Config
from data_provider.imputation_config import ImputationConfig
from exp.config import RunConfig
from exp.flags import OF_RELEASE, lines_of_idle_flags, parse
from exp.options import Command, RuntimeOptions, TrainingOptions
from models import MODELS, find_config
from tests.conftest import WriteCsv
from tests.helpers.commands import refused
from utils.errors import UserError
from utils.flags import convert, flags_of, given_for
from utils.schedule import Schedule

ROOT = Path(run.__file__).parent
CONFIGS = [
    *(RunConfig, Command, DataConfig, M4Config, ImputationConfig, AnomalyConfig, ClassificationConfig),
    *(TrainingOptions, Schedule, RuntimeOptions),
]

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


def config_of(line: str) -> RunConfig:
    return RunConfig.from_flags(parse(line.split()))


def idle(line: str) -> list[str]:
    """Return what is said of the flags of a command line that have no effect."""
    given = parse(line.split())
    return list(lines_of_idle_flags(RunConfig.from_flags(given), Command(**given_for(Command, given)), given))


@pytest.mark.parametrize("line", RELEASE_LINES)
def test_command_lines_of_the_release_are_taken_unchanged(line: str) -> None:
    assert config_of(line).network["gpt_layers"] == 6
    assert len(parse(line.split())) == len(re.findall(r"--\w+", line))


def read_names() -> Iterator[str]:
    """Yield the name of each attribute that product code reads."""
    folders = ("exp", "models", "layers", "data_provider", "utils")
    for path in [ROOT / "run.py", *(file for folder in folders for file in (ROOT / folder).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield node.attr


def test_every_flag_is_read_somewhere() -> None:
    flags = {name for config in (*CONFIGS, *map(find_config, MODELS)) for name in flags_of(config)}
    assert flags - set(read_names()) - {"use_amp"} == set()  # it is an older name for a precision


def test_no_flag_of_the_release_is_read_by_another_name() -> None:
    common = {name for config in CONFIGS for name in flags_of(config)}
    assert not common & {*OF_RELEASE}


# --- help ---


def help_of(*flags: str) -> str:
    """Return the help as a fresh process prints it, which imports nothing heavy for it."""
    code = (
        "import atexit, sys, run\n"
        "heavy = {'torch', 'numpy', 'pandas', 'transformers', 'matplotlib', 'safetensors', 'sklearn'}\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules))))\n"
        "run.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, *flags, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    text, _, heavy = done.stdout.rpartition("heavy: ")
    assert heavy.strip() == "[]"
    return text


def test_help_begins_with_the_commands_that_users_want_and_has_groups() -> None:
    said = help_of()
    first, second = (said.index(part) for part in ("--data_path sales.csv", "--data ETTh1 --pred_len 96"))
    assert first < second < said.index("options:")
    groups = re.findall(r"^(\S.*):$", said.partition("options:")[2], re.MULTILINE)
    assert groups[:4] == ["the run", "data", "data: several data sets", "data: m4, m3"]
    assert groups.index("data of --task_name imputation") < groups.index("the model CALF")
    assert all(f"--{name} " in said for config in (*CONFIGS, find_config("CALF")) for name in flags_of(config))


def test_help_shows_the_flags_of_the_chosen_model() -> None:
    shown, _, unread = help_of("--model", "DLinear").partition("Accepted as in the release")
    assert "the model DLinear:" in shown
    assert "--moving_avg N" in shown and "--individual" in shown
    assert "--llm " not in shown.partition("options:")[2]
    assert "--moving_avg" not in unread and "--enc_in" in unread


# --- flags without effect ---


def test_given_flags_without_effect_are_named_once_with_the_reason() -> None:
    line = (
        "--d_model 768 --n_heads 4 --lradj type1 --lora 0 --r 4 --feature_w 0 --feature_loss mse --device cpu --gpu 3"
    )
    assert sorted(idle(line)) == [
        "no effect on CALF: --d_model, --n_heads",
        "no effect with --cos 1: --lradj",
        "no effect with --device cpu: --gpu",
        "no effect with --feature_w 0.0: --feature_loss",
        "no effect with --lora 0: --r",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--cos 0 --lradj type2 --decay_fac 0.75", []),
        ("--cos 0 --decay_fac 0.75", ["no effect with --lradj type1: --decay_fac"]),
        ("--cos 0 --tmax 5", ["no effect with --cos 0: --tmax"]),
        ("--use_gpu 0 --gpu 1", ["no effect with --use_gpu 0: --gpu"]),
        ("--save_arrays 0 --inverse", ["no effect with --save_arrays 0: --inverse"]),
        ("--target_data ETTm1", ["no effect with --zero_shot 0: --target_data"]),
        ("--predict_len 3", ["no effect without --do_predict: --predict_len"]),
        ("--is_training 0 --load x --itr 2", ["no effect with --load x: --itr"]),
        ("--is_training 0 --patience 9 --overwrite --log none --task_w 2 --des other",
         ["no effect with --is_training 0: --des, --log, --overwrite, --patience, --task_w"]),
        ("--is_training 0 --do_predict --num_workers 2 --compile 1",
         ["no effect with --do_predict --is_training 0: --compile, --num_workers"]),
    ],
)  # fmt: skip
def test_flags_that_another_flag_leaves_without_effect_are_named(line: str, said: list[str]) -> None:
    assert idle(line) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--model DLinear --llm gpt2 --moving_avg 5 --d_model 9", ["no effect on DLinear: --d_model, --llm"]),
        ("--model Naive --moving_avg 5 --train_epochs 3 --task_loss l1 --des x",
         ["no effect on Naive: --moving_avg", "no effect on Naive, which does not train: --task_loss, --train_epochs"]),
        ("--data sample --root_path . --fill linear --seq_len 24",
         ["no effect with --data sample: --fill, --root_path"]),
        ("--data ETTh1 --m4_protocol release", ["no effect with --data ETTh1: --m4_protocol"]),
        ("--task_name short_term_forecast --features M --seq_len 96 --m4_draws 3 --num_workers 2",
         ["no effect with --data m4: --features, --seq_len",
          "no effect with --task_name short_term_forecast: --num_workers"]),
    ],
)  # fmt: skip
def test_flags_that_model_data_or_task_do_not_read_are_named(line: str, said: list[str]) -> None:
    assert idle(line) == said


def test_flags_that_do_nothing_in_several_processes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    assert idle("--gpu 1") == ["no effect with 2 processes: --gpu"]


def test_a_model_that_cannot_recompute_or_compile_says_so(
    write_csv: WriteCsv, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = (
        f"--model DLinear --data_path {write_csv()} --seq_len 24 --pred_len 8 --grad_checkpoint 1 --compile 1 --dry_run"
    )
    assert run.main([*line.split(), "--device", "cpu"]) == 0
    assert "no effect on DLinear: --grad_checkpoint" in caplog.messages
    assert "no effect on DLinear: --compile" in caplog.messages


# --- values ---


def test_a_file_alone_means_an_own_csv_and_nothing_the_sample() -> None:
    assert config_of("--data_path sales.csv").data.data == "custom"
    assert config_of("--data ETTh1 --data_path other.csv").data.data == "ETTh1"
    assert config_of("").data.data == "sample"
    assert config_of("--task_name short_term_forecast").data.data == "m4"


NUMBERS = {
    name: one
    for config in (*CONFIGS, *map(find_config, MODELS))
    for name, one in flags_of(config).items()
    if one.metadata["kind"].type in (int, float)
}


@pytest.mark.parametrize("text", ["9" * 400, "9" * 5000, "nan", "inf", "-1", "1e999", "٣", "1_0", "x", ""])
def test_numbers_without_sense_are_refused_by_every_flag(text: str) -> None:
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    for name, one in NUMBERS.items():
        with pytest.raises(UserError, match=re.escape(f"--{name} {shown}: choose ")):
            convert(one, text)


def test_every_whole_number_has_a_limit() -> None:
    whole = {name: one for name, one in NUMBERS.items() if one.metadata["kind"].type is int}
    for one in whole.values():
        with pytest.raises(UserError, match="choose "):
            convert(one, "9" * 23)
    assert len(whole) > 20


@pytest.mark.parametrize(
    "line",
    [
        "--num_workers 100000", "--lora_alpha 1000001", "--r 1000000000", "--batch_size 1000000000000",
        "--accumulate 1000000000000", "--eval_batch_size 100000000000", "--seq_len 1000001", "--gpt_layers 1001",
        "--seed 4294967296", "--itr 10001",
        "--predict_len 10000001", "--m4_draws 10001", "--percent 101", "--moving_avg 4", "--lora_dropout 1",
    ],
)  # fmt: skip
def test_numbers_beyond_all_use_end_with_one_message(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(line.split()) == 2
    assert re.fullmatch(rf"error: {line}: choose .*\n", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["data_path", "root_path", "load", "checkpoints", "llm", "word_embedding_path", "des"])
def test_an_empty_text_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([f"--{name}", ""]) == 2
    assert f"error: --{name} : choose " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--seed 4294967295 --itr 3", "--seed 4294967295 --itr 3: the last seed, 4294967297, is above 4294967295."),
        ("--interval ٠.٩", "--interval ٠.٩: choose a share between 0 and 1, like 0.9, or several: 0.5,0.9."),
        ("--interval nan", "--interval nan: choose a share between 0 and 1, like 0.9, or several: 0.5,0.9."),
    ],
)
def test_values_that_no_run_can_have_are_refused_before_it(
    line: str, message: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(line.split(), capsys) == f"error: {message}\n"
    assert not list(workplace.iterdir())


@pytest.mark.parametrize("name", ["checkpoints", "load", "resume"])
def test_a_folder_of_tensors_has_a_name_in_utf_8(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused([f"--{name}", os.fsdecode(b"f\xe4")], capsys)
    assert said == f"error: --{name} f\\xe4: choose a path in UTF-8, not empty.\n"


def test_a_flag_that_there_is_not_ends_with_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(["--pred", "96"])
    assert ended.value.code == 2
    assert (
        capsys.readouterr().err
        == "error: unrecognized arguments: --pred 96; did you mean --pred_len?\nSee run.py --help.\n"
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE=abc in the environment is not a whole number; unset it."),
        ({"WORLD_SIZE": "٢"}, "WORLD_SIZE=٢ in the environment is not a whole number; unset it."),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE=-2 in the environment is not a whole number; unset it."),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2 is set in the environment, but no launcher started this process: unset"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0 and RANK=0 in the environment do not fit together; unset both."),
        ({"RANK": "3"}, "WORLD_SIZE=1 and RANK=3 in the environment do not fit together; unset both."),
        ({"RANK": "9" * 5000}, f"RANK={'9' * 40} in the environment is not a whole"),
    ],
)
def test_variables_of_a_launcher_without_sense_end_with_one_message(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run.main([]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


# --- names of runs ---


@pytest.mark.parametrize(
    "change",
    ["--seed 1", "--pred_len 12", "--learning_rate 0.01", "--lora 0", "--r 4", "--percent 50", "--target c0",
     "--features MS", "--feature_w 0.1", "--task_loss mse", "--cos 0", "--llm_init random", "--gpt_layers 1",
     "--batch_size 8", "--accumulate 2", "--train_epochs 2", "--patience 9", "--use_amp", "--des other",
     "--model_id other", "--freq D", "--word_embedding_path other.pt", "--data_path elsewhere.csv", "--data sample",
     "--model DLinear", "--tz Europe/Berlin"],
)  # fmt: skip
def test_the_name_of_a_run_differs_wherever_the_configuration_does(
    change: str, write_csv: WriteCsv, workplace: Path
) -> None:
    Path("elsewhere.csv").touch()
    base = f"--data custom --data_path {write_csv()}"
    assert config_of(base).setting != config_of(f"{base} {change}").setting


@pytest.mark.parametrize(
    "change", ["--device cpu", "--num_workers 2", "--save_arrays 0", "--is_training 0", "--inverse", "--d_model 9"]
)
def test_the_name_of_a_run_stays_where_only_the_way_of_running_changes(change: str, write_csv: WriteCsv) -> None:
    base = f"--data custom --data_path {write_csv()}"
    assert config_of(base).setting == config_of(f"{base} {change}").setting


def test_the_name_of_a_run_does_not_depend_on_how_the_file_is_named(
    write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv = write_csv()
    monkeypatch.chdir(csv.parent)
    lines = (f"--data_path {csv}", f"--data_path {csv.name}", f"--root_path {csv.parent} --data_path {csv.name}")
    assert len({config_of(f"--data custom {line}").setting for line in lines}) == 1


@pytest.mark.parametrize("text", ["-200", "-9999,-200", "-1.5", "NA,-1"])
def test_codes_of_missing_values_may_be_negative_numbers(text: str) -> None:
    assert parse(["--missing", text, "--data", "custom"]) == {"missing": text, "data": "custom"}
