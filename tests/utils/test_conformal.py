"""Test conformal intervals: ranks by hand, two sides, sums of paths, too few windows, damaged files."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from utils.conformal import INTERVALS, Intervals, check_levels, few_windows
from utils.errors import UserError


def intervals_of(errors: np.ndarray) -> Intervals:
    """Intervals from error paths (n, H, C)."""
    return Intervals(errors.astype(np.float32), np.ones(errors.shape[2]), len(errors))


def shuffled(*errors: float) -> np.ndarray:
    """Errors of one step and column in a random order."""
    return np.random.default_rng(0).permutation(errors).reshape(-1, 1, 1)


@pytest.mark.parametrize("count", [19, 39, 99, 100, 1000])
@pytest.mark.parametrize("level", ["0.01", "0.1", "0.5", "0.7", "0.9"])
def test_the_bounds_are_the_errors_of_the_corrected_ranks(count: int, level: str) -> None:
    lower, upper = intervals_of(shuffled(*range(1, count + 1))).bounds(float(level))
    rank = -(-(count + 1) * (1 + Fraction(level)) / 2 // 1)  # errors are their own ranks
    assert upper.item() == float(rank)
    assert lower.item() == 0  # all errors are positive: the forecast itself stays inside


def test_lower_and_upper_side_have_widths_of_their_own() -> None:
    lower, upper = intervals_of(shuffled(*np.arange(-10, 0), *(10 * np.arange(0, 30)))).bounds(0.9)
    assert (lower.item(), upper.item()) == (-9.0, 280.0)  # the 2nd and the 39th of 40


def test_steps_and_columns_have_bounds_of_their_own() -> None:
    scale = np.array([[1.0, 10.0], [2.0, 20.0]])
    lower, upper = intervals_of(np.linspace(-1, 1, 199)[:, None, None] * scale).bounds(0.9)
    np.testing.assert_allclose(upper, 0.9090909 * scale, rtol=1e-5)
    np.testing.assert_allclose(lower, -upper, rtol=1e-5)


def test_windows_too_few_for_two_sides_have_the_same_width_on_both() -> None:
    lower, upper = intervals_of(shuffled(*range(-4, 6))).bounds(0.9)  # 10: absolute errors 0 to 5, the 10th of 11
    assert (lower.item(), upper.item()) == (-5.0, 5.0)
    assert np.isnan(intervals_of(shuffled(*range(8))).bounds(0.9)).all()


def test_a_note_says_where_windows_are_too_few() -> None:
    errors = np.ones((9, 2, 1))
    errors[:5, 0] = np.nan
    intervals = intervals_of(errors)
    assert "9 windows are too few for a 90 % interval at 50% of the steps" in few_windows(
        intervals, 0.9, intervals.bounds(0.9)
    )
    assert few_windows(intervals, 0.5, intervals.bounds(0.5)) == ""


def test_unknown_truth_does_not_count() -> None:
    errors = np.ones((40, 1, 1))
    errors[::2] = np.nan
    intervals = intervals_of(errors)
    assert intervals.bounds(0.9)[1].item() == 1.0
    assert np.isnan(intervals.bounds(0.99)[1]).all()  # 20 windows count, not 40


def test_a_quantile_has_its_share_of_the_errors_below() -> None:
    intervals = intervals_of(shuffled(*range(1, 100)))
    assert [intervals.quantile(share).item() for share in (0.1, 0.5, 0.9)] == [10.0, 50.0, 90.0]
    assert np.isnan(intervals.quantile(0.001)).all()


def test_the_scale_of_a_window_is_its_deviation_over_a_floor() -> None:
    x = np.array([[[3.0], [3.0]], [[-1.0], [7.0]]])
    np.testing.assert_allclose(Intervals(np.ones((1, 1, 1)), np.array([9.0]), 1).scale(x), [[3.0], [5.0]])


def test_sums_have_the_intervals_of_summed_paths_not_of_added_bounds() -> None:
    random = np.random.default_rng(0)
    errors = random.normal(size=(999, 4, 2))
    scale, groups = np.array([1.0, 10.0]), np.array([[1.0, 1.0, 0, 0], [0, 0, 1.0, 1.0]])
    of_time = intervals_of(errors).summed(groups, scale, columns=False)
    expected = np.sort(errors[:, 2:].sum(1) * scale, axis=0)
    np.testing.assert_allclose(of_time.bounds(0.9)[1][1], expected[949], rtol=1e-5)
    of_all = intervals_of(errors).summed(groups, scale, columns=True)
    assert of_all.bounds(0.9)[1].shape == (2, 1)
    assert of_all.bounds(0.9)[1][0, 0] < 0.8 * intervals_of(errors).bounds(0.9)[1][:2].sum(0) @ scale


def test_an_adapted_level_leaves_out_its_own_share() -> None:
    errors = intervals_of(shuffled(*range(-50, 49))).paths
    adapted = Intervals(errors, np.ones(1), 99, {0.9: np.array([0.5])})
    assert adapted.bounds(0.9) == intervals_of(errors).bounds(0.5)
    assert adapted.bounds(0.8) == intervals_of(errors).bounds(0.8)


def test_intervals_survive_a_file_bit_by_bit(tmp_path: Path) -> None:
    errors = np.random.default_rng(0).normal(size=(30, 4, 2)).astype(np.float32)
    intervals = Intervals(errors, np.array([0.5, 2.0]), 90, {0.875: np.array([0.1, 0.2])}, np.arange(30) * 10**17)
    intervals.save(tmp_path)
    loaded = Intervals.load(tmp_path, (4, 2))
    assert loaded.windows == 90 and list(loaded.missed) == [0.875]
    for name in ("paths", "floor", "known_from"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(intervals, name))
    np.testing.assert_array_equal(loaded.missed[0.875], [0.1, 0.2])


def test_at_a_date_the_intervals_are_of_the_paths_that_had_ended() -> None:
    errors = np.arange(30.0).reshape(30, 1, 1)
    intervals = Intervals(errors, np.ones(1), 90, {0.9: np.array([0.5])}, np.arange(100, 130))
    known = intervals.known_at(109)
    np.testing.assert_array_equal(known.paths, errors[:10])
    assert (known.windows, known.missed) == (30, {})
    assert np.isnan(intervals.known_at(99).bounds(0.5)).all()
    assert Intervals(errors, np.ones(1), 90).known_at(109) is None


def test_a_folder_without_intervals_has_none(tmp_path: Path) -> None:
    assert Intervals.load(tmp_path, (4, 2)) is None


SOUND = {"paths": torch.ones(5, 4, 2), "floor": torch.ones(2).double(), "windows": torch.tensor([5])}


@pytest.mark.parametrize(
    "change",
    [
        {"paths": None},
        {"more": torch.ones(1)},
        {"paths": torch.ones(5, 4, 3)},
        {"paths": torch.ones(0, 4, 2)},
        {"paths": torch.ones(4, 2)},
        {"paths": torch.full((5, 4, 2), torch.inf)},
        {"paths": torch.ones(5, 4, 2).to(torch.float8_e4m3fn)},
        {"paths": torch.ones(5, 4, 2).to(torch.bfloat16)},
        {"paths": torch.ones(1_000_000, 4, 2)},
        {"floor": torch.zeros(2).double()},
        {"floor": torch.ones(3).double()},
        {"floor": torch.tensor([1.0, torch.nan]).double()},
        {"windows": torch.tensor([5, 6])},
        {"windows": torch.tensor([torch.nan])},
        {"missed_90": torch.ones(2).double()},
        {"missed_0.9": torch.ones(3).double()},
        {"missed_0.9": torch.ones(2)},
        {"missed_x": torch.ones(2).double()},
        {"known_from": torch.arange(4)},
        {"known_from": torch.arange(5).double()},
        {"known_from": torch.arange(5).flip(0)},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path: Path, change: dict[str, torch.Tensor | None]) -> None:
    content = {name: tensor for name, tensor in {**SOUND, **change}.items() if tensor is not None}
    save_file(content, tmp_path / INTERVALS)
    with pytest.raises(UserError, match=INTERVALS):
        Intervals.load(tmp_path, (4, 2))


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / INTERVALS)
    with pytest.raises(UserError, match=f"{INTERVALS} is not a regular file"):
        Intervals.load(tmp_path, (4, 2))


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_a_cut_file_is_refused_by_name(tmp_path: Path, cut: int) -> None:
    intervals_of(np.ones((9, 4, 2))).save(tmp_path)
    path = tmp_path / INTERVALS
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=INTERVALS):
        Intervals.load(tmp_path, (4, 2))


def test_levels_are_read_in_order_and_once() -> None:
    assert check_levels(["0.9", " 0.5", 0.90]) == (0.5, 0.9)


@pytest.mark.parametrize("text", ["90", "0", "1", "0.5;0.9", "", "a", "nan", "-0.5", "90%"])
def test_what_is_no_level_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--interval"):
        check_levels(["0.5", text])
