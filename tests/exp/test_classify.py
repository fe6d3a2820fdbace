"""``--do_classify``: a class and probabilities for each case of a file, with what is said and drawn."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
from exp import class_rivals
from tests.helpers.commands import succeed, written
from tests.helpers.ts_files import waves, write_pair, write_ts

Use = Callable[..., int]
FLAGS = ["--task_name", "classification", "--model", "DLinear", "--data", "custom", "--batch_size", "8",
         "--train_epochs", "10", "--learning_rate", "0.01", "--device", "cpu"]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pair of files and a DLinear that tells their three kinds of waves apart."""
    folder = tmp_path_factory.mktemp("trained")
    write_pair(folder / "files")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(class_rivals, "minirocket", lambda train, test, seed: (np.zeros(len(test), int), 0.1))
        succeed([*FLAGS, "--name", "waves", "--root_path", str(folder / "files")])
    return folder


@pytest.fixture
def checkpoint(trained: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Folder of a copy of the DLinear."""
    monkeypatch.setattr(class_rivals, "minirocket", lambda train, test, seed: (np.zeros(len(test), int), 0.1))
    shutil.copytree(trained / "checkpoints", "checkpoints")
    return next(Path("checkpoints").iterdir()).as_posix()


@pytest.fixture
def use(checkpoint: str) -> Use:
    def use(*flags: object) -> int:
        return run.main(["--do_classify", "--load", checkpoint, "--device", "cpu", *map(str, flags)])

    return use


def table() -> pd.DataFrame:
    (path,) = (path for path in Path("results").glob("*/classes.csv") if path.parent.name != "latest")
    return pd.read_csv(path)


@pytest.mark.pictures
def test_cases_with_classes_are_compared_with_them(use: Use, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cases, labels = waves(9, seed=7)
    new = write_ts(tmp_path / "new.ts", cases, labels)
    assert use("--data_path", new, "--output", "copy.csv") == 0
    found = table()
    assert list(found.columns) == [
        "sample",
        "class",
        "true_class",
        *(f"probability_{n}" for n in ("Fast", "slow", "still")),
    ]
    assert found["sample"].tolist() == list(range(1, 10))
    assert found["true_class"].tolist() == labels
    probabilities = found.filter(like="probability_").to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    names = np.array(["Fast", "slow", "still"])
    assert (names[probabilities.argmax(axis=1)] == found["class"]).all()
    share = (found["class"] == found["true_class"]).mean()
    assert share > 0.7
    assert f"accuracy {share:.4f}" in caplog.text and "DLinear beats the majority class" in caplog.text
    pd.testing.assert_frame_equal(pd.read_csv("copy.csv"), found)
    assert [*Path("results").glob("waves_*_on_new_*/classes.png")]


@pytest.mark.pictures
def test_cases_without_classes_get_some(use: Use, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cases, labels = waves(6, seed=8)
    cases[2][3:5, 0] = np.nan
    write_ts(tmp_path / "new.ts", cases)
    assert use("--data_path", tmp_path / "new.ts") == 0
    found = table()
    assert "true_class" not in found
    assert (found["class"] == labels).mean() > 0.6
    assert "the file holds no classes to compare with" in caplog.text
    assert "note: 2 missing values are filled" in caplog.text


def test_a_case_alone_gets_the_class_that_it_gets_among_others(use: Use, tmp_path: Path) -> None:
    cases, _ = waves(6, seed=8)
    write_ts(tmp_path / "all.ts", cases)
    assert use("--data_path", tmp_path / "all.ts") == 0
    among = table().iloc[4, 2:].astype(float)
    next(Path("results").glob("*/classes.csv")).unlink()
    write_ts(tmp_path / "one.ts", [cases[4]])
    assert use("--data_path", tmp_path / "one.ts") == 0
    np.testing.assert_allclose(table().iloc[0, 2:].astype(float), among, atol=2e-6)


def test_without_a_file_the_test_file_is_classified_also_right_after_training(
    use: Use, trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert use() == 0
    later = table()
    assert len(later) == 12 and "Waves_TEST.ts" in caplog.text
    assert run.main([*FLAGS, "--name", "at-once", "--do_classify", "--root_path", str(trained / "files")]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(next(Path("results").glob("at-once*/classes.csv"))), later)


def test_a_class_that_the_model_does_not_know_counts_as_not_found(
    use: Use, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cases, _ = waves(4, seed=7)
    assert use("--data_path", write_ts(tmp_path / "new.ts", cases, ["Odd"] * 4)) == 0
    assert "accuracy 0.0000" in caplog.text and "the model does not know Odd" in caplog.text


def test_a_file_that_does_not_fit_is_refused_with_the_remedy(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases, labels = waves(4, seed=7)
    longer = write_ts(tmp_path / "longer.ts", [*cases, np.zeros((40, 2))])
    other = write_ts(tmp_path / "other.ts", [case[:, :1] for case in cases], labels)
    before = written(Path())
    for path, said in (
        (longer, "case 5 has 40 steps, and the model takes 16 at most"),
        (other, "other.ts has 1 channels, and waves_"),
        (tmp_path / "none.ts", "none.ts does not exist"),
    ):
        assert use("--data_path", path) == 2
        error = capsys.readouterr().err
        assert said in error and "Traceback" not in error
    assert written(Path()) == before


def test_an_output_that_cannot_be_written_to_is_refused_before(use: Use, capsys: pytest.CaptureFixture[str]) -> None:
    assert use("--output", "classes.txt") == 2
    assert "give it a name that ends in .csv" in capsys.readouterr().err
    assert not [*Path("results").glob("*/classes.csv")]


def test_a_checkpoint_that_lacks_its_classes_is_refused(
    use: Use, checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(checkpoint) / "config.json"
    config.write_text(config.read_text().replace('"still"', '"still", "odd"', 1))
    assert use() == 2
    assert "cannot be used to classify: its classes or statistics do not fit the model" in capsys.readouterr().err


def test_only_a_model_of_classes_classifies(
    workplace: Path, checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = "--model DLinear --data sample --seq_len 24 --pred_len 8 --train_epochs 1 --device cpu --do_classify"
    assert run.main(argv.split()) == 2
    assert "--do_classify is for --task_name classification, not for long_term_forecast" in capsys.readouterr().err
    assert run.main(["--do_classify", "--data_path", "new.ts"]) == 2
    assert "leave it out, or name a checkpoint of that task with --load" in capsys.readouterr().err
    assert run.main(["--do_predict", "--load", checkpoint]) == 2
    assert "--do_predict is for --task_name long_term_forecast, not for classification" in capsys.readouterr().err
