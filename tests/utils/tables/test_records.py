"""Test how records are read among files that did not come from a run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.records import long_term, m4, write
from utils.errors import UserError
from utils.tables.records import look_up, read_records


def test_records_are_found_however_deep_they_lie(tmp_path: Path) -> None:
    for seed, place in enumerate(("a", "b", "b/zero_shot_ETTm1")):
        write(tmp_path / place, long_term(seed=seed))
    records, notes = read_records(tmp_path)
    assert [record.content["run"]["seed"] for record in records] == [0, 1, 2]
    assert notes == []


def test_a_record_knows_its_content_and_its_age(tmp_path: Path) -> None:
    path = write(tmp_path, m4("Hourly", seed=7))
    os.utime(path, (50, 60))
    ((record,), _) = read_records(tmp_path)
    assert (record.content, record.modified) == (m4("Hourly", seed=7), 60)


@pytest.mark.parametrize(
    ("content", "section"),
    [
        (long_term(), "long_term"),
        (long_term(percent=10), "few_shot"),
        (long_term(target="ETTm1"), "zero_shot"),
        (long_term(target="ETTm1", percent=10), "zero_shot"),
        (m4("Hourly"), "m4"),
        (long_term(task=("imputation", "Imputation", ["mse"]), percent=10), "imputation"),
    ],
)
def test_a_record_belongs_in_a_section(tmp_path: Path, content: dict[str, Any], section: str) -> None:
    write(tmp_path, content)
    ((record,), _) = read_records(tmp_path)
    assert record.section == section


def test_a_model_without_a_backbone_leaves_a_record(tmp_path: Path) -> None:
    write(tmp_path, long_term(model="DLinear"))
    assert len(read_records(tmp_path)[0]) == 1


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert read_records(tmp_path / "results") == ([], [])


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match="results is a file"):
        read_records(tmp_path / "results")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"mse": 1', "Expecting ',' delimiter"),
        (b"\xff\xfe", "can't decode"),
        (b"[" * 100_000, "recursion"),
        (b"[1]", "no record of format 2: format is missing"),
        (b'{"accuracy": 1}', "no record of format 2: format is missing"),
        (b'{"format": 3}', "no record of format 2: format is 3"),
        (b'{"format": 2, "task": ["x"]}', "task.name is missing, not text"),
    ],
)
def test_what_is_no_record_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    write(tmp_path / "good", long_term())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metrics.json").write_bytes(content)
    records, (note,) = read_records(tmp_path)
    assert [record.content for record in records] == [long_term()]
    assert note.startswith(f"{tmp_path / 'bad' / 'metrics.json'}: ")
    assert reason in note


def change(content: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Set a value inside nested groups."""
    *groups, last = name.split(".")
    part = content
    for group in groups:
        part = part[group]
    part[last] = value
    return content


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("scores.mse", float("nan"), "scores.mse is nan, not a finite number"),
        ("scores.mae", "0.3", "scores.mae is '0.3', not a finite number"),
        ("scores.mse", 10**400, "scores.mse is 1000000000000000000000000000000000000000, not a finite number"),
        ("scores.mse", True, "scores.mse is True, not a finite number"),
        ("task.metrics", ["mse", "rmse"], "scores.rmse is missing, not a finite number"),
        ("task.metrics", [["mse"]], "task.metrics holds ['mse'], not a name"),
        ("task.metrics", "mse", "task.metrics is 'mse', not a list"),
        ("run.seed", None, "run.seed is missing, not a whole number"),
        ("run.seed", 1.5, "run.seed is 1.5, not a whole number"),
        ("data.name", 3, "data.name is 3, not text"),
        ("data.digest", None, "data.digest is missing, not text"),
        ("data.config.file", 3, "data.config.file is 3, not text"),
        ("data.config.percent", "10", "data.config.percent is '10', not a whole number"),
        ("data.target_data", 5, "data.target_data is 5, not text"),
        ("model", "CALF", "model.name is missing, not text"),
        ("model.origin.backbone", "gpt2", "model.origin.backbone is 'gpt2', not a group of values"),
        ("scores.metrics", [], "scores.metrics is [], not a group of values"),
    ],
)
def test_a_damaged_record_is_named_with_what_is_wrong(tmp_path: Path, name: str, value: Any, reason: str) -> None:
    path = write(tmp_path, change(long_term(), name, value))
    assert read_records(tmp_path) == ([], [f"{path}: {reason}"])


def test_scores_of_m4_that_cannot_be_computed_may_be_missing(tmp_path: Path) -> None:
    content = m4("Hourly", naive2=False)
    for scores in (content["scores"], *content["scores"]["metrics"].values()):
        scores["mase"] = None
    write(tmp_path, content)
    records, notes = read_records(tmp_path)
    assert (len(records), notes) == (1, [])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("data.config.seasonal_patterns", "Minutely", "data.config.seasonal_patterns is 'Minutely', no pattern of M4"),
        ("data.config.seasonal_patterns", {}, "data.config.seasonal_patterns is {}, no pattern of M4"),
        ("scores.metrics", {}, "scores.metrics.CALF does not hold the scores of M4 alone"),
        ("scores.metrics.naive2.extra", 1, "scores.metrics.naive2 does not hold the scores of M4 alone"),
        ("scores.metrics.naive2.series", "many", "scores.metrics.naive2.series is 'many', not a whole number"),
        ("scores.metrics.naive2.owa", "low", "scores.metrics.naive2.owa is 'low', not a finite number"),
        ("scores.metrics.naive2.without_scale", 100, "scores.metrics.naive2: 0 of 100 series have a scale"),
        ("scores.metrics.naive2.series", 99, "the forecasters in scores.metrics were not scored on the same series"),
    ],
)
def test_a_record_of_m4_that_could_not_be_pooled_is_named(tmp_path: Path, name: str, value: Any, reason: str) -> None:
    path = write(tmp_path, change(m4("Hourly", series=100), name, value))
    assert read_records(tmp_path) == ([], [f"{path}: {reason}"])


def test_what_is_no_regular_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a" / "metrics.json").mkdir(parents=True)
    os.mkfifo(tmp_path / "metrics.json")
    notes = [f"{tmp_path / place}: not a regular file" for place in ("a/metrics.json", "metrics.json")]
    assert read_records(tmp_path) == ([], notes)


def test_values_are_looked_up_in_nested_groups() -> None:
    content = json.loads('{"a": {"b": 1}, "c": 2}')
    assert [look_up(content, name) for name in ("a.b", "c", "c.d", "x.y")] == [1, 2, None, None]
