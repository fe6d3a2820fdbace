"""``--do_impute``: a file of the user's with its missing values filled."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
from exp.impute import longest_gap
from tests.conftest import WriteCsv, hourly_table
from tests.helpers.commands import refused

FLAGS = ["--task_name", "imputation", "--model", "DLinear", "--device", "cpu", "--seq_len", "24", "--train_epochs", "5",
         "--learning_rate", "0.01"]  # fmt: skip


def with_gaps() -> pd.DataFrame:
    table = hourly_table(400)
    table.insert(1, "remark", "as measured")
    table.loc[100, "c0"] = np.nan
    table.loc[200:207, "c1"] = np.nan
    table.loc[:1, "OT"] = np.nan
    return table.round(dict.fromkeys(["c0", "c1", "OT"], 3))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of a model for imputation, trained on the file with gaps."""
    folder = tmp_path_factory.mktemp("stored")
    with_gaps().to_csv(folder / "data.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main([*FLAGS, "--data_path", "data.csv"]) == 0
    return folder / "checkpoints"


@pytest.fixture
def trained(stored: Path, workplace: Path) -> Path:
    """A copy of the checkpoint."""
    shutil.copytree(stored, "checkpoints")
    return next(Path("checkpoints").glob("imputation*"))


def test_missing_values_are_filled_in_the_units_of_the_file_and_marked(
    trained: Path, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    table = with_gaps()
    argv = ["--do_impute", "--load", str(trained), "--data_path", str(write_csv(table)), "--output", "mine.csv"]
    assert run.main([*argv, "--device", "cpu"]) == 0
    found = pd.read_csv("mine.csv", keep_default_na=False, dtype=str)
    numbers = found[["c0", "c1", "OT"]].astype(float)
    assert list(found) == [*table, "filled"]
    gone = table[["c0", "c1", "OT"]].isna()
    np.testing.assert_allclose(numbers.to_numpy()[~gone], table[["c0", "c1", "OT"]].to_numpy(float)[~gone])
    assert found["remark"].eq("as measured").all()
    truth = hourly_table(400)[["c0", "c1", "OT"]]
    assert np.abs(numbers - truth).to_numpy()[gone].mean() < 0.5  # of a season of 2
    assert found["filled"][[0, 100, 200, 300]].tolist() == ["OT", "c0", "c1", ""]
    assert (found["filled"] != "").sum() == 2 + 1 + 8
    assert found["c0"][100].partition(".")[2].isdigit() and len(found["c0"][100].partition(".")[2]) == 3
    assert "Filled 11 missing values" in caplog.text
    assert "the longest gap has 8 row(s) and begins at 2024-01-09 08:00:00" in caplog.text
    assert "In its test" in caplog.text
    assert next(Path("results").rglob("imputed.png")).stat().st_size > 0


def test_rows_that_the_file_lacks_are_added_in_its_form_and_order(trained: Path, tmp_path: Path) -> None:
    table = hourly_table(100).drop(index=[40, 41]).iloc[::-1]
    table["date"] = table["date"].dt.strftime("%d.%m.%Y %H:%M")
    table.round(dict.fromkeys(["c0", "c1", "OT"], 2)).to_csv(tmp_path / "down.csv", index=False, sep=";", decimal=",")
    assert run.main(["--do_impute", "--load", str(trained), "--data_path", str(tmp_path / "down.csv"),
                     "--output", "down.csv", "--device", "cpu"]) == 0  # fmt: skip
    found = pd.read_csv("down.csv", sep=";", decimal=",")
    assert len(found) == 100
    dates = pd.to_datetime(found["date"], format="%d.%m.%Y %H:%M")
    assert dates.is_monotonic_decreasing and dates.is_unique
    assert found["filled"].dropna().tolist() == ["c0, c1, OT"] * 2


def test_one_command_trains_and_fills(workplace: Path, write_csv: WriteCsv) -> None:
    assert run.main([*FLAGS, "--data_path", str(write_csv(with_gaps())), "--do_impute"]) == 0
    (path,) = Path("results").glob("imputation*/imputed.csv")
    first = path.read_bytes()
    path.unlink()
    assert run.main(["--config", str(path.with_name("run.yaml"))]) == 0
    assert path.read_bytes() == first
    assert not pd.read_csv(path)[["c0", "c1", "OT"]].isna().any().any()


def test_a_file_without_gaps_is_written_as_it_is(
    trained: Path, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = write_csv(hourly_table(60))
    argv = ["--do_impute", "--load", str(trained), "--data_path", str(path), "--output", "same.csv", "--device", "cpu"]
    assert run.main(argv) == 0
    assert "Nothing is missing" in caplog.text
    assert Path("same.csv").read_text().replace(",\n", "\n").splitlines()[1:] == path.read_text().splitlines()[1:]


def test_what_cannot_be_filled_is_refused_with_one_message(
    trained: Path, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--do_impute", "--load", str(trained), "--device", "cpu", "--data_path"]
    assert "has 20 rows, and the model sees windows of 24" in refused([*argv, str(write_csv(rows=20))], capsys)
    other = write_csv(hourly_table(60).rename(columns={"c1": "elsewhere"}))
    assert "c1" in refused([*argv, str(other)], capsys)
    assert "does not exist" in refused([*argv, "nosuch.csv"], capsys)
    folder = write_csv()
    said = refused([*argv, str(folder), "--output", str(folder)], capsys)
    assert "--output" in said


def test_the_longest_gap_is_found_and_a_shorter_one_where_that_is_wanted() -> None:
    gone = np.array([True, False, True, True, True, False, True, True])
    assert longest_gap(gone) == (2, 3)
    assert longest_gap(gone, 2) == (6, 2)
