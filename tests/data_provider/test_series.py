"""Samples and windows of many series: what each sees, and where they are cut."""

import numpy as np
import pytest
import torch

from data_provider.series import FlatSeries, M4Samples, SeriesWindows, last_windows
from data_provider.windows import Batch, make_loader
from utils.m4.patterns import PATTERNS, Pattern

# The shortest series that the competition has, by pattern.
SHORTEST = {"Yearly": 13, "Quarterly": 16, "Monthly": 42, "Weekly": 80, "Daily": 93, "Hourly": 700}


def numbered(*lengths: int) -> FlatSeries:
    """Series i counts 1000·i + 1, 1000·i + 2, …, so that a value tells where it stood."""
    values = np.concatenate([1000 * i + 1 + np.arange(length) for i, length in enumerate(lengths)])
    return FlatSeries(values.astype(float), np.cumsum([0, *lengths]))


def draw(samples: M4Samples, times: int = 200) -> Batch:
    batches = [samples.__getitems__(range(len(samples))) for _ in range(times)]
    return Batch(**{part: torch.cat([getattr(batch, part) for batch in batches]) for part in ("x", "y", "mask")})


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("held_out", [True, False], ids=["holdout", "release"])
def test_every_sample_of_the_shortest_series_has_something_to_see_and_to_forecast(
    pattern: Pattern, held_out: bool
) -> None:
    hidden = pattern.horizon if held_out else 0
    length = SHORTEST[pattern.name]
    series = numbered(length, length + 7)
    samples = M4Samples(series, pattern, 2 * pattern.horizon, held_out=hidden, draws=1, seed=0)
    batch = draw(samples)
    assert batch.x.shape[1:] == (2 * pattern.horizon, 1)
    assert batch.y.shape == batch.mask.shape == (400, pattern.horizon, 1)
    assert (batch.mask.sum(dim=1) >= 1).all()
    assert (batch.x[:, -1] > 0).all()
    assert batch.y.max() % 1000 == length + 7 - hidden


def test_targets_follow_the_input_and_the_mask_tells_what_is_known() -> None:
    pattern = PATTERNS["Quarterly"]
    batch = draw(M4Samples(numbered(40, 16), pattern, 16, held_out=8, draws=1, seed=0))
    for x, y, mask in zip(batch.x, batch.y, batch.mask, strict=True):
        known = int(mask.sum())
        assert mask[:known].all()
        assert not mask[known:].any()
        assert not y[known:].any()
        first = x[-1] + 1
        torch.testing.assert_close(y[:known, 0], first + torch.arange(known))
        seen = x[x > 0]
        torch.testing.assert_close(seen, torch.arange(len(seen)) + first - len(seen))
        assert not x[: len(x) - len(seen)].any()  # zeros stand before a short history, never after it


def test_cuts_lie_among_the_last_history_horizons_and_reach_both_ends() -> None:
    pattern = PATTERNS["Hourly"]
    series = numbered(900)
    samples = M4Samples(series, pattern, 96, held_out=48, draws=1, seed=1)
    cuts = draw(samples, 5000).x[:, -1, 0]
    assert (cuts.min(), cuts.max()) == (900 - 48 - 480, 900 - 48 - 1)


def test_cuts_are_spread_evenly() -> None:
    pattern = PATTERNS["Yearly"]
    samples = M4Samples(numbered(50), pattern, 12, held_out=0, draws=1, seed=2)
    counts = torch.bincount(draw(samples, 9000).x[:, -1, 0].long())[41:]
    assert len(counts) == 9
    assert (counts - 1000).abs().max() < 150


def test_the_seed_decides_the_cuts() -> None:
    def first(seed: int) -> torch.Tensor:
        return draw(M4Samples(numbered(90, 90), PATTERNS["Daily"], 28, held_out=14, draws=1, seed=seed), 20).x

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


def test_an_epoch_draws_every_series_as_often_as_asked() -> None:
    samples = M4Samples(numbered(90, 95, 99), PATTERNS["Daily"], 28, held_out=14, draws=4, seed=0)
    loader = make_loader(samples, 5, shuffle_seed=0, drop_last=False)
    series = torch.cat([batch.x[:, -1, 0] // 1000 for batch in loader])
    assert torch.bincount(series.long()).tolist() == [4, 4, 4]
    assert [len(batch.x) for batch in loader] == [5, 5, 2]


def test_the_last_windows_end_where_each_series_ends() -> None:
    series = numbered(5, 30)
    windows = last_windows(series, 8, 0)[..., 0]
    assert windows[0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert windows[1].tolist() == [1000 + value for value in range(23, 31)]
    earlier = last_windows(series, 8, 3)[..., 0]
    assert earlier[0].tolist() == [0, 0, 0, 0, 0, 0, 1, 2]
    assert earlier[1].tolist() == [1000 + value for value in range(20, 28)]


def test_thinned_windows_do_not_always_begin_at_the_same_rows_of_their_series() -> None:
    series = FlatSeries(np.arange(80.0), np.arange(0, 81, 10))  # eight series
    which, rows = torch.arange(8).repeat_interleave(3), torch.tensor([6, 7, 8]).repeat(8)
    windows = SeriesWindows(series, which, series.starts[which] + rows, lookback=4, pred_len=2)
    thin = windows.thinned(8)
    assert 1 < len(thin) <= 8 and len(windows.thinned(99)) == 24
    assert set((thin.origins - series.starts[thin.which]).tolist()) == {6, 7, 8}
