"""Tests on windows whose steps were put into another order: the same weights, other inputs, figures of their own."""

import json
from pathlib import Path

import pytest
import torch

import run
from tests.conftest import Tiny, WriteCsv
from tests.helpers.commands import succeed, written
from utils.shuffling import shuffled
from utils.tables.__main__ import main as make_tables

STEPS = 11
X = torch.arange(1.0, STEPS + 1)[None, :, None].repeat(2, 1, 3)


def order(kind: str, seed: int = 0) -> list[int]:
    """Return the order of the steps 1 to 11 after shuffling, which must be that of all windows and channels."""
    found = shuffled(X, kind, seed)
    assert found.shape == X.shape
    assert (found == found[:1, :, :1]).all()
    return found[0, :, 0].int().tolist()


def test_every_kind_does_what_it_says() -> None:
    steps = list(range(1, STEPS + 1))
    assert order("none") == steps
    assert sorted(order("all")) == steps != order("all")
    assert sorted(order("half")[:5]) == steps[:5] != order("half")[:5] and order("half")[5:] == steps[5:]
    assert order("swap") == [*steps[5:], *steps[:5]]
    patches = order("patch:3")
    assert patches[9:] == [10, 11] and patches[:9] != steps[:9]
    assert sorted(patches[:9:3]) == [1, 4, 7] and all(patches[i + 1] == patches[i] + 1 for i in (0, 1, 3, 4, 6, 7))
    lost = order("zero:.5")
    assert lost.count(0) == 6 and all(there in (0, step) for there, step in zip(lost, steps, strict=True))
    assert order("zero:1") == [0] * STEPS


@pytest.mark.parametrize("kind", ["all", "half", "patch:2", "zero:0.3"])
def test_the_order_is_drawn_from_the_seed(kind: str) -> None:
    assert order(kind) == order(kind)
    assert len({tuple(order(kind, seed)) for seed in range(5)}) > 1


def test_a_trained_run_is_only_tested_and_its_own_figures_stay(
    tiny: Tiny, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (usual,) = succeed(tiny())
    before = (workplace / "results" / usual["run"]["setting"] / "metrics.json").read_bytes()
    assert run.main(tiny(shuffle_input="all")) == 0
    (path,) = Path("results").glob("*/shuffle_all/metrics.json")
    record = json.loads(path.read_text())
    assert (
        "is trained" in caplog.text
        and "its windows shuffled: all" in Path("results_long_term_forecast.txt").read_text()
    )
    assert record["data"]["shuffle_input"] == "all"
    assert record["scores"]["mse"] != usual["scores"]["mse"]
    for name, report in usual["scores"]["metrics"].items():
        assert (record["scores"]["metrics"][name] == report) == (name != "CALF")  # naive forecasts see all as it is
    assert (path.parent.parent / "metrics.json").read_bytes() == before
    caplog.clear()
    assert run.main(tiny(shuffle_input="all")) == 0
    assert "is finished" in caplog.text
    assert make_tables(["--results", "results", "--output", "."]) == 0
    assert "--shuffle_input all" in Path("tables.md").read_text()


def test_a_zero_shot_test_does_not_read_it(
    tiny: Tiny, write_csv: WriteCsv, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = write_csv(name="other.csv")
    assert run.main(tiny(zero_shot=1, target_data="custom", target_data_path=target, shuffle_input="all")) == 0
    (path,) = Path("results").glob("*/zero_shot_*/metrics.json")
    assert "shuffle_input" not in json.loads(path.read_text())["data"]
    assert "no effect with --zero_shot 1: --shuffle_input" in caplog.text


def test_its_figures_do_not_depend_on_the_size_of_a_batch(tiny: Tiny, workplace: Path) -> None:
    succeed(tiny(model="DLinear", llm=None, word_embedding_path=None, gpt_layers=None))
    found = []
    for size in (1, 64):
        flags = tiny(model="DLinear", llm=None, word_embedding_path=None, gpt_layers=None, shuffle_input="half")
        assert run.main([*flags, "--is_training", "0", "--eval_batch_size", str(size)]) == 0
        (path,) = Path("results").glob("*/shuffle_half/metrics.json")
        found.append(json.loads(path.read_text())["scores"]["mse"])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize("kind", ["most", "patch:0", "patch", "zero:2", "zero:-1", "zero:", "ALL"])
def test_an_unknown_kind_is_refused(kind: str, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = run.main(tiny(shuffle_input=kind))
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert f"--shuffle_input {kind}: choose none, all, half, swap, patch:STEPS or zero:SHARE" in capsys.readouterr().err
    assert not written(workplace)
