"""Windows of one series, and samples of M4's many: counts, borders, the batched gather, what the loader hands out."""

from collections.abc import Iterable

import numpy as np
import pytest
import torch

from data_provider.datasets import Borders
from data_provider.windows import (
    Batch,
    Series,
    Split,
    WindowDataset,
    make_loader,
    make_windows,
)
from utils.errors import UserError

ROWS, CHANNELS = 100, 3
BORDERS = Borders(70, 80, 100)
LENGTHS = [(8, 4), (1, 1), (12, 10), (30, 1)]


@pytest.fixture
def series() -> Series:
    return Series(np.random.default_rng(0).normal(size=(ROWS, CHANNELS)))


def windows(series: Series, split: Split, seq_len: int = 8, pred_len: int = 4, percent: int = 100) -> WindowDataset:
    return make_windows(series, BORDERS, split, seq_len, pred_len, percent, "f.csv")


def target_rows(dataset: WindowDataset) -> set[int]:
    origins = dataset.__getitems__(range(len(dataset))).origins
    return {int(row) for origin in origins for row in range(origin, origin + dataset.pred_len)}


def origins(batches: Iterable[Batch]) -> list[int]:
    return torch.cat([batch.origins for batch in batches]).tolist()


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize(("seq_len", "pred_len"), LENGTHS)
def test_a_batch_equals_windows_sliced_one_by_one(series: Series, split: Split, seq_len: int, pred_len: int) -> None:
    dataset = windows(series, split, seq_len, pred_len)
    indices = [len(dataset) - 1, 0, len(dataset) // 2, 0]
    batch = dataset.__getitems__(indices)
    assert batch.x.shape == (4, seq_len, CHANNELS)
    assert batch.y.shape == (4, pred_len, CHANNELS)
    assert batch.x.dtype == batch.y.dtype == torch.float32
    for i, index in enumerate(indices):
        origin = dataset.first + index + seq_len
        assert batch.origins[i] == origin
        x, y = dataset.window(index)
        np.testing.assert_array_equal(x, series.values[origin - seq_len : origin])
        np.testing.assert_array_equal(y, series.values[origin : origin + pred_len])
        np.testing.assert_array_equal(batch.x[i], x.astype(np.float32))
        np.testing.assert_array_equal(batch.y[i], y.astype(np.float32))


@pytest.mark.parametrize(("steps", "rows"), [(4, 8), (30, 30), (70, 70), (500, 70)])
def test_windows_look_back_as_far_as_there_are_rows_before_the_first_forecast(
    series: Series, steps: int, rows: int
) -> None:
    dataset = windows(series, Split.VAL).looking_back(steps, 1, "f.csv")
    batch = dataset.__getitems__([0])
    np.testing.assert_array_equal(batch.x[0], series.values[70 - rows : 70].astype(np.float32))
    with pytest.raises(UserError, match="looks back 71 steps, and 70 rows lie before the first forecast"):
        dataset.looking_back(steps, 71, "f.csv")


@pytest.mark.parametrize(("seq_len", "pred_len"), LENGTHS)
def test_targets_fill_their_split_and_no_other(series: Series, seq_len: int, pred_len: int) -> None:
    rows = {split: target_rows(windows(series, split, seq_len, pred_len)) for split in Split}
    assert rows[Split.TRAIN] == set(range(seq_len, BORDERS.train))
    assert rows[Split.VAL] == set(range(BORDERS.train, BORDERS.val))
    assert rows[Split.TEST] == set(range(BORDERS.val, BORDERS.test))


@pytest.mark.parametrize(("seq_len", "pred_len"), LENGTHS)
def test_counts_follow_from_the_borders(series: Series, seq_len: int, pred_len: int) -> None:
    counts = {split: len(windows(series, split, seq_len, pred_len)) for split in Split}
    assert counts == {
        Split.TRAIN: 70 - seq_len - pred_len + 1,
        Split.VAL: 10 - pred_len + 1,
        Split.TEST: 20 - pred_len + 1,
    }


def test_rows_after_the_test_split_are_unused() -> None:
    series = Series(np.zeros((ROWS + 50, 1)))
    assert max(target_rows(windows(series, Split.TEST))) == BORDERS.test - 1


@pytest.mark.parametrize("percent", [20, 33, 50, 99, 100])
def test_few_shot_keeps_the_stated_share_of_the_training_rows(series: Series, percent: int) -> None:
    dataset = windows(series, Split.TRAIN, percent=percent)
    rows = (70 - 8) * percent // 100 + 8
    assert len(dataset) == rows - 8 - 4 + 1
    assert max(target_rows(dataset)) == rows - 1
    assert dataset.first == 0


@pytest.mark.parametrize("split", [Split.VAL, Split.TEST])
def test_few_shot_leaves_validation_and_test_alone(series: Series, split: Split) -> None:
    assert target_rows(windows(series, split, percent=20)) == target_rows(windows(series, split))


@pytest.mark.parametrize(("split", "pred_len"), [(Split.TRAIN, 62), (Split.VAL, 10), (Split.TEST, 20)])
def test_a_split_may_hold_a_single_window(series: Series, split: Split, pred_len: int) -> None:
    assert len(windows(series, split, pred_len=pred_len)) == 1
    with pytest.raises(UserError, match=f"the {split.value} split has"):
        windows(series, split, pred_len=pred_len + 1)


@pytest.mark.parametrize(
    ("split", "pred_len", "percent", "numbers"),
    [
        (
            Split.TRAIN,
            63,
            100,
            r"the train split has 70 rows, a window takes 71 of them \(--seq_len 8, --pred_len 63\)",
        ),
        (Split.VAL, 11, 100, r"the val split has 10 rows, a window takes 11 of them \(--seq_len 8, --pred_len 11\)"),
        (Split.TEST, 21, 100, r"the test split has 20 rows, a window takes 21 of them \(--seq_len 8, --pred_len 21\)"),
        (
            Split.TRAIN,
            10,
            5,
            r"the train split has 11 rows \(--percent 5\), a window takes 18 of .* larger --percent\.",
        ),
    ],
)
def test_a_short_split_is_named_with_its_numbers(
    series: Series, split: Split, pred_len: int, percent: int, numbers: str
) -> None:
    with pytest.raises(UserError, match=f"^f.csv: {numbers}"):
        windows(series, split, pred_len=pred_len, percent=percent)


def test_a_few_shot_split_is_never_said_to_have_more_rows_than_there_are(series: Series) -> None:
    with pytest.raises(UserError, match=r"the train split has 5 rows \(--percent 50\), a window takes 12"):
        make_windows(series, Borders(5, 80, 100), Split.TRAIN, 8, 4, 50, "f.csv")


def test_a_history_longer_than_all_rows_before_the_split_is_refused(series: Series) -> None:
    with pytest.raises(UserError, match=r"the val split .*--seq_len 71"):
        windows(series, Split.VAL, seq_len=71)


def test_training_comes_shuffled_without_repetition_and_drops_an_incomplete_last_batch(series: Series) -> None:
    dataset = windows(series, Split.TRAIN)
    batches = list(make_loader(dataset, 16, shuffle_seed=1))
    assert len(dataset) == 59
    assert [len(batch.x) for batch in batches] == [16, 16, 16]
    seen = origins(batches)
    assert len(set(seen)) == len(seen)
    assert seen != sorted(seen)


def test_the_seed_decides_the_order(series: Series) -> None:
    dataset = windows(series, Split.TRAIN)
    first, again, other = (origins(make_loader(dataset, 16, shuffle_seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_epoch_has_an_order_of_its_own(series: Series) -> None:
    loader = make_loader(windows(series, Split.TRAIN), 16, shuffle_seed=1)
    assert origins(loader) != origins(loader)


def test_the_order_does_not_depend_on_the_global_generator(series: Series) -> None:
    dataset = windows(series, Split.TRAIN)
    torch.manual_seed(5)
    first = origins(make_loader(dataset, 16, shuffle_seed=1))
    torch.manual_seed(6)
    assert origins(make_loader(dataset, 16, shuffle_seed=1)) == first


@pytest.mark.parametrize("batch_size", [59, 60, 1000])
def test_the_only_training_batch_is_kept_though_incomplete(series: Series, batch_size: int) -> None:
    batches = list(make_loader(windows(series, Split.TRAIN), batch_size, shuffle_seed=1))
    assert [len(batch.x) for batch in batches] == [59]


@pytest.mark.parametrize("batch_size", [1, 5, 17, 1000])
@pytest.mark.parametrize("split", [Split.VAL, Split.TEST])
def test_evaluation_hands_out_every_window_in_order(series: Series, split: Split, batch_size: int) -> None:
    dataset = windows(series, split)
    batches = list(make_loader(dataset, batch_size))
    assert origins(batches) == list(range(dataset.first + 8, dataset.first + 8 + len(dataset)))
    expected = dataset.__getitems__(range(len(dataset)))
    assert torch.equal(torch.cat([batch.x for batch in batches]), expected.x)
    assert torch.equal(torch.cat([batch.y for batch in batches]), expected.y)


def test_a_batch_knows_which_targets_were_filled_in() -> None:
    random = np.random.default_rng(0)
    values, observed = random.normal(size=(ROWS, CHANNELS)), random.random((ROWS, CHANNELS)) < 0.5
    dataset = windows(Series(values, observed), Split.VAL)
    batch = dataset.__getitems__([0, 3])
    for i, origin in enumerate(batch.origins):
        np.testing.assert_array_equal(batch.observed[i], observed[origin : origin + 4])
