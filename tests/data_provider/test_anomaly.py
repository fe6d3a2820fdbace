"""Series in which anomalies are looked for, and their windows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from data_provider.anomaly import RowWindows, apart, every, load_anomalies
from data_provider.anomaly_config import AnomalyConfig
from tests.conftest import WriteCsv, hourly_table
from utils.errors import UserError


def arrays(folder: Path, train: int = 300, test: int = 250, channels: int = 3, name: str = "MSL") -> Path:
    """Write a data set of three arrays, whose test rows 100 to 109 are anomalous."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    np.save(folder / f"{name}_train.npy", random.normal(2, 3, (train, channels)).astype(np.float32))
    np.save(folder / f"{name}_test.npy", random.normal(2, 3, (test, channels)).astype(np.float32))
    labels = np.zeros(test, dtype=bool)
    labels[100:110] = True
    np.save(folder / f"{name}_test_label.npy", labels)
    return folder


def msl(folder: Path, **options: object) -> AnomalyConfig:
    return AnomalyConfig(data="MSL", root_path=str(folder), seq_len=20, **options)


def test_each_row_of_a_span_is_scored_once_whatever_its_length() -> None:
    spans = [(0, 45), (45, 50), (50, 90)]
    starts, new = apart(spans, 20)
    scored = [row for start, count in zip(starts, new, strict=True) for row in range(start + 20 - count, start + 20)]
    assert scored == list(range(90))
    assert starts.tolist() == [0, 20, 25, 30, 50, 70]  # the last window of a span ends with it


def test_windows_of_training_lie_within_their_span_and_hold_their_rows() -> None:
    assert every([(0, 24), (30, 50)], 20, 2).tolist() == [0, 2, 4, 30]
    batch = RowWindows(torch.arange(10.0)[:, None], torch.tensor([0, 3]), 4).__getitems__([1])
    assert batch.x.flatten().tolist() == [3, 4, 5, 6] and batch.x is batch.y


def test_training_and_validation_are_apart_and_the_scaler_sees_training_alone(tmp_path: Path) -> None:
    data = load_anomalies(msl(arrays(tmp_path)))
    assert data.parts == {"train": [(0, 240)], "validation": [(240, 300)], "test": [(0, 250)]}
    np.testing.assert_allclose(data.scaler.mean_, data.rows.train[:240].mean(axis=0))
    assert data.rows.labels.sum() == 10


def test_windows_never_leave_a_series_where_it_is_known_which_are_joined(tmp_path: Path) -> None:
    folder = arrays(tmp_path)
    (folder / "channels.csv").write_text("channel,train_rows,test_rows\nA,100,150\nB,200,100\n")
    data = load_anomalies(msl(folder))
    assert data.parts["train"] == [(0, 80), (100, 260)]
    assert data.parts["validation"] == [(80, 100), (260, 300)]
    assert data.parts["test"] == [(0, 150), (150, 250)]
    assert data.names == ("A", "B")
    (folder / "channels.csv").write_text("channel,train_rows,test_rows\nA,100,150\n")
    with pytest.raises(UserError, match=r"its rows sum up to \(100, 150\), and the arrays have \(300, 250\)"):
        load_anomalies(msl(folder))


def test_a_constant_channel_is_divided_by_1(tmp_path: Path) -> None:
    folder = arrays(tmp_path)
    train = np.load(folder / "MSL_train.npy")
    train[:, 1] = 7
    np.save(folder / "MSL_train.npy", train)
    data = load_anomalies(msl(folder))
    assert (data.scaler.mean_[1], data.scaler.scale_[1]) == (7, 1)


