"""Which runs share a cell, and which of several is shown."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.records import long_term, m4
from utils.records import Record
from utils.table_cells import Block, group, settings


def records(*contents: dict[str, Any]) -> list[Record]:
    """The first is the oldest."""
    return [Record(Path(f"results/{i}/metrics.json"), float(i), content) for i, content in enumerate(contents)]


def test_runs_that_differ_in_their_seed_share_a_cell() -> None:
    runs = records(*(long_term(seed=seed) for seed in (2022, 2021, 2023)))
    cells, left_out = group(runs)
    ((block, row),) = cells.items()
    assert block == Block("long_term", "ETTh1", model="CALF", backbone="gpt2", init="random", gpt_layers=6)
    assert row["96"].runs == {2021: runs[1], 2022: runs[0], 2023: runs[2]}
    assert left_out == []


def test_the_name_and_the_description_of_a_run_separate_nothing() -> None:
    cells, left_out = group(records(long_term(), long_term(seed=2022, model_id="other", description="again")))
    assert list(cells.popitem()[1]["96"].runs) == [2021, 2022]
    assert left_out == []


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
    ],
)
def test_other_tasks_and_other_backbones_are_never_mixed(other: dict[str, Any]) -> None:
    cells, left_out = group(records(long_term(), other))
    assert len(cells) == 2
    assert left_out == []


def test_the_best_epoch_of_m4_chosen_on_test_is_never_mixed_with_that_chosen_on_validation() -> None:
    cells, _ = group(records(m4("Hourly"), m4("Hourly", selected_on="test")))
    assert [block.title for block in cells] == ["M4", "M4, selected on test"]


def test_of_different_settings_those_with_the_most_seeds_are_shown() -> None:
    runs = records(long_term(seed=1), long_term(seed=2), long_term(seed=1, patience=1, lora=None))
    cells, (left,) = group(runs)
    assert list(cells.popitem()[1]["96"].runs) == [1, 2]
    assert (left.horizon, left.seeds) == ("96", (1,))
    assert left.reason == (
        "--lora 0 (shown: 1), --lora_alpha unset (shown: 32), --lora_dropout unset (shown: 0.1), "
        "--patience 1 (shown: 10), --r unset (shown: 8)"
    )


def test_of_equally_many_seeds_the_newest_are_shown() -> None:
    cells, (left,) = group(records(long_term(batch_size=32), long_term(batch_size=64)))
    assert cells.popitem()[1]["96"].settings["--batch_size"] == 64
    assert left.reason == "--batch_size 32 (shown: 64)"


def test_of_one_seed_run_twice_the_newer_is_shown() -> None:
    runs = records(long_term(mse=1.0), long_term(mse=2.0, description="again"))
    cells, (left,) = group(runs)
    assert cells.popitem()[1]["96"].runs == {2021: runs[1]}
    assert left.reason == "a newer run has the same settings and seed"


def test_the_same_data_in_another_place_are_the_same_settings() -> None:
    here, there = long_term(seed=1), long_term(seed=2)
    there["config"]["data"]["file"] = "/elsewhere/ETTh1/ETTh1.csv"
    there["config"]["word_embedding_path"] = "/b/calf/wte.pt"
    here["config"]["word_embedding_path"] = "/a/CALF/wte.pt"
    cells, left_out = group(records(here, there))
    assert list(cells.popitem()[1]["96"].runs) == [1, 2]
    assert left_out == []


def test_other_data_under_the_same_name_are_other_settings() -> None:
    here, there = long_term() | {"data_digest": "aaa"}, long_term(seed=2) | {"data_digest": "bbb"}
    _, (left,) = group(records(here, there))
    assert left.reason == "contents of the data aaa (shown: bbb)"


def test_scores_against_different_naive2_forecasts_are_not_averaged() -> None:
    _, (left,) = group(records(m4("Hourly") | {"naive2": "official"}, m4("Hourly", seed=2)))
    assert left.reason == "Naive2 official (shown: computed)"


def test_pretrained_backbones_of_one_name_and_other_weights_are_not_averaged() -> None:
    here, there = long_term(init="pretrained"), long_term(init="pretrained", seed=2)
    there["backbone"]["fingerprint"] = "tuned"
    _, (left,) = group(records(here, there))
    assert left.reason == "fingerprint of the backbone pretrained-0 (shown: tuned)"


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (long_term(), "ETTh1"),
        (long_term(percent=10), "ETTh1, 10 %"),
        (long_term(target="ETTm1"), "ETTh1 → ETTm1"),
        (long_term(seq_len=336, features="S"), "ETTh1, seq_len 336, S OT"),
        (long_term("custom"), "custom/custom.csv"),
        (m4("Hourly"), "M4"),
    ],
)
def test_a_row_is_named_by_its_data_and_what_is_unusual(content: dict[str, Any], title: str) -> None:
    ((block, _),) = group(records(content))[0].items()
    assert block.title == title


def test_a_backbone_from_a_folder_is_named_by_its_folder() -> None:
    ((block, _),) = group(records(long_term(llm="/models/my-gpt2")))[0].items()
    assert block.network == "CALF, my-gpt2 (random), 6 blocks"


def test_m4_on_part_of_the_series_does_not_stand_in_the_published_rows() -> None:
    cells, _ = group(records(m4("Hourly"), m4("Hourly", seed=2, series=40)))
    assert {block.title: list(row["Hourly"].runs) for block, row in cells.items()} == {
        "M4": [2021],
        "M4, not all series": [2],
    }


def test_m4_tested_on_other_files_has_a_row_of_its_own() -> None:
    cells, _ = group(records(m4("Hourly"), m4("Hourly", seed=2) | {"target_data": "Hourly-train_12345678"}))
    assert {block.title for block in cells} == {"M4", "M4, tested on Hourly-train_12345678"}


def test_the_settings_are_flags_that_can_be_given() -> None:
    record = m4("Hourly", use_amp=True)
    record["config"]["data"]["draws"] = 4
    found = settings(records(record)[0])
    assert (found["--m4_draws"], found["--precision"]) == (4, "bf16")
    assert "--precision" not in settings(records(m4("Hourly", use_amp=False))[0])


def test_records_of_earlier_versions_are_of_the_same_settings() -> None:
    before, now = m4("Hourly", use_amp=True), m4("Hourly")
    now["config"]["precision"] = "bf16"
    del now["config"]["use_amp"]
    assert settings(records(before)[0]) == settings(records(now)[0])
