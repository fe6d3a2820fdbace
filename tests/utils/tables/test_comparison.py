"""Test the sections that put models beside each other, and the file and the picture of their differences."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.records import long_term, write
from utils.tables.__main__ import main

WINDOWS = 2000
DATA = ("ETTh1", "ETTh2", "ETTm1", "ETTm2", "weather")


def add(folder: Path, shift: float, seed: int = 2021, windows: int = WINDOWS, **fields: Any) -> None:
    """Write a run whose errors are those of a common series, shifted."""
    errors = np.random.default_rng(0).gamma(4, 0.1, (windows, 2)) + shift + 1e-3 * (seed - 2021)
    record = long_term(seed=seed, mse=errors[:, 0].mean(), mae=errors[:, 1].mean(), naive=2.0, **fields)
    record["scores"]["metrics"][record["model"]["name"]]["windows"] = windows
    record["cost"] = {"milliseconds_per_forecast": 0.25, "peak_memory": 2**30}
    record["run"]["training"] |= {"epochs": [{}, {}], "seconds": 30.0}
    record["model"]["parameters"] = {"total": 2000, "trained": 1500}
    model, data, pred_len = record["model"]["name"], record["data"]["name"], record["data"]["config"]["pred_len"]
    run = folder / f"{model}_{data}_{pred_len}_{seed}"
    write(run, record)
    np.save(run / "errors.npy", errors.astype(np.float32))


def make(folder: Path, *flags: str) -> tuple[str, list[dict[str, str]]]:
    """Run the command; return the section of long-term forecasting and the lines of the differences."""
    assert main(["--results", str(folder), "--output", str(folder), *flags]) == 0
    with (folder / "differences.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    text = (folder / "tables.md").read_text()
    return text.partition("## Long-term forecasting")[2].partition("\n## ")[0], lines


def rows(text: str, title: str) -> list[list[str]]:
    """Return the cells of the table below a title, without its header."""
    lines = text.partition(f"### {title}")[2].partition("\n\n")[2].split("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_a_single_model_is_compared_with_nothing(tmp_path: Path) -> None:
    add(tmp_path, 0)
    text, lines = make(tmp_path)
    assert "side by side" not in text and lines == []


def test_models_are_columns_with_the_best_and_the_second_marked(tmp_path: Path) -> None:
    for model, shift in (("CALF", 0.1), ("DLinear", 0.0), ("Naive", 0.2)):
        for seed in (2021, 2022):
            add(tmp_path, shift, seed, model=model)
    text, _ = make(tmp_path)
    assert "| data set | horizon | CALF, gpt2 (random), 6 blocks | DLinear | Naive |" in text
    own, _ = rows(text, "Models side by side, look-back 96")
    assert own[:2] == ["ETTh1", "96"]
    assert own[2].startswith("_0.5") and own[3].startswith("**0.4") and own[4].startswith("0.6")
    assert " ± 0.0007_ / _" in own[2]


def test_figures_of_another_look_back_stand_in_a_table_of_their_own(tmp_path: Path) -> None:
    for seq_len in (96, 336):
        for horizon in (96, 192, 336, 720):
            for model in ("DLinear", "Naive"):
                add(tmp_path / str(seq_len), 0, model=model, pred_len=horizon, seq_len=seq_len)
    text, lines = make(tmp_path)
    near, far = (rows(text, f"Models side by side, look-back {steps}") for steps in (96, 336))
    assert [row[1] for row in near] == ["96", "192", "336", "720", "average", "average, published"]
    assert near[-1] == ["ETTh1", "average, published", "0.456 / 0.452", "–"]
    assert [row[1] for row in far] == ["96", "192", "336", "720", "average"]
    assert {(line["model"], line["other"]) for line in lines} == {("DLinear", "Naive")}
    assert sorted({line["seq_len"] for line in lines}) == ["336", "96"]


def test_every_row_says_look_back_trained_parameters_seeds_and_backbone(tmp_path: Path) -> None:
    for seed in (2021, 2022):
        add(tmp_path, 0.0, seed)
    line = next(line for line in make(tmp_path)[0].splitlines() if line.startswith("| ETTh1 | 96 |"))
    assert line.endswith("| 96 | 1,500 | 2 | CALF, gpt2 (random), 6 blocks |")


def test_a_difference_has_an_interval_and_a_plain_word(tmp_path: Path) -> None:
    add(tmp_path, 0.0, model="CALF")
    add(tmp_path, 0.05, model="DLinear")
    text, lines = make(tmp_path)
    assert [(line["metric"], line["verdict"]) for line in lines] == [("mse", "better"), ("mae", "better")]
    for line in lines:
        assert float(line["difference"]) == pytest.approx(-0.05, abs=1e-6)
        assert float(line["lower"]) <= float(line["difference"]) + 1e-9
        assert (line["model"], line["other"], line["windows"]) == ("CALF, gpt2 (random), 6 blocks", "DLinear", "2000")
    assert "Against DLinear, by MSE: better in 1 of 1 cells" in text


def test_seeds_are_averaged_before_windows_are_drawn(tmp_path: Path) -> None:
    for seed in (2021, 2022, 2023):
        add(tmp_path, 0.0, seed, model="CALF")
        add(tmp_path, 0.0, seed, model="DLinear")
    _, lines = make(tmp_path)
    assert {(line["verdict"], line["seeds"]) for line in lines} == {("not distinguishable", "3")}


def test_models_are_compared_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    for seed in (2021, 2022, 2023):  # each later seed is worse
        add(tmp_path, 0.0, seed, model="CALF")
    for seed in (2022, 2030):
        add(tmp_path, 0.0, seed, model="DLinear")
    _, lines = make(tmp_path)
    assert [(float(line["difference"]), line["seeds"]) for line in lines] == [(pytest.approx(0, abs=1e-6), "1")] * 2


def test_too_few_windows_give_no_interval(tmp_path: Path) -> None:
    for model in ("CALF", "DLinear"):
        add(tmp_path, 0.0, windows=900, model=model)  # fewer than five blocks of 192
    _, lines = make(tmp_path)
    assert {(line["verdict"], line["lower"]) for line in lines} == {("too few windows", "")}


@pytest.mark.parametrize("damage", ["missing", "short", "other windows", "other data"])
def test_models_without_errors_of_the_same_windows_are_not_compared(tmp_path: Path, damage: str) -> None:
    for model in ("CALF", "DLinear"):
        add(tmp_path, 0.0, model=model)
    path = tmp_path / "DLinear_ETTh1_96_2021" / "errors.npy"
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "other windows":
        np.save(path, np.load(path)[1:])
    else:
        record = path.with_name("metrics.json")
        record.write_text(record.read_text().replace('"digest": "d1"', '"digest": "d2"'))
    text, lines = make(tmp_path)
    assert lines == [] and "### Models side by side" in text and "### Differences" not in text


def test_few_data_sets_rank_nothing(tmp_path: Path) -> None:
    for data in DATA[:4]:
        add(tmp_path, 0.0, data=data)
        add(tmp_path, 0.1, data=data, model="DLinear")
    text, _ = make(tmp_path)
    assert "With 4 data set(s), fewer than 5, nothing can be told apart" in text
    assert all("(" not in cell for row in rows(text, "Over all cells") for cell in row[2:])


def test_over_five_data_sets_skill_win_rate_and_rank_have_intervals(tmp_path: Path) -> None:
    for data in DATA:
        add(tmp_path, 0.0, data=data)
        add(tmp_path, 0.1, data=data, model="DLinear")
    text, _ = make(tmp_path)
    best = rows(text, "Over all cells")[0]
    assert best[:2] == ["MSE", "CALF, gpt2 (random), 6 blocks"]
    assert best[3] == "1.000 (1.000 to 1.000)" and best[4] == "1.000 (1.000 to 1.000)"
    assert "nothing can be told apart" not in text


def test_cost_stands_beside_accuracy(tmp_path: Path) -> None:
    for model in ("CALF", "DLinear"):
        add(tmp_path, 0.0, model=model)
    found = rows(make(tmp_path)[0], "Cost")
    assert found[1] == ["ETTh1", "96", "DLinear", "1", "1,500", "2,000", "15.0", "0.25", "1.00", "CPU, 2 threads"]


def test_models_of_another_task_are_not_compared(tmp_path: Path) -> None:
    for model in ("CALF", "DLinear"):
        add(tmp_path, 0.0, model=model, task=("imputation", "Imputation", ["mse"]))
    _, lines = make(tmp_path, "--plot")
    assert lines == [] and "side by side" not in (tmp_path / "tables.md").read_text()


def test_an_ablation_is_a_model_of_its_own_beside_the_full_one(tmp_path: Path) -> None:
    add(tmp_path, 0.05)
    (full,) = tmp_path.iterdir()
    record = json.loads((full / "metrics.json").read_text())
    full.rename(tmp_path / "ablation")
    record["model"] |= {"switches": {"backbone": "none", "text_branch": "0"}, "origin": {}}
    write(tmp_path / "ablation", record)
    add(tmp_path, 0.0)
    text, (mse, mae) = make(tmp_path)
    for line in (mse, mae):
        assert line["other"] == "CALF, --backbone none --text_branch 0"
        assert float(line["difference"]) == pytest.approx(-0.05, rel=1e-4)
        assert line["verdict"] == "better"
    with (tmp_path / "tables.csv").open(newline="") as file:
        ours = [line for line in csv.DictReader(file) if line["mean"] and line["metric"] == "mse"]
    own = {line["switches"]: line["published"] for line in ours if line["horizon"] == "96"}
    assert own == {"": "0.369", "--backbone none --text_branch 0": ""}
    assert "Left out" not in text


@pytest.mark.pictures
def test_a_picture_of_the_differences_on_request(tmp_path: Path) -> None:
    for model in ("CALF", "DLinear", "Naive"):
        add(tmp_path, 0.0, model=model)
    make(tmp_path)
    assert not list(tmp_path.glob("*.png"))
    make(tmp_path, "--plot")
    assert [path.name for path in tmp_path.glob("*.png")] == ["differences_long_term_96.png"]


def test_published_averages_name_their_source_and_their_look_back(tmp_path: Path) -> None:
    text, _ = make(tmp_path)
    published = text.partition("### Published averages")[2]

    def cell(look_back: str, model: str) -> str:
        header, _, *lines = published.partition(f"Look-back {look_back}:\n\n")[2].split("\n\n")[0].splitlines()
        (line,) = (line for line in lines if line.startswith("| ETTh1 |"))
        return line.strip("| ").split(" | ")[header.strip("| ").split(" | ").index(model)]

    assert cell("96", "TimesNet") == "0.458 / 0.450"
    assert cell("96", "GPT4TS") == "0.447 / 0.436"
    assert cell("336", "GPT4TS") == "0.427 / 0.426"
    assert "arXiv 2302.11939" in published


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("cost",), "text"),
        (("cost",), {"milliseconds_per_forecast": None, "peak_memory": 0}),
        (("run", "training"), "text"),
        (("run", "training", "epochs"), []),
        (("run", "environment"), None),
        (("model", "parameters"), {}),
        (("data", "config", "pred_len"), None),
        (("data", "config", "seq_len"), -200),
        (("scores", "metrics", "DLinear"), {}),
    ],
    ids=str,
)
def test_a_record_that_lacks_a_part_stops_nothing(tmp_path: Path, place: tuple[str, ...], value: object) -> None:
    for model in ("CALF", "DLinear", "Naive"):
        add(tmp_path, 0.0, model=model)
    path = tmp_path / "DLinear_ETTh1_96_2021" / "metrics.json"
    content = group = json.loads(path.read_text())
    for name in place[:-1]:
        group = group[name]
    group[place[-1]] = value
    path.write_text(json.dumps(content))
    text, lines = make(tmp_path, "--plot")
    assert "### Models side by side, look-back 96" in text
    assert ("CALF, gpt2 (random), 6 blocks", "Naive") in {(line["model"], line["other"]) for line in lines}
