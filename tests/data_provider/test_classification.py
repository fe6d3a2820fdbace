"""Labelled cases from ``.ts`` files: what is read, refused, filled, standardised, padded and held out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_provider.classification import Cases, CaseScaler, fill, hold_out, load_classification
from data_provider.classification_config import ClassificationConfig
from data_provider.ts_file import read_ts
from data_provider.windows import Split
from tests.helpers.ts_files import HEAD, waves, write_pair, write_ts
from utils.errors import UserError

nan = np.nan


def config(folder: Path, **flags: object) -> ClassificationConfig:
    return ClassificationConfig(data="custom", root_path=str(folder), **flags)


def written(folder: Path, cases: str, head: str = HEAD.format("x", "true A b")) -> Path:
    path = folder / "x_TRAIN.ts"
    path.write_text(head + cases, encoding="utf-8")
    return path


# --- one file ---


def test_cases_of_any_length_are_read_with_classes_as_they_are_written(tmp_path: Path) -> None:
    file = read_ts(written(tmp_path, "1,?,3:4,5,6:Banana nan\n\n# a remark\n7:8:b\n"))
    assert file.labels == ["Banana nan", "b"]
    np.testing.assert_array_equal(file.values[0], [[1, 4], [nan, 5], [3, 6]])
    np.testing.assert_array_equal(file.values[1], [[7, 8]])


@pytest.mark.parametrize(
    "head",
    [
        "@univariate true\n@equalLength true\n@seriesLength 9\n@classLabel true A b\n@data\n",
        "\ufeff# a remark\n\n@PROBLEMNAME x\n@missing false\n@classlabel true\n@DATA\n",
        "@data\n",
    ],
    ids=["wrong facts", "other spelling", "none"],
)
def test_headers_that_lack_facts_or_state_wrong_ones_do_no_harm(tmp_path: Path, head: str) -> None:
    file = read_ts(written(tmp_path, "1,2:3,4:A\r\n5:6:b\r\n", head))
    assert [case.shape for case in file.values] == [(2, 2), (1, 2)]
    assert file.labels == ["A", "b"]


def test_a_file_without_classes_has_none(tmp_path: Path) -> None:
    file = read_ts(written(tmp_path, "1,2:3,4\n5:6\n", HEAD.format("x", "false")))
    assert file.labels is None
    assert [case.shape for case in file.values] == [(2, 2), (1, 2)]


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ("1,2:3,4:A\n1,2:3,oops:b\n", "case 2, channel 2: 'oops' is no number"),
        ("1,2:3,4:A\n1,2:A\n", "case 2 has 1 channels, and the first one 2"),
        ("1,2:3:A\n", "case 1 has 2 steps in channel 1 and 1 in channel 2"),
        ("1,2:3,4\n", "case 1 has no class after its last ':'. Of cases without classes the header says @classLabel"),
        ("1,2:3,inf:A\n", "case 1 holds an infinite value"),
        ("A\n", "case 1 has 0 channels"),
        ("", "holds no cases after its line @data"),
    ],
)
def test_what_is_wrong_with_a_case_is_said_with_its_place(tmp_path: Path, cases: str, said: str) -> None:
    with pytest.raises(UserError, match=r"x_TRAIN.ts") as refusal:
        read_ts(written(tmp_path, cases))
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("@timeStamps true\n@data\n", "has time stamps (@timeStamps true): write the values alone"),
        ("@targetLabel true\n@data\n", "numbers to predict (@targetLabel true) in place of classes"),
        ("@classLabel true A b\n", "it has no line @data"),
        ("date,OT\n2024-01-01,1\n", "is no .ts file: 'date,OT' stands before @data"),
        ("\0\1\2binary", "is no .ts file"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, head: str, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        read_ts(written(tmp_path, "", head))
    assert said in str(refusal.value)


def test_folders_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a regular file"):
        read_ts(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        read_ts(tmp_path / "none.ts")


# --- which files ---


def test_the_pair_is_found_by_the_names_of_its_files_whatever_its_folders_are_called(tmp_path: Path) -> None:
    train = write_pair(tmp_path / "TEST_and_TRAIN.ts")
    assert config(train.parent).training_files() == (train, train.with_name("Waves_TEST.ts"))
    named = ClassificationConfig(data="custom", data_path=str(train))
    assert named.training_files() == config(train.parent).training_files()


def test_a_published_set_lies_in_a_folder_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_DATASETS", str(tmp_path))
    with pytest.raises(UserError, match=r"UEA/Heartbeat/Heartbeat_TRAIN.ts does not exist: say with --root_path"):
        ClassificationConfig(data="Heartbeat").training_files()
    train = write_pair(tmp_path / "UEA" / "Heartbeat", "Heartbeat")
    assert ClassificationConfig(data="Heartbeat").training_files()[0] == train


def test_what_is_unclear_or_lacking_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs --data_path NAME_TRAIN.ts, or --root_path"):
        ClassificationConfig(data="custom").training_files()
    with pytest.raises(UserError, match=r"has to hold one file called NAME_TRAIN.ts, and there is none"):
        config(tmp_path).training_files()
    train = write_pair(tmp_path)
    write_pair(tmp_path, "Other")
    with pytest.raises(UserError, match=r"there is Other_TRAIN.ts, Waves_TRAIN.ts: name it with --data_path"):
        config(tmp_path).training_files()
    train.with_name("Waves_TEST.ts").unlink()
    with pytest.raises(UserError, match=r"Waves_TEST.ts does not exist"):
        ClassificationConfig(data="custom", data_path=str(train)).training_files()
    with pytest.raises(UserError, match=r"new.ts: training takes a pair of files.*--do_classify --load"):
        ClassificationConfig(data="custom", data_path="new.ts").training_files()
    with pytest.raises(UserError, match=r"--data ETTh1 has no classes; .* takes EthanolConcentration, .*, or custom"):
        ClassificationConfig(data="ETTh1")


# --- the pair ---


def test_statistics_and_classes_are_of_train_and_the_padding_is_told(tmp_path: Path) -> None:
    write_pair(tmp_path)
    data = load_classification(config(tmp_path), seed=1)
    cases, labels = waves(30, seed=0)
    rows = np.concatenate(cases)
    assert data.classes == ("Fast", "slow", "still")
    np.testing.assert_allclose(data.scaler.mean, rows.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(data.scaler.scale, rows.std(axis=0, ddof=1), rtol=1e-4)
    tested, labels = waves(12, seed=1)
    longest = max(map(len, [*cases, *tested]))
    batch = data.splits[Split.TEST].__getitems__([0, 5])
    assert batch.x.shape == batch.visible.shape == (2, longest, 2)
    for i, index in enumerate((0, 5)):
        length = len(tested[index])
        seen = (tested[index] - data.scaler.mean) / data.scaler.scale
        np.testing.assert_allclose(batch.x[i, :length], seen, atol=1e-3)
        assert not batch.x[i, length:].any() and not batch.visible[i, length:].any()
        assert batch.visible[i, :length].all()
        assert data.classes[batch.y[i]] == labels[index]


def test_the_release_takes_the_statistics_and_the_classes_of_each_file(tmp_path: Path) -> None:
    cases, labels = waves(30, seed=0)
    write_ts(tmp_path / "W_TRAIN.ts", cases, labels)
    late = [(case + 5, label) for case, label in zip(cases, labels, strict=True) if label != "Fast"]
    write_ts(tmp_path / "W_TEST.ts", *zip(*late, strict=True))
    data = load_classification(config(tmp_path, classification_protocol="release"), seed=1)
    test = data.splits[Split.TEST]
    assert data.splits[Split.VAL] is test and len(data.splits[Split.TRAIN]) == 30
    seen = test.__getitems__(range(len(test)))
    assert abs((seen.x * seen.visible).sum() / seen.visible.sum()) < 1e-5  # its own mean
    assert test.classes.unique().tolist() == [0, 1]  # slow and still, which TRAIN has at 1 and 2
    honest = load_classification(config(tmp_path), seed=1).splits[Split.TEST]
    assert honest.classes.unique().tolist() == [1, 2]
    assert honest.x.max() > 5


def test_a_class_that_nothing_trains_and_other_channels_are_refused(tmp_path: Path) -> None:
    cases, labels = waves(12, seed=0)
    write_pair(tmp_path)
    write_ts(tmp_path / "Waves_TEST.ts", cases, [*labels[:-1], "Odd"])
    with pytest.raises(UserError, match=r"Waves_TEST.ts holds Odd, a class that Waves_TRAIN.ts has no case of"):
        load_classification(config(tmp_path), seed=0)
    write_ts(tmp_path / "Waves_TEST.ts", [case[:, :1] for case in cases], labels)
    with pytest.raises(UserError, match=r"Waves_TEST.ts has 1 channels, and Waves_TRAIN.ts 2"):
        load_classification(config(tmp_path), seed=0)
    write_ts(tmp_path / "Waves_TEST.ts", cases)
    with pytest.raises(UserError, match=r"Waves_TEST.ts holds no classes"):
        load_classification(config(tmp_path), seed=0)
    write_ts(tmp_path / "Waves_TRAIN.ts", cases, ["A"] * 12)
    write_ts(tmp_path / "Waves_TEST.ts", cases, ["A"] * 12)
    with pytest.raises(UserError, match="all cases are of one class, A"):
        load_classification(config(tmp_path), seed=0)


def test_missing_values_are_filled_within_the_case_and_an_empty_channel_with_the_mean(tmp_path: Path) -> None:
    filled = fill(np.array([[nan, nan], [1, nan], [nan, nan], [3, nan], [nan, nan]]))
    np.testing.assert_array_equal(filled[:, 0], [1, 1, 2, 3, 3])
    assert np.isnan(filled[:, 1]).all()
    scaler = CaseScaler.fit([filled, np.array([[5.0, 4.0], [5.0, 6.0]])])
    assert scaler.mean[1] == 5
    assert (scaler.apply(filled)[:, 1] == 0).all()


def test_a_constant_channel_is_neither_blown_up_nor_divided_by_zero() -> None:
    scaler = CaseScaler.fit([np.full((3, 1), 1e9 + 0.1)])
    np.testing.assert_array_equal(scaler.apply(np.full((2, 1), 1e9 + 0.1)), 0)
    assert scaler.apply(np.full((1, 1), 1e9 + 1.1)) == pytest.approx(1)
    assert CaseScaler.fit([np.full((3, 1), nan)]) == (0, 1)


def test_values_too_large_to_be_standardised_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path)
    cases, labels = waves(12, seed=1)
    cases[4][2, 1] = 1e60
    write_ts(tmp_path / "Waves_TEST.ts", cases, labels)
    with pytest.raises(UserError, match=r"Waves_TEST.ts: case 5 holds a value too large to be standardised"):
        load_classification(config(tmp_path), seed=0)


def test_a_share_of_each_class_is_held_out_by_the_seed() -> None:
    classes = np.repeat([0, 1, 2], [40, 20, 20])
    kept, held = hold_out(classes, 0.2, 3, Path("x.ts"))
    assert sorted([*kept, *held]) == list(range(80))
    assert np.bincount(classes[held]).tolist() == [8, 4, 4]
    assert np.array_equal(held, hold_out(classes, 0.2, 3, Path("x.ts"))[1])
    assert not np.array_equal(held, hold_out(classes, 0.2, 4, Path("x.ts"))[1])


def test_a_class_of_one_case_trains_and_many_small_ones_leave_some_to_train_on() -> None:
    kept, held = hold_out(np.array([0, 1, 1, 2, 2, 3]), 0.01, 0, Path("x.ts"))
    assert {0, 5} <= {*kept} and len(held) == 2
    assert len(hold_out(np.array([0, 0, 1, 1]), 0.9, 0, Path("x.ts"))[0]) == 2
    with pytest.raises(UserError, match="no class has two cases"):
        hold_out(np.array([0, 1, 2]), 0.2, 0, Path("x.ts"))


def test_a_person_is_told_of_gaps_and_of_classes_that_are_few(tmp_path: Path) -> None:
    cases, labels = waves(13, seed=0)
    cases[3][2:4, 0] = nan
    write_ts(tmp_path / "W_TRAIN.ts", cases, [*labels[:-1], "Once"])
    write_ts(tmp_path / "W_TEST.ts", *waves(3, seed=1))
    notes = load_classification(config(tmp_path), seed=0).notes
    assert notes == (
        "W_TRAIN.ts: 2 missing values are filled linearly within their case",
        "1 class(es) have one training case, which is not held out: Once",
        "W_TEST.ts has no case of Once",
    )


def test_a_configuration_is_found_again_by_its_identity(tmp_path: Path) -> None:
    train = write_pair(tmp_path)
    found = ClassificationConfig.from_identity(config(tmp_path).identity())
    assert found.file == train and found.identity() == config(tmp_path).identity()


def test_a_lone_case_is_a_batch() -> None:
    batch = Cases(torch.zeros(1, 4, 2), torch.tensor([3]), torch.tensor([0])).__getitems__([0])
    assert batch.visible[0, :, 0].tolist() == [1, 1, 1, 0]
