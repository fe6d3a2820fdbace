"""Flags from a YAML file, and the one that a run leaves to be repeated with."""

import os
from pathlib import Path

import pytest
import yaml

import run
from exp.config import RunConfig
from exp.flags import lines_of_idle_flags, parse
from exp.options import Command
from exp.own_file import filled_in
from exp.run_file import save_flags
from models import MODELS
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import refused
from utils.flags import given_for

LEFT = "results/{}/run.yaml"


def plain(tiny: Tiny, **flags: object) -> list[str]:
    """Flags of a run of a second, on a model without a language model."""
    return tiny(model="DLinear", llm=None, word_embedding_path=None, gpt_layers=None, **flags)


def write(text: str) -> list[str]:
    """Write a file of flags; return the flag that names it."""
    Path("flags.yaml").write_text(text, encoding="utf-8")
    return ["--config", "flags.yaml"]


def resolved(argv: list[str]) -> tuple[RunConfig, Command]:
    """Return the configuration of a run and what it does, with what an own file leaves open."""
    filled = filled_in(parse(argv))[0]
    return RunConfig.from_flags(filled), Command(**given_for(Command, filled))


# --- reading ---


def test_flags_of_a_file_are_as_those_of_the_command_line_which_win(workplace: Path) -> None:
    given = parse([*write("model: PatchTST\npatch_len: 8\nseed: 5\ndes: from file\n"), "--seed", "6"])
    assert given == {"model": "PatchTST", "patch_len": 8, "seed": 6, "des": "from file", "config": "flags.yaml"}
    assert parse([*write("model: PatchTST\n"), "--model", "DLinear"])["model"] == "DLinear"


