"""``--seq_len search``: the look-back is chosen on validation, and the test split is looked at once."""

from pathlib import Path

import pytest
import yaml

from calf import Forecaster
from models.checkpoint import read_training
from tests.conftest import Tiny, hourly_table
from tests.helpers.commands import refused, succeed
from utils.tables.records import cell_of, read_records

SEARCHED = {"model": "DLinear", "seq_len": "search", "log": "none"}


@pytest.fixture(autouse=True)
def two_look_backs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the tests has room for 12 and 48 steps, not for 9,999."""
    monkeypatch.setattr("exp.look_back.LOOK_BACKS", (12, 48, 9999))


def validation_errors() -> dict[int, float]:
    """Return the lowest validation error of each training in the working directory, by its look-back."""
    trained = {path.parent: read_training(path.parent) for path in Path("checkpoints").glob("l*_*/training.json")}
    steps = {folder: int(folder.name.split("_sl")[1].split("s_")[0]) for folder in trained}
    return {steps[folder]: record["best"]["validation_mse"] for folder, record in trained.items()}


def test_the_look_back_with_the_lowest_validation_error_alone_is_tested(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = succeed(tiny(**SEARCHED))
    errors, chosen = validation_errors(), record["model"]["config"]["seq_len"]
    assert errors.keys() == {12, 48, 93}  # 93 is what a run of these flags would take
    assert chosen == min(errors, key=errors.__getitem__)
    said = caplog.text
    assert "look-back of 9999 steps: left out, the training rows are too few" in said
    assert f"{chosen:9d}   {errors[chosen]:.5f} (chosen)" in said


def test_nothing_is_trained_twice(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    first = succeed(tiny(**SEARCHED))
    monkeypatch.setattr("exp.training.Training.run", lambda self: pytest.fail("it trains again"))
    assert succeed(tiny(**SEARCHED)) == first
    with pytest.raises(pytest.fail.Exception, match="it trains again"):
        succeed([*tiny(**SEARCHED), "--overwrite"])


def test_the_flags_left_beside_the_figures_repeat_the_search(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    first = succeed(tiny(**SEARCHED))
    (file,) = Path("results").glob("l*_*/run.yaml")
    assert yaml.safe_load(file.read_text())["seq_len"] == "search"
    monkeypatch.setattr("exp.training.Training.run", lambda self: pytest.fail("it trains again"))
    assert succeed(["--config", str(file)]) == first


def test_each_seed_searches_and_the_tables_keep_the_protocols_apart(tiny: Tiny) -> None:
    succeed(tiny(**SEARCHED, itr=2))
    assert len(list(Path("checkpoints").glob("l*_*"))) == 6
    succeed(tiny(**SEARCHED | {"seq_len": 12}))
    blocks = {cell_of(record)[0].title.partition(", ")[2] for record in read_records(Path("results"))[0]}
    assert blocks == {"look-back searched", "seq_len 12"}


def test_a_dry_run_says_what_each_look_back_would_be_trained_on(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert not succeed([*tiny(**SEARCHED), "--dry_run"])
    assert "windows of 12 -> 8" in caplog.text and "windows of 48 -> 8" in caplog.text
    assert not Path("checkpoints").exists()


def test_a_table_in_memory_can_be_searched_for(workplace: Path) -> None:
    forecaster = Forecaster.fit(hourly_table(), **SEARCHED, pred_len=8, train_epochs=1, refit=0)
    assert forecaster.model.config.seq_len in validation_errors()


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"model": "Naive"}, "--model Naive"),
        ({"model": "auto"}, "--model auto"),
        ({"task_name": "imputation"}, "--task_name imputation"),
        ({"load": "checkpoints/some"}, "--load"),
        ({"data": "custom,ETTh1", "data_path": "a.csv,"}, "several data sets"),
        ({"is_training": 0}, "name the chosen checkpoint with --load"),
        ({"seq_len": "serch"}, "choose a whole number from 1 to 1,000,000, or search"),
    ],
)
def test_what_a_search_cannot_serve_is_refused(
    flags: dict[str, object], reason: str, tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused(tiny(**SEARCHED | flags), capsys)
