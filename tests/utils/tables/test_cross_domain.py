"""Test what is written about models trained across data sets: in domain, out of domain, and what is certain."""

import json
from pathlib import Path

import pytest

from tests.helpers.records import long_term, write
from tests.utils.tables.test_comparison import add
from utils.tables.cross_domain import main
from utils.tables.records import Record, cell_of

DATA = "ETTh1,weather"


def add_to(folder: Path, name: str, target: str, shift: float, *, in_domain: bool = False, **more: object) -> None:
    """Write the test of a model on a data set, whose errors are those of a common series, shifted."""
    place = folder / name / target
    add(place, shift, data=DATA, target=target, **more)
    (run,) = place.iterdir()
    record = json.loads((run / "metrics.json").read_text())
    if in_domain:
        record["data"]["in_domain"] = True
    if name == "none":
        record["model"] |= {"switches": {"backbone": "none"}, "origin": {}}
    write(run, record)


def written(folder: Path) -> str:
    assert main(["--results", str(folder), "--output", str(folder)]) == 0
    return (folder / "cross_domain.md").read_text()


def test_models_are_compared_in_domain_and_out_of_domain(tmp_path: Path) -> None:
    for target, inside, shift in (("ETTh1", True, 0.05), ("weather", True, 0.05), ("illness", False, -0.05)):
        add_to(tmp_path, "full", target, 0.0, in_domain=inside, init="pretrained")
        add_to(tmp_path, "random", target, shift, in_domain=inside, init="random")
        add_to(tmp_path, "none", target, 0.0, in_domain=inside)
    text = written(tmp_path)
    rows = {
        tuple(cells[:2]): cells[2:]
        for line in text.splitlines()
        if len(cells := line.strip("| ").split(" | ")) == 7 and "domain" in cells[1]
    }
    random = "CALF, gpt2 (random), 6 blocks"
    assert rows[random, "in domain"][0] == "2" and float(rows[random, "in domain"][1]) > 1
    assert rows[random, "in domain"][2:] == ["0", "2", "0"]
    assert rows[random, "out of domain"][0] == "1" and float(rows[random, "out of domain"][1]) < 1
    assert rows[random, "out of domain"][2:] == ["1", "0", "0"]
    assert rows["CALF, --backbone none", "in domain"] == ["2", "1.000", "0", "0", "2"]
    assert f"Out of domain, the MSE of {random} is" in text and "lower than that of the full model" in text
    assert "## ETTh1,weather → illness, 96 steps ahead" in text
    assert (tmp_path / "cross_domain_96.png").is_file()


@pytest.mark.parametrize("runs", [0, 1])
def test_without_two_models_it_says_what_makes_them(tmp_path: Path, runs: int) -> None:
    for _ in range(runs):
        add_to(tmp_path, "full", "ETTh1", 0.0, in_domain=True)
    add(tmp_path / "other", 0.0)
    assert "scripts/cross_domain.sh trains them" in written(tmp_path)


def test_mixes_of_other_own_files_are_other_cells() -> None:
    blocks = []
    for file in ("/data/a.csv", "/data/b.csv"):
        content = long_term(data="custom,ETTh1", target="illness")
        content["data"]["config"]["files"] = [file, "/data/ETTh1.csv"]
        blocks.append(cell_of(Record(0.0, content))[0])
    assert [block.data for block in blocks] == ["data/a.csv,ETTh1", "data/b.csv,ETTh1"]
