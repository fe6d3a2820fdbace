"""Test what is written about CALF and its ablations: the table, and the text that follows from its intervals."""

import json
from pathlib import Path

import pytest

from tests.helpers.records import write
from tests.utils.tables.test_comparison import WINDOWS, add
from utils.tables.ablation import main


def ablation(folder: Path, shift: float, windows: int = WINDOWS, seed: int = 2021, **switches: str) -> None:
    """Write a run of an ablation whose errors are those of a common series, shifted."""
    place = folder / "-".join([*switches, *switches.values(), str(seed)])
    add(place, shift, seed=seed, windows=windows)
    (run,) = place.iterdir()
    record = json.loads((run / "metrics.json").read_text())
    record["model"] |= {"switches": switches, "origin": {}}
    write(run, record)


def written(folder: Path) -> str:
    assert main(["--results", str(folder), "--output", str(folder)]) == 0
    return (folder / "ablation.md").read_text()


def row(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return line.strip("| ").split(" | ")


def test_each_ablation_is_a_row_beside_the_full_model(tmp_path: Path) -> None:
    for seed in (2021, 2022, 2023):
        add(tmp_path, 0.05, seed=seed)
        ablation(tmp_path, 0.0, seed=seed, backbone="none", text_branch="0")
        ablation(tmp_path, 0.09, seed=seed, words="random")
    add(tmp_path, -0.3, model="DLinear")
    add(tmp_path / "few", -0.3, model="DLinear", percent=10)  # a table without CALF
    text = written(tmp_path)
    none, words = row(text, "CALF, --backbone none --text_branch 0"), row(text, "CALF, --words random")
    assert none[1] == "3" and none[4] == "-0.0500" and none[6] == "better"
    assert words[4] == "+0.0400" and words[6] == "worse"
    assert none[7:] == ["1,500", "15.0", "0.250"]
    low, high = map(float, none[5].split(" to "))
    assert low <= -0.0499 and high >= -0.0501 and low <= high
    assert "1 of 2 ablations (50%) have a lower mean MSE than CALF" in text
    assert "Certainly better than CALF" in text and "Certainly worse than CALF" in text
    assert "DLinear" not in text and "seed(s): an interval" not in text
    assert [path.name for path in tmp_path.glob("*.png")] == ["ablation_96.png"]


def test_what_cannot_be_told_apart_is_said_to_be_so(tmp_path: Path) -> None:
    add(tmp_path, 0.0)
    ablation(tmp_path, 0.0, words="random")
    text = written(tmp_path)
    assert "0 of 1 ablations (0%)" in text
    assert "Not distinguishable from CALF" in text and "Certainly" not in text
    assert "Of some there are 1 seed(s)" in text


def test_the_full_model_is_that_of_the_same_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    add(tmp_path, 0.0, data="ETTh2")
    ablation(tmp_path, 0.0, words="random")
    ablation(tmp_path, 0.1, words="topk")
    assert "There are no runs of CALF and an ablation on one data set" in written(tmp_path)
    add(tmp_path, 0.2)
    text = written(tmp_path)
    assert "ETTh2" not in text and "2 of 2 ablations (100%)" in text
    written_files = [line.rpartition("/")[2] for line in caplog.messages if line.startswith("written: ")]
    assert written_files == ["ablation.md", "ablation.md", "ablation_96.png"]


def test_what_is_written_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(tmp_path)
    assert caplog.messages == [f"written: {tmp_path / 'ablation.md'}"]


def test_an_ablation_that_was_trained_otherwise_is_named(tmp_path: Path) -> None:
    add(tmp_path, 0.0)
    ablation(tmp_path, 0.0, words="random")
    assert "NOT trained as the full model" not in written(tmp_path)
    (path,) = (path for path in tmp_path.rglob("metrics.json") if "words" in str(path))
    record = json.loads(path.read_text())
    record["run"]["config"]["train_epochs"] = 3
    path.write_text(json.dumps(record))
    named = "NOT trained as the full model: CALF, --words random, --train_epochs 3 (full: 100)."
    assert named in written(tmp_path)


def test_too_few_windows_have_no_interval(tmp_path: Path) -> None:
    add(tmp_path, 0.1, windows=300)
    ablation(tmp_path, 0.0, windows=300, words="random")
    text = written(tmp_path)
    assert row(text, "CALF, --words random")[5:7] == ["–", "too few windows"]
    assert "Too few windows for an interval: CALF, --words random" in text


@pytest.mark.parametrize("full", [True, False])
def test_without_a_full_model_or_an_ablation_it_says_what_makes_them(full: bool, tmp_path: Path) -> None:
    if full:
        add(tmp_path, 0.0)
    else:
        ablation(tmp_path, 0.0, words="random")
        ablation(tmp_path, 0.0, words="topk")
    assert "There are no runs of CALF and an ablation on one data set" in written(tmp_path)
