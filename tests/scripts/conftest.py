"""A checkpoint for the examples of scripts/."""

from pathlib import Path

import pytest

from tests.conftest import hourly_table
from tests.helpers.commands import tiny_run


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path, tiny_words: Path) -> Path:
    """A folder with data.csv, what CALF trained and tested on it left, and its forecast of what comes next."""
    import run

    folder = tmp_path_factory.mktemp("trained")
    hourly_table(240).to_csv(folder / "data.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main(tiny_run(folder / "data.csv", tiny_gpt2, tiny_words, do_predict=1, seq_len=24, pred_len=6)) == 0
    return folder


@pytest.fixture
def checkpoint(trained: Path) -> Path:
    (found,) = (trained / "checkpoints").iterdir()
    return found


@pytest.fixture
def forecast_csv(trained: Path) -> Path:
    (found,) = (trained / "results").glob("*/forecast.csv")
    return found
