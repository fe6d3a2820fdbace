"""Windows with hidden values."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_provider.hidden import HiddenWindows, Mask, load_hidden
from data_provider.imputation_config import ImputationConfig
from data_provider.windows import Split
from tests.conftest import WriteCsv, hourly_table
from utils.errors import UserError

L = 24


def windows_of(path: Path, split: Split = Split.TEST, seed: int = 1, **options: object) -> HiddenWindows:
    config = ImputationConfig(data="custom", data_path=str(path), seq_len=L, **options)
    return load_hidden(config, seed, tells=True).windows[split]


@pytest.mark.parametrize("kind", ["point", "block"])
@pytest.mark.parametrize("rate", [0.125, 0.5])
def test_the_share_that_is_asked_for_is_hidden(kind: str, rate: float) -> None:
    shown = Mask(rate, kind, 0).shown(Split.TRAIN, range(300), (96, 5))
    assert 1 - shown.float().mean().item() == pytest.approx(rate, abs=0.02)


def test_blocks_are_gaps_of_several_steps_and_points_are_not() -> None:
    lengths = {}
    for kind in ("point", "block"):
        hidden = ~Mask(0.25, kind, 0).shown(Split.TRAIN, range(200), (96, 3))
        begins = hidden[:, 1:] & ~hidden[:, :-1]
        lengths[kind] = hidden.sum().item() / (begins.sum() + hidden[:, 0].sum()).item()
    assert lengths["point"] == pytest.approx(4 / 3, abs=0.1)
    assert lengths["block"] == pytest.approx(8, abs=1)


def test_a_mask_follows_from_seed_split_and_window_whatever_the_batch(write_csv: WriteCsv) -> None:
    path = write_csv()
    whole, again = windows_of(path), windows_of(path)
    torch.testing.assert_close(whole.__getitems__([3, 7]).x[1:], again.__getitems__([7]).x)
    assert not torch.equal(whole.__getitems__([7]).visible, whole.__getitems__([8]).visible)
    assert not torch.equal(whole.__getitems__([7]).visible, windows_of(path, seed=2).__getitems__([7]).visible)
    assert not torch.equal(
        windows_of(path, Split.VAL).__getitems__([7]).visible, windows_of(path, Split.TRAIN).__getitems__([7]).visible
    )


def test_training_draws_anew_in_each_epoch_and_the_test_does_not(write_csv: WriteCsv) -> None:
    train, test = (windows_of(write_csv(), split) for split in (Split.TRAIN, Split.TEST))
    first = train.__getitems__([0]).visible
    train.begin_epoch(1)
    assert not torch.equal(first, train.__getitems__([0]).visible)
    train.begin_epoch(0)
    assert torch.equal(first, train.__getitems__([0]).visible)
    assert torch.equal(test.__getitems__([0]).visible, windows_of(write_csv()).__getitems__([0]).visible)


def test_a_batch_shows_zeros_where_values_are_hidden_and_weighs_these_alone(write_csv: WriteCsv) -> None:
    batch = windows_of(write_csv(), Split.TRAIN).__getitems__([0, 1, 2])
    hidden = batch.visible == 0
    assert torch.equal(batch.observed, hidden)
    assert torch.equal(batch.x, torch.where(hidden, 0.0, batch.y))
    error = torch.rand(batch.y.shape)
    torch.testing.assert_close((error * batch.mask).mean(), error[hidden].mean())


def test_windows_lie_inside_their_split_but_for_those_of_the_release(write_csv: WriteCsv) -> None:
    path = write_csv()  # 400 rows: 280 to train, 40 to validate, 80 to test
    assert [len(windows_of(path, split)) for split in Split] == [280 - L + 1, 40 - L + 1, 80 - L + 1]
    assert windows_of(path, Split.VAL).first == 280
    released = {split: windows_of(path, split, imputation_protocol="release") for split in Split}
    assert [len(windows) for windows in released.values()] == [280 - L + 1, 40 + 1, 80 + 1]
    assert released[Split.TEST].first == 320 - L


def test_values_that_the_file_lacks_are_neither_seen_nor_scored(write_csv: WriteCsv) -> None:
    table = hourly_table()
    table.loc[350:359, "c0"] = np.nan
    table.loc[:2, "c1"] = np.nan
    windows = windows_of(write_csv(table))
    batch = windows.__getitems__([350 - windows.first])
    assert not batch.visible[0, :10, 0].any() and not batch.observed[0, :10, 0].any()
    assert not batch.x[0, :10, 0].any()
    assert len(windows_of(write_csv(table), Split.TRAIN)) == 280 - L + 1  # the series begins where the file does


def test_a_file_without_gaps_is_scaled_by_its_training_rows(write_csv: WriteCsv) -> None:
    table = hourly_table()
    data = load_hidden(ImputationConfig(data="custom", data_path=str(write_csv(table)), seq_len=L), 0, tells=True)
    np.testing.assert_allclose(data.scaler.mean_, table.iloc[:280, 1:].mean(), rtol=1e-12)


def test_a_column_without_a_value_is_refused_by_name(write_csv: WriteCsv) -> None:
    table = hourly_table().assign(c0=np.nan)
    table.loc[0, "c1"] = 5.0
    with pytest.raises(UserError, match="column 'c0' has no values at all; leave it out with --ignore"):
        windows_of(write_csv(table), columns="c0,c1,OT")


def test_a_split_that_is_shorter_than_a_window_is_refused_with_both_numbers(write_csv: WriteCsv) -> None:
    with pytest.raises(UserError, match=r"the val split has .* rows, a window takes 90 \(--seq_len\)"):
        load_hidden(ImputationConfig(data="custom", data_path=str(write_csv(rows=300)), seq_len=90), 0, tells=True)


def test_missing_rows_are_missing_values(write_csv: WriteCsv) -> None:
    table = hourly_table().drop(index=range(340, 345))
    windows = windows_of(write_csv(table))
    assert windows.series.observed is not None
    assert (~windows.series.observed).all(dim=1).sum() == 5
