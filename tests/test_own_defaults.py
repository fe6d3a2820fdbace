"""What a run of an own file chooses where nothing is said, and what stays as it is for research."""

import io
import sys
from pathlib import Path

import pandas as pd
import pytest

import run
from exp.config import RunConfig
from exp.flags import parse
from exp.options import TrainingOptions
from exp.own_file import filled_in, natural_horizon
from tests.conftest import WriteCsv, hourly_table
from tests.helpers.commands import succeed

CHOSEN = {"seq_len", "pred_len", "batch_size", "train_epochs", "patience", "learning_rate"}


def chosen(*flags: object) -> dict[str, object]:
    """What is filled in for a command line."""
    given = parse([str(flag) for flag in flags])
    return {name: value for name, value in filled_in(given)[0].items() if name not in given}


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no GPT-2 in the cache."""
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *names: None)


def daily(rows: int) -> pd.DataFrame:
    return hourly_table(rows).assign(date=pd.date_range("2020-01-01", periods=rows))


def test_lengths_follow_from_the_step_and_the_length_of_the_file(write_csv: WriteCsv, no_cache: None) -> None:
    hours, days = write_csv(hourly_table(3000), "hours.csv"), write_csv(daily(800), "days.csv")
    short = write_csv(daily(60), "short.csv")
    found = [chosen("--data_path", path) for path in (hours, days, short)]
    assert [(one["seq_len"], one["pred_len"]) for one in found] == [(96, 24), (28, 14), (10, 12)]
    assert all(found[0].keys() >= CHOSEN for _ in found)


def test_a_given_length_is_kept_and_the_others_adapt_to_it(write_csv: WriteCsv, no_cache: None) -> None:
    found = chosen("--data_path", write_csv(daily(800)), "--pred_len", 30)
    assert "pred_len" not in found
    assert found["seq_len"] == 60


@pytest.mark.parametrize(
    ("season", "horizon"), [(24, 24), (7, 14), (5, 10), (12, 12), (4, 8), (52, 13), (1, 6), (1440, 60)]
)
def test_the_horizon_is_one_that_people_plan_with(season: int, horizon: int) -> None:
    assert natural_horizon(season) == horizon


def test_runs_of_published_data_keep_their_defaults() -> None:
    for flags in (["--data", "ETTh1"], ["--data", "sample"], []):
        given = parse(flags)
        assert filled_in(given) == (given, [])
        config = RunConfig.from_flags(given)
        assert (config.data.seq_len, config.data.pred_len, config.training) == (96, 96, TrainingOptions())


def test_without_gpt2_a_small_network_stands_in_and_says_so(write_csv: WriteCsv, no_cache: None) -> None:
    path = write_csv(daily(100))
    filled, lines = filled_in(parse(["--data_path", str(path)]))
    assert (filled["llm"], filled["llm_init"]) == ("gpt2-tiny", "random")
    assert "no gpt2 in the Hugging Face cache" in lines[-1]


@pytest.mark.parametrize("flags", [["--llm", "gpt2"], ["--llm_init", "pretrained"], ["--model", "DLinear"]])
def test_a_named_language_model_never_falls_back(write_csv: WriteCsv, no_cache: None, flags: list[str]) -> None:
    assert "llm" not in chosen("--data_path", write_csv(daily(100)), *flags)


def test_gpt2_in_the_cache_is_used(write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: f"/cache/{name}/{file}")
    assert "llm" not in chosen("--data_path", write_csv(daily(100)))


def test_one_flag_leads_from_a_file_to_a_forecast(
    write_csv: WriteCsv, workplace: Path, no_cache: None, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_csv(daily(80))
    (record,) = succeed(["--data_path", str(path), "--device", "cpu", "--train_epochs", "1"])
    assert "chosen from 80 rows, a step of D: --seq_len 13 --pred_len 14" in caplog.text
    assert record["model"]["origin"]["backbone"]["name"] == "gpt2-tiny"
    assert len(list(Path("results").glob("*/forecast.csv"))) == 1


def test_the_report_uses_the_lengths_of_a_run(
    write_csv: WriteCsv, workplace: Path, no_cache: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert run.main(["--data_path", str(write_csv(daily(80))), "--check_data"]) == 0
    assert "windows of 13 -> 14" in caplog.text
    assert caplog.messages[-1] == "The file can be used as it is."


def test_a_file_that_a_run_refuses_has_a_report_all_the_same(
    write_csv: WriteCsv, workplace: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(daily(200).drop(index=range(50, 70)))
    flags = ["--data_path", str(path), "--model", "DLinear", "--device", "cpu"]
    assert run.main([*flags, "--check_data"]) == 0
    assert "180 rows, 2020-01-01 to 2020-07-18" in caplog.text
    verdict = caplog.messages[-1]
    assert "20 step(s) of D are missing" in verdict
    assert run.main(flags) == 2
    assert verdict.removeprefix("The file cannot be used as it is: ") in capsys.readouterr().err


def test_a_run_that_is_too_short_names_the_lengths_that_the_report_names(
    write_csv: WriteCsv, workplace: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--data_path", str(write_csv(daily(100))), "--model", "DLinear", "--pred_len", "50", "--device", "cpu"]
    assert run.main([*flags, "--check_data"]) == 0
    (hint,) = [line.strip().removeprefix("too short: ") for line in caplog.messages if "too short" in line]
    assert "--pred_len 10 would fit" in hint
    assert run.main(flags) == 2
    assert hint in capsys.readouterr().err


def test_more_columns_than_positions_are_refused_in_report_and_run(
    write_csv: WriteCsv,
    workplace: Path,
    tiny_gpt2: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_csv(hourly_table(200, channels=17))
    flags = ["--data_path", str(path), "--llm", str(tiny_gpt2), "--gpt_layers", "1", "--device", "cpu"]
    assert run.main([*flags, "--check_data"]) == 0
    assert "cannot be used as it is: 17 channels, but the backbone has 16 positions" in caplog.messages[-1]
    assert "--columns" in caplog.messages[-1]
    assert run.main(flags) == 2
    assert "17 channels, but the backbone has 16 positions" in capsys.readouterr().err


def test_a_file_may_come_from_standard_input(
    write_csv: WriteCsv, workplace: Path, monkeypatch: pytest.MonkeyPatch, no_cache: None
) -> None:
    content = write_csv(daily(80)).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    succeed(["--data_path", "-", "--model", "DLinear", "--train_epochs", "1", "--device", "cpu"])
    (kept,) = Path().glob("stdin-*.csv")
    assert kept.read_bytes() == content
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (folder,) = Path("checkpoints").iterdir()
    load = ["--is_training", "0", "--do_predict", "--load", str(folder), "--data_path", "-", "--device", "cpu"]
    assert run.main(load) == 0
