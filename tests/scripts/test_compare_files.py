"""The table of several models on one file."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scripts import compare_files
from scripts.compare_files import Result, common, main
from tests.conftest import WriteCsv
from tests.exp.test_answer import noisy_weeks
from tests.helpers.forked import stand_in


@pytest.fixture(autouse=True)
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs start at once."""
    monkeypatch.setattr(compare_files, "subprocess", SimpleNamespace(run=stand_in))


def test_models_are_run_and_compared_on_the_same_windows(
    write_csv: WriteCsv, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(noisy_weeks(), "weeks.csv")
    flags = ["--data_path", str(path), "--pred_len", "7", "--seq_len", "14", "--device", "cpu", "--do_predict", "0"]
    assert main(["--models", "Naive", "SeasonalNaive:--season 7", "--", *flags]) == 0
    table = [line.split("|")[1:-1] for line in capfd.readouterr().out.splitlines()]
    assert [cell.strip() for cell in table[0]] == ["model", "MAE", "coverage at 0.9", "CPU s"]
    naive, seasonal = (float(row[1]) for row in table[2:])
    assert seasonal < naive


def test_a_run_that_fails_is_named(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--models", "Naive", "--", "--data_path", "nowhere.csv"]) == 2
    assert "nowhere.csv" in capfd.readouterr().err


def test_windows_of_a_slow_model_are_found_among_those_of_the_others() -> None:
    truth = np.arange(100.0)[:, None]
    fast = Result("fast", truth + np.where(truth % 5 == 0, 1.0, 9.0), truth, None, 0, "")
    slow = Result("slow", truth[::5] + 2, truth[::5], None, 0, "")
    assert common([fast, slow]) == {"fast": 1.0, "slow": 2.0}