def test_missing_cells_of_psm_take_the_value_before_and_zero_as_released(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, rows in (("train", 120), ("test", 60)):
        table = pd.DataFrame(50 + random.normal(size=(rows, 2)), columns=["a", "b"])
        table.insert(0, "time", range(rows))
        table.loc[30, "a"] = np.nan
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    pd.DataFrame({"time": range(60), "label": [0] * 50 + [1] * 10}).to_csv(tmp_path / "test_label.csv", index=False)
    config = {"data": "PSM", "root_path": str(tmp_path), "seq_len": 20}
    ours, theirs = (load_anomalies(AnomalyConfig(**config, anomaly_protocol=p)) for p in ("disjoint", "release"))
    assert ours.rows.train[30, 0] == ours.rows.train[29, 0]
    assert theirs.rows.train[30, 0] == 0
    assert ours.rows.notes == ("2 missing cells become the value before",)
    assert ours.rows.labels.sum() == 10


def test_a_file_of_ucr_says_in_its_name_what_is_for_training_and_what_is_anomalous(tmp_path: Path) -> None:
    values = np.sin(np.arange(300) / 5)
    (tmp_path / "001_UCR_Anomaly_Made_200_250_259.txt").write_text("\n".join(map(str, values)))
    (config,) = AnomalyConfig(data="UCR", root_path=str(tmp_path), seq_len=20).variants
    data = load_anomalies(config)
    assert config.variant == "001_UCR_Anomaly_Made_200_250_259"
    assert (len(data.train), len(data.test)) == (200, 100)
    assert np.flatnonzero(data.rows.labels).tolist() == list(range(50, 60))
    (tmp_path / "noname.txt").write_text("1 2 3")
    with pytest.raises(UserError, match=r"whose name ends in _TRAIN_BEGIN_END\.txt"):
        load_anomalies(AnomalyConfig(data="UCR", root_path=str(tmp_path), data_path="noname.txt"))


def own(path: Path, **options: object) -> AnomalyConfig:
    return AnomalyConfig(data="custom", data_path=str(path), seq_len=24, **options)


def test_an_own_file_is_divided_and_its_column_of_labels_is_no_channel(write_csv: WriteCsv) -> None:
    table = hourly_table(400).assign(label=0)
    table.loc[300:309, "label"] = 1
    rows = load_anomalies(own(write_csv(table))).rows
    assert rows.columns == ("c0", "c1", "OT")
    assert (len(rows.train), len(rows.test)) == (200, 200)
    assert np.flatnonzero(rows.labels).tolist() == list(range(100, 110))
    assert rows.dates[0] == "2024-01-09 08:00:00"
    assert any("'label' tells anomalies" in note for note in rows.notes)


def test_without_labels_a_file_has_none_and_a_channel_called_label_stays_one(write_csv: WriteCsv) -> None:
    assert load_anomalies(own(write_csv())).rows.labels is None
    rows = load_anomalies(own(write_csv(hourly_table().assign(label=range(400))))).rows
    assert rows.labels is None and "label" in rows.columns


def test_another_file_to_test_on_may_have_labels_of_its_own(write_csv: WriteCsv) -> None:
    train, test = hourly_table(200), hourly_table(100, seed=1).assign(anomaly=[0] * 90 + [1] * 10)
    rows = load_anomalies(own(write_csv(train), test_path=str(write_csv(test, "test.csv")), label_col="anomaly")).rows
    assert (len(rows.train), len(rows.test), rows.labels.sum()) == (200, 100, 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seq_len": 500}, "300 training rows, and a window takes 500"),
        ({"seq_len": 80}, "no series has a whole window of 80 rows"),
    ],
)
def test_too_few_rows_are_refused_with_both_numbers(options: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_anomalies(AnomalyConfig(data="MSL", root_path=str(arrays(tmp_path)), **options))


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, write_csv: WriteCsv) -> None:
    with pytest.raises(UserError, match=r"MSL_train\.npy does not exist; say with --root_path"):
        load_anomalies(msl(tmp_path / "nowhere"))
    folder = arrays(tmp_path / "odd")
    np.save(folder / "MSL_test_label.npy", np.zeros(3))
    with pytest.raises(UserError, match="do not fit each other"):
        load_anomalies(msl(folder))
    (folder / "MSL_train.npy").write_bytes(b"no array")
    with pytest.raises(UserError, match="is no array of numbers"):
        load_anomalies(msl(folder))
    with pytest.raises(UserError, match=r"has no column 'nosuch' \(--label_col\)"):
        load_anomalies(own(write_csv(), label_col="nosuch"))
    with pytest.raises(UserError, match=r"column 'c0' \(--label_col\): 0 and 1 are needed"):
        load_anomalies(own(write_csv(), label_col="c0"))
