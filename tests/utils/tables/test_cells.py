"""Test which runs share a cell, and which of several is shown."""

from typing import Any

import pandas as pd
import pytest

from tests.helpers.records import long_term, m4
from utils.tables.__main__ import to_markdown
from utils.tables.records import Block, Record, cell_of, settings
from utils.tables.tables import choose_runs, make_tables


def records(*contents: dict[str, Any]) -> list[Record]:
    """Return records of which the first is the oldest."""
    return [Record(float(i), content) for i, content in enumerate(contents)]


def block(content: dict[str, Any]) -> Block:
    return cell_of(records(content)[0])[0]


def shown(*contents: dict[str, Any]) -> pd.DataFrame:
    """Return the runs that are shown, in the order of their seeds."""
    runs = choose_runs(records(*contents))
    return runs[runs.shown].sort_values("seed")


def left_out(*contents: dict[str, Any]) -> list[str]:
    """Return the lines about runs that are not shown."""
    _, _, lines = to_markdown(make_tables(records(*contents))).partition("## Left out")
    return [line for line in lines.splitlines() if line.startswith("- ")]


def test_runs_that_differ_in_their_seed_share_a_cell() -> None:
    contents = [long_term(seed=seed) for seed in (2022, 2021, 2023)]
    runs = shown(*contents)
    assert set(runs.block) == {
        Block("long_term", "ETTh1", model="CALF", backbone="gpt2", init="random", gpt_layers=6)
    }  # fmt: skip
    assert list(runs.seed) == [2021, 2022, 2023]
    assert left_out(*contents) == []


def test_the_name_and_the_description_of_a_run_separate_nothing() -> None:
    assert list(shown(long_term(), long_term(seed=2022, model_id="other", des="again")).seed) == [2021, 2022]


@pytest.mark.parametrize(
    "other",
    [
        long_term("ETTh2"),
        long_term(percent=10),
        long_term(percent=5),
        long_term(target="ETTm1"),
        long_term(seq_len=336),
        long_term(features="MS"),
        long_term(init="pretrained"),
        long_term(llm="gpt2-medium"),
        long_term(gpt_layers=3),
        long_term(model="DLinear"),
        long_term(task=("imputation", "Imputation", ["mse", "mae"])),
    ],
)
def test_other_tasks_models_and_backbones_are_never_mixed(other: dict[str, Any]) -> None:
    assert shown(long_term(), other).block.nunique() == 2
    assert left_out(long_term(), other) == []


def test_the_best_epoch_of_m4_chosen_on_test_is_never_mixed_with_that_chosen_on_validation() -> None:
    runs = shown(m4("Hourly"), m4("Hourly", selected_on="test"))
    assert {block.title for block in runs.block} == {"M4", "M4, selected on test"}


def test_of_different_settings_those_with_the_most_seeds_are_shown() -> None:
    contents = [long_term(seed=1), long_term(seed=2), long_term(seed=1, patience=1, lora=0)]
    assert list(shown(*contents).seed) == [1, 2]
    assert left_out(*contents) == [
        "- Long-term forecasting, ETTh1, 96, CALF, gpt2 (random), 6 blocks, seeds 1: "
        "--lora 0 (shown: 1), --patience 1 (shown: 10)"
    ]


def test_of_equally_many_seeds_the_newest_are_shown() -> None:
    (line,) = left_out(long_term(batch_size=32), long_term(batch_size=64))
    assert line.endswith(": --batch_size 32 (shown: 64)")


def test_of_one_seed_run_twice_the_newer_is_shown() -> None:
    contents = [long_term(mse=1.0), long_term(mse=2.0, des="again")]
    (run,) = shown(*contents).record
    assert run["scores"]["mse"] == 2.0
    (line,) = left_out(*contents)
    assert line.endswith(": a newer run has the same settings and seed")


def test_a_setting_of_one_model_separates_its_runs() -> None:
    (line,) = left_out(long_term(model="DLinear"), long_term(model="DLinear", moving_avg=13))
    assert line.endswith("DLinear, seeds 2021: --moving_avg 25 (shown: 13)")


def test_one_file_in_two_places_is_one_setting() -> None:
    here, there = long_term(seed=1, word_embedding_path="/a/CALF/wte.pt"), long_term(seed=2)
    there["data"]["config"]["file"] = "/elsewhere/ETTh1/ETTh1.csv"
    there["model"]["config"]["word_embedding_path"] = "/b/calf/wte.pt"
    assert list(shown(here, there).seed) == [1, 2]


def test_other_data_under_one_name_are_other_settings() -> None:
    here, there = long_term(), long_term(seed=2)
    there["data"]["digest"] = "d2"
    (line,) = left_out(here, there)
    assert line.endswith(": contents of the data d1 (shown: d2)")


def test_scores_against_different_naive2_forecasts_are_not_averaged() -> None:
    here, there = m4("Hourly"), m4("Hourly", seed=2)
    here["data"]["naive2"] = "official"
    (line,) = left_out(here, there)
    assert line.endswith(": Naive2 official (shown: computed)")


def test_pretrained_backbones_of_one_name_and_other_weights_are_not_averaged() -> None:
    here, there = long_term(init="pretrained"), long_term(init="pretrained", seed=2)
    there["model"]["origin"]["backbone"]["fingerprint"] = "tuned"
    (line,) = left_out(here, there)
    assert line.endswith(": fingerprint of the backbone pretrained-0 (shown: tuned)")


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (long_term(), "ETTh1"),
        (long_term(percent=10), "ETTh1, 10 %"),
        (long_term(target="ETTm1"), "ETTh1 → ETTm1"),
        (long_term(seq_len=336, features="S"), "ETTh1, seq_len 336, S OT"),
        (long_term("custom"), "custom/custom.csv"),
        (long_term(future_cols="HUFL", calendar=1), "ETTh1, M, known: HUFL calendar"),
        (m4("Hourly"), "M4"),
        (m4("Hourly", series=40, selected_on="test"), "M4, not all series, selected on test"),
    ],
)
def test_a_row_is_named_by_its_data_and_what_is_unusual(content: dict[str, Any], title: str) -> None:
    assert block(content).title == title


def test_m4_tested_on_other_files_has_a_row_of_its_own() -> None:
    content = m4("Hourly")
    content["data"]["target_data"] = "Hourly-train_12345678"
    assert block(content).title == "M4, tested on Hourly-train_12345678"


@pytest.mark.parametrize(
    ("content", "network"),
    [
        (long_term(), "CALF, gpt2 (random), 6 blocks"),
        (long_term(llm="/models/my-gpt2", init="pretrained"), "CALF, my-gpt2 (pretrained), 6 blocks"),
        (long_term(model="DLinear"), "DLinear"),
        (m4("Hourly", model="SeasonalNaive"), "SeasonalNaive"),
    ],
)
def test_a_model_is_named_with_its_backbone_if_it_has_one(content: dict[str, Any], network: str) -> None:
    assert block(content).network == network


def test_the_settings_are_flags_without_those_of_the_cell() -> None:
    found = settings(m4("Hourly", m4_draws=4, precision="bf16"))
    assert (found["--m4_draws"], found["--precision"], found["--patience"]) == (4, "bf16", 10)
    of_cell = {
        "--task_name",
        "--data",
        "--seasonal_patterns",
        "--m4_protocol",
        "--seq_len",
        "--llm",
        "--gpt_layers",
        "--root_path",
    }
    assert not of_cell & found.keys()
