"""``python -m scripts.search_recipe``: settings compared by validation errors; nothing is tested, nothing repeated."""

from pathlib import Path

import pandas as pd
import pytest

from exp.recipes import BEST, PAPER, RECIPES
from models.checkpoint import read_training
from scripts import search_recipe
from scripts.search_recipe import ROWS, main
from tests.conftest import WriteCsv

SHORT = ["--rows", "paper,ema", "--seeds", "2", "--", "--model", "DLinear", "--train_epochs", "2", "--log", "none"]


@pytest.fixture(autouse=True)
def one_small_set(write_csv: WriteCsv, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is all that is searched on."""
    flags = f"--data_path {write_csv()} --seq_len 24 --pred_len 8"
    monkeypatch.setattr(search_recipe, "SETS", {"custom": flags})


def test_each_row_is_trained_with_each_seed_and_stands_beside_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SHORT) == 0
    table = pd.read_csv("results/recipe_search.csv")
    assert list(zip(table.row, table.seed, strict=True)) == [(r, s) for s in (2021, 2022) for r in ("paper", "ema")]
    best = [read_training(path.parent)["best"] for path in sorted(Path("checkpoints").glob("*/training.json"))]
    assert sorted(table.error) == pytest.approx(sorted(one["validation_mse"] for one in best), rel=1e-12)
    means = table.groupby("row").error.mean()
    assert f"| ema | {means['ema']:.4f} | {means['ema'] / means['paper']:.3f} |" in capsys.readouterr().out


def test_the_test_split_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exp.base.Experiment.test", lambda self: pytest.fail("it tests"))
    monkeypatch.setattr("exp.long_term_forecast.LongTermForecast.test", lambda self: pytest.fail("it tests"))
    assert main(SHORT) == 0
    assert not list(Path().rglob("metrics.json"))


def test_what_is_trained_is_not_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(SHORT) == 0
    first = Path("results/recipe_search.csv").read_bytes()
    monkeypatch.setattr("exp.training.Training.run", lambda self: pytest.fail("it trains again"))
    assert main(SHORT) == 0
    assert Path("results/recipe_search.csv").read_bytes() == first


def test_the_rows_are_the_settings_of_the_paper_each_part_of_the_best_recipe_and_the_whole() -> None:
    assert list(ROWS) == [PAPER, *RECIPES[BEST], BEST]


@pytest.mark.parametrize("flags", [["--rows", "papre"], ["--sets", "ETTh9"]])
def test_a_wrong_name_is_refused_with_those_there_are(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == 2
    assert f"{flags[0]} {flags[1]}: choose some of" in capsys.readouterr().err


def test_without_a_seed_there_is_nothing_to_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "0"]) == 2
    assert "--seeds 0: choose a whole number of at least 1" in capsys.readouterr().err
