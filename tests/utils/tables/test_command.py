"""Test the command that writes the tables: its files agree, and no file among the results stops it."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.records import long_term, m4, write
from utils.tables.__main__ import main

EXAMPLES = (
    *(long_term(pred_len=h, seed=s, mse=0.3 + s / 100) for h in (96, 192, 336, 720) for s in (1, 2)),
    long_term(patience=1),
    long_term(percent=10),
    long_term(target="ETTm1"),
    *(m4(pattern) for pattern in ("Weekly", "Daily", "Hourly")),
    m4("Hourly", selected_on="test", naive2=False),
    long_term(model="DLinear", mse=0.386, mae=0.4),
)


def make(folder: Path, *contents: dict[str, Any]) -> tuple[str, list[dict[str, str]]]:
    """Run the command on records and return what it wrote."""
    for i, content in enumerate(contents):
        write(folder / f"run{i}", content)
    assert main(["--results", str(folder), "--output", str(folder)]) == 0
    with (folder / "tables.csv").open(encoding="utf-8", newline="") as file:
        return (folder / "tables.md").read_text(encoding="utf-8"), list(csv.DictReader(file))


def markdown_rows(text: str) -> list[list[str]]:
    """Return the cells of every row of every table, without the headers."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    headers = {i for i, line in enumerate(lines) if line.startswith("| ---")}
    return [line[2:-2].split(" | ") for i, line in enumerate(lines) if not {i, i + 1} & headers]


def test_both_files_hold_the_same_figures(tmp_path: Path) -> None:
    text, lines = make(tmp_path, *EXAMPLES)
    text = re.sub(r"^### .*?(?=^## |\Z)", "", text, flags=re.DOTALL | re.MULTILINE)  # models beside each other
    by_row: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for line in lines:
        names = ("table", "data", "target", "percent", "horizon", "model", "init", "selected_on")
        by_row.setdefault(tuple(line[name] for name in names), []).append(line)
    shown = markdown_rows(text)
    assert len(shown) == len(by_row)
    for cells, metrics in zip(shown, by_row.values(), strict=True):
        assert cells[1] == metrics[0]["horizon"]
        assert cells[-2] == (str(len(metrics[0]["seeds"].split())) if metrics[0]["seeds"] else "–")
        ours = [part.split(" ± ")[0] for part in cells[2].split(" / ")]
        if metrics[0]["gap"]:
            assert ours == [metrics[0]["gap"]]
            assert not any(line["mean"] for line in metrics)
            continue
        for line, mean, published in zip(metrics, ours, (cells[3].split(" / ") * 3)[: len(metrics)], strict=True):
            digits = len(mean.partition(".")[2])
            assert mean == (f"{float(line['mean']):.{digits}f}" if line["mean"] else "–")
            assert published == (f"{float(line['published']):.3f}" if line["published"] else "–")


def test_a_row_shows_figures_published_difference_naive_seeds_and_backbone(tmp_path: Path) -> None:
    text, _ = make(tmp_path, *EXAMPLES)
    assert (
        "| ETTh1 | 96 | 0.3150 ± 0.0071 / 0.5000 ± 0.0000 | 0.369 / 0.389 | -0.0540 / +0.1110 | 1.0000 / 0.5000 "
        "| 0.2500 / 0.1250 | 96 | – | 2 | CALF, gpt2 (random), 6 blocks |"
    ) in text
    assert (
        "| ETTh1 | 96 | 0.3860 / 0.4000 | – | – | 1.0000 / 0.5000 | 0.2500 / 0.1250 | 96 | – | 1 | DLinear |\n"
        "| ETTh1 | 192 | 0.3150 ± 0.0071"
    ) in text
    assert "| ETTh2 | 96 | missing | 0.279 / 0.331 | – | – | – | 96 | – | – | – |" in text
    assert "| ETTh1 → ETTm1 | 96 | 0.4000 / 0.5000 | 0.767 / 0.564 |" in text
    assert (
        "| M4, selected on test | Hourly | 10.000 / 2.000 / – | – | – | 20.000 / 3.000 / – | – | – | – | – | 1 |"
        in text
    )
    assert "| M4 | Others | 10.000 / 2.000 / 0.713 | 4.773 / 3.119 / 0.990 |" in text


def test_the_notes_say_seeds_backbone_machines_commits_and_settings(tmp_path: Path) -> None:
    text, _ = make(tmp_path, *EXAMPLES)
    (provenance,) = [line for line in text.split("## Few-shot")[0].splitlines() if "CALF" in line and "commits" in line]
    assert provenance == (
        "- CALF, gpt2 (random), 6 blocks: seeds 1, 2; word embeddings of gpt2; machines CPU, 2 threads (PyTorch "
        "2.13.0); commits abc123."
    )
    assert "- Settings of CALF on ETTh1 (96, 192, 336, 720): `--accumulate 1 --batch_size 256 --cos 1" in text
    assert "- DLinear: seeds 2021; machines CPU" in text
    assert "- Settings of DLinear on ETTh1 (96): `--accumulate 1 --batch_size 256" in text
    assert "printed as 0.871" in text
    assert "commits abc123; Naive2 computed." in text.split("M4 and M3\n")[1]