def test_numbers_texts_and_switches_may_be_written_as_people_do(workplace: Path) -> None:
    text = (
        "learning_rate: 1e-4\ntask_w: 2\ninterval: 0.9\nmissing: -9999\nlora: true\ncos: 0\ninverse: true\n"
        "overwrite: false\ndo_predict: yes\ngpt_layer: 3\ncompile: 1\nlabel_len: 48\ndata_path: 'a: b.csv'\n"
    )
    given = parse(write(text))
    assert given.pop("config") == "flags.yaml"
    assert given == {
        "learning_rate": 1e-4, "task_w": 2.0, "interval": "0.9", "missing": "-9999", "lora": 1, "cos": 0,
        "inverse": True, "do_predict": 1, "gpt_layers": 3, "compile": "1", "label_len": "48", "data_path": "a: b.csv",
    }  # fmt: skip
    assert type(given["task_w"]) is float and type(given["lora"]) is int


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_epochs: ten", "train_epochs is the text 'ten'; choose a whole number from 1 to"),
        ("train_epochs: '10'", "train_epochs is the text '10'; choose a whole number"),
        ("train_epochs: 2.5", "train_epochs is 2.5; choose a whole number"),
        ("train_epochs: true", "train_epochs is true; choose a whole number"),
        ("train_epochs: 0", "train_epochs is 0; choose a whole number from 1 to"),
        ("pred_len: [24, 48]", "pred_len is a list; choose a whole number from 0 to"),
        ("pred_len:", "pred_len is empty; choose a whole number from 0 to"),
        ("learning_rate: fast", "learning_rate is the text 'fast'; choose a positive number"),
        ("learning_rate: .inf", "learning_rate is inf; choose a positive number"),
        ("holidays: NO", "holidays is false; choose codes of countries with commas between, each once, like DE,US or "
         "DE-BY, in quotes"),
        ("target: 2024-01-01", "target is 2024-01-01; choose the name of a column, in quotes"),
        ("columns: [a, b]", "columns is a list; choose the name of a column"),
        ("data: {a: 1}", "data is a group; choose one of"),
        ("inverse: 1", "inverse is 1; choose true or false"),
        ("features: X", "features is the text 'X'; choose one of M, S, MS"),
        ("name: ../up", "name is the text '../up'; choose at most 100 letters"),
        ("horizon: 24", "there is no flag horizon; did you mean pred_len?"),
        ("--pred_len: 24", "there is no flag --pred_len; did you mean pred_len?"),
        ("pred-len: 24", "there is no flag pred-len; did you mean pred_len?"),
        ("zzzzzz: 1", "there is no flag zzzzzz; --help lists them."),
        ("1: 1", "there is no flag 1; --help lists them."),
        ("[1]: 1", "is no YAML ("),
        ("config: other.yaml", "a file of flags cannot name another one with config; leave it out."),
        ("- seed", "holds no flags; write a line for each, name: value."),
        ("", "holds no flags; write a line for each, name: value."),
        ("a: b: c", "is no YAML (mapping values are not allowed here"),
        ("seed: 2024-99-99", "is no YAML ("),
        ("seed: !!python/object/apply:os.getcwd []", "is no YAML ("),
        ("seed: " + "[" * 1500, "is no YAML ("),
        ("x" * 1_000_001, "has more than 1,000,000 bytes: it is no file of flags."),
    ],
)  # fmt: skip
def test_what_a_file_cannot_say_is_refused_with_file_and_flag(
    text: str, message: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(write(text), capsys)
    assert "flags.yaml" in said and message in said


@pytest.mark.parametrize("name", ["missing.yaml", ".", ""])
def test_a_file_of_flags_that_there_is_not_is_refused(
    name: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused([f"--config={name}"], capsys).startswith("error: --config")


def test_bytes_that_are_no_text_are_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("flags.yaml").write_bytes(b"seed: \xff\x00")
    assert "is no YAML (" in refused(["--config", "flags.yaml"], capsys)


# --- writing ---


def test_a_run_is_repeated_by_the_file_that_it_leaves(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    argv = [*plain(tiny, name="sales", interval="0.5,0.9", inverse=None), "--inverse"]
    assert run.main(argv) == 0
    setting = resolved(argv)[0].setting
    caplog.clear()
    assert run.main(["--config", LEFT.format(setting)]) == 0
    assert caplog.messages[0] == f"{setting} is finished; --overwrite repeats it"
    assert [path.name for path in Path("results").iterdir()] == [setting]


def test_what_was_chosen_for_an_own_file_is_repeated_too(
    write_csv: WriteCsv, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_csv(hourly_table(rows=300, channels=1)).rename(workplace / "own.csv")
    argv = ["--model", "DLinear", "--data_path", "own.csv", "--train_epochs", "1", "--device", "cpu"]
    assert run.main(argv) == 0
    setting = resolved(argv)[0].setting
    flags = yaml.safe_load(Path(LEFT.format(setting)).read_text())
    assert flags["data_path"] == str(workplace / "own.csv")
    assert {"seq_len", "pred_len", "batch_size", "patience", "learning_rate"} <= flags.keys()
    assert flags["do_predict"] == 1
    caplog.clear()
    assert run.main(["--config", LEFT.format(setting)]) == 0
    assert caplog.messages[0] == f"{setting} is finished; --overwrite repeats it"
    assert "chosen from" not in caplog.text and "no effect" not in caplog.text


def test_a_forecast_from_a_checkpoint_is_repeated_by_the_file_that_it_leaves(
    tiny: Tiny, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert run.main(plain(tiny, name="sales")) == 0
    (trained,) = Path("results").iterdir()
    recipe = (trained / "run.yaml").read_bytes()
    newer = os.path.relpath(write_csv(hourly_table(rows=450), name="newer.csv"))
    test = ["--is_training", "0", "--load", f"checkpoints/{trained.name}", "--device", "cpu"]
    forecast = ["--data_path", newer, "--do_predict", "--predict_len", "3", "--output", "out.csv"]
    assert run.main([*test, *forecast]) == 0
    (other,) = set(Path("results").iterdir()) - {trained}
    first = (other / "forecast.csv").read_bytes()
    Path("out.csv").unlink()
    caplog.clear()
    assert run.main(["--config", str(other / "run.yaml")]) == 0
    assert set(Path("results").iterdir()) == {trained, other}
    assert (other / "forecast.csv").read_bytes() == first
    assert not Path("out.csv").exists() and "no effect" not in caplog.text
    assert run.main(test) == 0
    assert (trained / "run.yaml").read_bytes() == recipe  # of the training, which still repeats it


def test_a_test_where_no_training_left_a_file_leaves_one(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert run.main(plain(tiny)) == 0
    (trained,) = Path("results").iterdir()
    (trained / "run.yaml").unlink()
    assert run.main(plain(tiny, is_training=0)) == 0
    caplog.clear()
    assert run.main(["--config", str(trained / "run.yaml")]) == 0
    assert [*Path("results").iterdir()] == [trained] and f"run: {trained.name}" in caplog.text


LINES = [
    *(f"--model {model} --data sample --pred_len 24 --seed 7" for model in MODELS),
    "--data sample --lradj type2 --cos 1 --learning_rate 1e-05 --lora 0 --r 4 --llm gpt2-tiny --llm_init random",
    "--data sample --des on --model_id 2024-01-01 --interval 0.5,0.9 --eval_batch_size 7 --use_amp",
    "--data_path own.csv --target c0 --features S --freq h --missing=-9999,-200 --do_predict 0 --percent 50",
    "--data_path own.csv --seq_len 96 --pred_len 48 --fill linear --calendar 1 --checkpoints elsewhere --log none",
    "--data_path own.csv --root_path . --future_cols c0 --zero_shot 1 --target_data custom --target_data_path b.csv",
    "--data custom,sample --data_path own.csv, --target_data custom --target_data_path b.csv",
]


@pytest.mark.parametrize("line", LINES)
def test_every_kind_of_run_is_the_same_from_its_file_in_any_folder(
    line: str, workplace: Path, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(hourly_table()).rename(workplace / "own.csv")
    write_csv(hourly_table(seed=1)).rename(workplace / "b.csv")
    config, command = resolved(line.split())
    files, targets = config.data.files(), {name: one.files() for name, one in config.targets.items()}
    save_flags(config, command, config.checkpoint)
    left = config.results.resolve() / "run.yaml"
    elsewhere = workplace / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    given = parse(["--config", str(left)])
    again, do = resolved(["--config", str(left)])
    assert again.identity == config.identity and again.setting == config.setting
    assert again.data.files() == files
    assert {name: one.files() for name, one in again.targets.items()} == targets
    assert (do.do_predict, do.is_training) == (command.do_predict, 1)
    runtime = {name for name in vars(config.runtime) if "path" not in name and name != "checkpoints"}
    assert all(getattr(again.runtime, name) == getattr(config.runtime, name) for name in runtime)
    if config.runtime.checkpoints == "elsewhere":
        assert again.runtime.checkpoints == str(elsewhere)
    said = set(lines_of_idle_flags(config, command, parse(line.split())))
    assert set(lines_of_idle_flags(again, do, given)) <= said  # no flag without effect that nobody gave


def test_a_path_in_any_letters_is_kept(workplace: Path, write_csv: WriteCsv) -> None:
    name = os.fsdecode(b"f\xe4 \xe9\x94\x80: #1.csv")
    write_csv(hourly_table()).rename(workplace / name)
    config, command = resolved(["--model", "DLinear", "--data_path", name])
    save_flags(config, command, config.checkpoint)
    assert resolved(["--config", str(config.results / "run.yaml")])[0].identity == config.identity


def test_a_file_of_flags_holds_none_of_one_call_alone(tiny: Tiny) -> None:
    config, command = resolved([*plain(tiny, resume="never", itr=2, output="x.csv"), "--overwrite"])
    save_flags(config, command, config.checkpoint)
    flags = yaml.safe_load((config.results / "run.yaml").read_text())
    assert not {"resume", "itr", "output", "overwrite", "config", "load", "use_amp"} & flags.keys()


def test_a_dry_run_leaves_no_file(tiny: Tiny, workplace: Path) -> None:
    assert run.main([*plain(tiny), "--dry_run"]) == 0
    assert not list(workplace.iterdir())
