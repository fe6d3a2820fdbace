"""Reading what runs left behind, among files that did not come from a run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.records import long_term, m4, write
from utils.errors import UserError
from utils.records import look_up, read_records


def test_records_are_found_however_deep_they_lie(tmp_path: Path) -> None:
    paths = [write(tmp_path / place, long_term()) for place in ("a", "b", "b/zero_shot_ETTm1")]
    records, notes = read_records(tmp_path)
    assert [record.path for record in records] == paths
    assert notes == []


def test_a_record_knows_its_content_its_seed_and_its_age(tmp_path: Path) -> None:
    path = write(tmp_path, m4("Hourly", seed=7))
    os.utime(path, (50, 60))
    ((record,), _) = read_records(tmp_path)
    assert record.content == m4("Hourly", seed=7)
    assert (record.seed, record.modified) == (7, 60)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert read_records(tmp_path / "results") == ([], [])


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
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
        (b"[1]", "no record of a run"),
        (b'{"accuracy": 1}', "no record of a run: task_name is None"),
        (b'{"task_name": ["x"]}', "no record of a run: task_name is"),
    ],
)
def test_what_is_no_record_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    good = write(tmp_path / "good", long_term())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metrics.json").write_bytes(content)
    records, (note,) = read_records(tmp_path)
    assert [record.path for record in records] == [good]
    assert note.startswith(f"{tmp_path / 'bad' / 'metrics.json'}: ")
    assert reason in note


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("mse", float("nan"), "mse is nan, not a finite number"),
        ("mae", "0.3", "mae is '0.3', not a finite number"),
        ("mse", 10**400, "mse is 1000000000000000000000000000000000000000, not a finite number"),
        ("mse", True, "mse is True, not a finite number"),
        ("seed", None, "seed is missing, not a whole number"),
        ("seed", 1.5, "seed is 1.5, not a whole number"),
        ("data", 3, "data is 3, not text"),
        ("backbone", "gpt2", "backbone.name is missing, not text"),
        ("config", {}, "config.data is missing, not a group of values"),
        ("metrics", [], "metrics is [], not a group of values"),
        ("target_data", 5, "target_data is 5, not text"),
    ],
)
def test_a_damaged_record_is_named_with_what_is_wrong(tmp_path: Path, name: str, value: Any, reason: str) -> None:
    path = write(tmp_path, {**long_term(), name: value})
    assert read_records(tmp_path) == ([], [f"{path}: {reason}"])


def test_scores_of_m4_that_cannot_be_computed_may_be_missing(tmp_path: Path) -> None:
    record = m4("Hourly", naive2=False)
    for scores in (record, *record["metrics"].values()):
        scores["mase"] = None
    write(tmp_path, record)
    records, notes = read_records(tmp_path)
    assert len(records) == 1
    assert notes == []


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("seasonal_patterns", "Minutely", "seasonal_patterns is 'Minutely', no pattern of M4"),
        ("metrics", {}, "metrics.CALF is missing, not a group of values"),
        ("naive2", {"series": "many"}, "metrics.naive2.series is 'many', not a whole number"),
        ("naive2", {"extra": 1}, "metrics.naive2 does not hold the scores of M4 alone"),
        ("naive2", {"owa": "low"}, "metrics.naive2.owa is 'low', not a finite number"),
        ("naive2", {"without_scale": 100}, "metrics.naive2: 0 of 100 series have a scale"),
        ("naive2", {"series": 99}, "the forecasters in metrics were not scored on the same series"),
    ],
)
def test_a_record_of_m4_that_could_not_be_pooled_is_named(tmp_path: Path, name: str, change: Any, reason: str) -> None:
    record = m4("Hourly", series=100)
    if name in record["metrics"]:
        record["metrics"][name] |= change
    else:
        record[name] = change
    path = write(tmp_path, record)
    assert read_records(tmp_path) == ([], [f"{path}: {reason}"])


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").mkdir()
    assert read_records(tmp_path) == ([], [f"{tmp_path / 'metrics.json'}: Is a directory"])


def test_values_are_looked_up_in_nested_groups() -> None:
    content = json.loads('{"a": {"b": 1}, "c": 2}')
    assert [look_up(content, name) for name in ("a.b", "c", "c.d", "x.y")] == [1, 2, None, None]
