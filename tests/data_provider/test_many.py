"""Samples and windows of a long file: what each series is standardized by, and what no sample sees."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from data_provider.config import DataConfig
from data_provider.many import ManyData, load_many
from data_provider.windows import Split
from tests.conftest import WriteCsv
from tests.helpers.long_files import LENGTHS, long_table
from utils.errors import UserError

L, H = 14, 5


def load(write_csv: WriteCsv, table: pd.DataFrame, **more: Any) -> ManyData:
    path = write_csv(table, name="long.csv")
    flags = {"seq_len": L, "pred_len": H, "id_col": "store", "columns": "y", **more}
    return load_many(DataConfig(data="custom", data_path=str(path), **flags), seed=0)


def splits(data: ManyData) -> list[tuple[int, int, int, int]]:
    """Return first row, first of validation, first of test and end of each series, by README's rule."""
    found = []
    for first, last in zip(data.panel.offsets, data.panel.offsets[1:], strict=False):
        rows = last - first
        test = last - max(int(0.2 * rows), H)
        found.append((first, min(first + int(0.7 * rows), test - H), test, last))
    return found


def test_each_series_is_standardized_by_its_own_training_rows(write_csv: WriteCsv) -> None:
    data = load(write_csv, long_table())
    for i, (first, val, _, _) in enumerate(splits(data)):
        training = data.panel.values[first:val, 0]
        assert data.mean[i, 0] == pytest.approx(training.mean())
        assert data.scale[i, 0] == pytest.approx(training.std())
        assert data.exact.values[first:val].mean().item() == pytest.approx(0, abs=1e-9)


def test_windows_of_validation_and_test_are_all_those_of_their_rows(write_csv: WriteCsv) -> None:
    data = load(write_csv, long_table())
    for i, (_, val, test, last) in enumerate(splits(data)):
        for split, begin, end in ((Split.VAL, val, test), (Split.TEST, test, last)):
            windows = data.windows[split]
            assert windows.origins[windows.which == i].tolist() == list(range(begin, end - H + 1))


def test_a_window_holds_the_rows_around_its_origin_and_zeros_before_its_series(write_csv: WriteCsv) -> None:
    data = load(write_csv, long_table({"long": 60, "short": 14}))
    windows = data.windows[Split.VAL]
    batch = windows.__getitems__(range(len(windows)))
    for x, y, origin, which in zip(batch.x, batch.y, batch.origins, windows.which, strict=True):
        begin = max(int(data.series.starts[which]), int(origin) - L)
        inside = data.series.values[begin:origin]
        assert torch.equal(x[L - len(inside) :], inside)
        assert not x[: L - len(inside)].any()
        assert torch.equal(y, data.series.values[origin : origin + H])


def test_no_sample_sees_what_is_held_out_and_all_series_are_drawn(write_csv: WriteCsv) -> None:
    table = long_table()
    marked = load(write_csv, table)
    spoilt = table.copy()
    for _, val, _, last in splits(marked):
        spoilt.loc[val : last - 1, "y"] = np.linspace(1e3, 2e3, last - val)
    data = load(write_csv, spoilt)
    for _ in range(3):
        batch, other = (one.samples.__getitems__(range(len(one.samples))) for one in (marked, data))
        assert torch.equal(batch.x, other.x)
        assert torch.equal(batch.y, other.y)
        assert torch.equal(batch.mask, other.mask)
    assert set(marked.samples.which.tolist()) == set(range(len(LENGTHS)))


def test_samples_of_long_series_are_whole_and_those_of_short_ones_have_something_to_see(write_csv: WriteCsv) -> None:
    data = load(write_csv, long_table({"long": 120, "short": 14}))
    batch = data.samples.__getitems__(range(len(data.samples)))
    long = data.samples.which == 0
    assert batch.mask[long].all()
    assert (batch.x[long] != 0).all()
    assert (batch.mask[~long].sum((1, 2)) >= 1).all()
    assert (batch.x[~long] != 0).any(dim=1).all()


def test_a_series_too_short_or_constant_or_ended_is_named(write_csv: WriteCsv) -> None:
    table = long_table({**LENGTHS, "tiny": 8, "flat": 50, "old": 50})
    table.loc[table["store"] == "flat", "y"] = 3.0
    table.loc[table["store"] == "old", "date"] -= pd.Timedelta(days=100)
    data = load(write_csv, table)
    assert "tiny" not in data.panel.ids
    notes = "\n".join(data.notes)
    assert "left out (fewer than 13 rows: two horizons to score, 3 rows to train on): 1 series, tiny" in notes
    assert "constant over their training rows, and forecast all the same: flat" in notes
    assert "ended more than a horizon before the last date, and forecast after their own end: old" in notes
    assert data.scale[data.panel.ids.index("flat"), 0] == 1


def test_only_short_series_are_refused_with_a_horizon_that_fits(write_csv: WriteCsv) -> None:
    with pytest.raises(UserError, match=r"all series are too short .* choose a shorter --pred_len, at most 4"):
        load(write_csv, long_table({"a": 11, "b": 12}))


def test_of_very_many_windows_some_are_scored(write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_provider.many.MOST_SAMPLES", 20)
    data = load(write_csv, long_table())
    assert data.every > 1 and len(data.windows[Split.TEST]) <= 20 + len(LENGTHS)
    assert len(data.samples) <= 20 + len(LENGTHS)
    assert [note for note in data.notes if f"of every {data.every} windows in a row one is scored" in note]


def test_a_target_that_is_not_there_is_refused(write_csv: WriteCsv, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no column 'z' \(--target\)"):
        load(write_csv, long_table(), target="z")