def test_a_record_without_an_environment_is_of_unknown_origin(tmp_path: Path) -> None:
    content = long_term()
    content["run"]["environment"], content["model"]["origin"]["word_embeddings"] = "lost", None
    text, _ = make(tmp_path, content)
    origin = "seeds 2021; word embeddings of unknown; machines unknown; commits unknown."
    assert f"- CALF, gpt2 (random), 6 blocks: {origin}" in text


def test_runs_that_are_not_shown_are_listed_with_the_flags_that_differ(tmp_path: Path) -> None:
    text, _ = make(tmp_path, *EXAMPLES)
    left = text.split("## Left out")[1]
    assert (
        "- Long-term forecasting, ETTh1, 96, CALF, gpt2 (random), 6 blocks, seeds 2021: --patience 1 (shown: 10)"
    ) in left


def test_files_that_are_no_records_are_listed_and_stop_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metrics.json").write_text('{"mse": ')
    text, _ = make(tmp_path, long_term())
    note = f"{tmp_path}/bad/metrics.json: Expecting value"
    assert note in text.split("## Not read")[1]
    assert any(line.startswith(f"not read: {note}") for line in caplog.messages)
    assert "| ETTh1 | 96 | 0.4000 / 0.5000 |" in text


def test_without_any_run_all_is_missing_and_the_way_to_run_is_named(tmp_path: Path) -> None:
    text, lines = make(tmp_path / "results")
    assert "sh scripts/reproduce.sh" in text
    assert {line["gap"] for line in lines} == {"missing", "0 of 4 horizons"}


def test_a_task_without_published_figures_has_a_column_for_each_metric(tmp_path: Path) -> None:
    content = long_term("Heart", task=("classification", "Classification", ["accuracy", "f1"]))
    content["scores"] = {"accuracy": 0.91, "f1": None, "metrics": {"naive": {"accuracy": 0.5}}}
    text, lines = make(tmp_path, content)
    section = text.split("## Classification\n")[1]
    assert section.splitlines()[1] == (
        "| data set | – | accuracy | F1 | naive | look-back | trained | seeds | model, backbone |"
    )
    assert "| Heart | 96 | 0.9100 | – | 0.5000 / – | 96 | – | 1 | CALF, gpt2 (random), 6 blocks |" in section
    assert "published" not in section
    assert [line["metric"] for line in lines if line["table"] == "classification"] == ["accuracy", "f1"]


def test_names_from_records_cannot_break_a_table(tmp_path: Path) -> None:
    content = long_term("custom", features="S")
    content["data"]["config"] |= {"file": "/my/a|b\n.csv", "target": "x | y"}
    text, _ = make(tmp_path, content)
    assert r"| my/a\|b\n.csv, S x \| y | 96 |" in text


def test_a_file_name_that_is_no_proper_text_is_made_readable_and_stops_nothing(tmp_path: Path) -> None:
    content = long_term("custom")
    content["data"]["config"]["file"] = "/my/d\udce4ta\n\x1b[2J.csv"
    text, lines = make(tmp_path, content)
    shown = r"my/d\xe4ta\n\x1b[2J.csv"
    assert f"| {shown} | 96 |" in text
    assert shown in {line["data"] for line in lines}


def test_the_command_says_how_much_there_is_and_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, *EXAMPLES, long_term(task=("imputation", "Imputation", ["mse"])))
    assert caplog.messages == [
        "Long-term forecasting: 4 of 28 published cells",
        "Few-shot forecasting: 1 of 16 published cells",
        "Zero-shot forecasting: 1 of 16 published cells",
        "Short-term forecasting: M4 and M3: 1 of 5 published cells",
        "Imputation: 1 cell(s), none of them published",
        "1 run(s) stand behind others of the same cell; they are listed under Left out",
        f"written: {tmp_path}/tables.md",
        f"written: {tmp_path}/tables.csv",
        f"written: {tmp_path}/differences.csv",
    ]


def test_a_folder_that_cannot_be_used_ends_with_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main(["--results", str(file), "--output", str(tmp_path)]) == 2
    assert "is a file" in capfd.readouterr().err
    assert main(["--results", str(tmp_path), "--output", str(file)]) == 2
    assert capfd.readouterr().err.startswith(f"error: {file}: ")
