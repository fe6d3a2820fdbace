"""Test conformal intervals: ranks by hand, coverage on exchangeable data, too few windows."""

import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from utils import conformal
from utils.conformal import INTERVALS, Coverage, Intervals, Residuals, check_levels
from utils.errors import UserError
from utils.results import coverage_lines


def intervals_of(errors: np.ndarray, *levels: float) -> Intervals:
    """Intervals from errors (n, H, C) of forecasts that are all zero."""
    residuals = Residuals(*errors.shape)
    for part in torch.from_numpy(errors).tensor_split(3):
        residuals.add(torch.zeros_like(part), part)
    return residuals.intervals(levels)


@pytest.mark.parametrize("count", [1, 9, 10, 19, 99, 100, 1000])
@pytest.mark.parametrize("level", [0.01, 0.1, 0.5, 0.7, 0.9, 0.95, 0.99])
def test_the_half_width_is_the_error_of_the_corrected_rank(count: int, level: float) -> None:
    errors = np.random.default_rng(0).permutation(count).reshape(count, 1, 1) + 1.0
    rank = -(-(count + 1) * Fraction(str(level)) // 1)  # errors are their own ranks
    expected = float(rank) if rank <= count else np.nan
    np.testing.assert_array_equal(intervals_of(errors, level).at([level])[level], [[expected]])


def test_steps_and_columns_have_intervals_of_their_own_whatever_the_sign() -> None:
    errors = np.linspace(-1, 1, 201)[:, None, None] * np.array([[1.0, 10.0], [2.0, 20.0]])
    half_widths = intervals_of(errors, 0.9).at([0.9])
    np.testing.assert_allclose(half_widths[0.9], 0.91 * np.array([[1.0, 10.0], [2.0, 20.0]]), rtol=1e-5)


def test_filled_targets_count_neither_in_calibration_nor_in_coverage() -> None:
    errors = torch.full((40, 1, 1), 1.0)
    errors[::2] = 100.0
    known = errors < 50
    residuals = Residuals(40, 1, 1)
    residuals.add(torch.zeros_like(errors), errors, known)
    intervals = residuals.intervals([0.9])
    assert intervals.at([0.9])[0.9].item() == 1.0
    assert np.isnan(intervals.at([0.99])[0.99]).all()  # 20 windows count, not 40
    coverage = Coverage(intervals.at([0.9]))
    coverage.add(torch.zeros_like(errors), errors, known)
    assert coverage.report(["a"], np.ones(1))["0.9"]["coverage"] == 1.0


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_on_exchangeable_errors_the_coverage_is_the_nominal_one(level: float) -> None:
    random = np.random.default_rng(1)
    draw = lambda: random.standard_t(3, size=(1500, 8, 4)) * np.array([0.1, 1.0, 5.0, 100.0])  # noqa: E731
    coverage = Coverage(intervals_of(draw(), level).at([level]))
    errors = torch.from_numpy(draw())
    coverage.add(torch.zeros_like(errors), errors)
    report = coverage.report(list("abcd"), np.ones(4))[f"{level:g}"]
    assert report["coverage"] == pytest.approx(level, abs=0.01)
    for figures in report["per_channel"].values():
        assert figures["coverage"] == pytest.approx(level, abs=0.02)


def test_few_windows_leave_the_high_levels_without_an_interval() -> None:
    coverage = Coverage(intervals_of(np.ones((5, 2, 1)), 0.5, 0.9).at([0.5, 0.9]))
    coverage.add(torch.zeros(3, 2, 1), torch.ones(3, 2, 1))
    report = coverage.report(["a"], np.array([10.0]))
    assert (report["0.5"]["coverage"], report["0.5"]["width"], report["0.5"]["shown"]) == (1.0, 2.0, 1.0)
    assert (report["0.9"]["coverage"], report["0.9"]["width"], report["0.9"]["shown"]) == (None, None, 0.0)
    assert report["0.5"]["per_channel"]["a"]["width"] == 20.0
    json.dumps(report, allow_nan=False)
    assert "none" in [*coverage_lines(report)][-2]


def test_memory_bounds_the_windows_kept_and_they_are_evenly_spaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformal, "MOST_BYTES", 4 * 100)
    residuals = Residuals(331, 1, 1)
    for part in torch.arange(331.0)[:, None, None].tensor_split(7):
        residuals.add(torch.zeros_like(part), part)
    intervals = residuals.intervals([0.5])
    assert residuals.every == 4
    assert intervals.windows == 83
    assert intervals.at([0.5])[0.5].item() == 4 * 41


def test_a_wide_series_keeps_a_coarser_choice_of_levels_and_those_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformal, "MOST_THRESHOLDS", 99)
    assert len(intervals_of(np.ones((200, 1, 1)), 0.9).levels) == 99
    wide = intervals_of(np.ones((200, 2, 1)), 0.875)
    assert wide.levels == tuple(sorted({*conformal.COARSE, 0.875}))


def test_intervals_survive_a_file_bit_by_bit(tmp_path: Path) -> None:
    intervals = intervals_of(np.random.default_rng(0).normal(size=(30, 4, 2)), 0.875)
    intervals.save(tmp_path)
    loaded = Intervals.load(tmp_path, (4, 2))
    assert (loaded.levels, loaded.windows) == (intervals.levels, 30)
    np.testing.assert_array_equal(loaded.half_widths, intervals.half_widths)


def test_a_folder_without_intervals_has_none(tmp_path: Path) -> None:
    assert Intervals.load(tmp_path, (4, 2)) is None


def test_a_level_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"--interval 0.875: the nearest .* are 0.8[78] and 0.8[78]; choose one"):
        intervals_of(np.ones((9, 1, 1))).at([0.5, 0.875])


SOUND = {"levels": torch.tensor([0.5, 0.9]).double(), "half_widths": torch.ones(2, 4, 2), "windows": torch.tensor([5])}


@pytest.mark.parametrize(
    "change",
    [
        {"levels": None},
        {"more": torch.ones(1)},
        {"half_widths": torch.ones(2, 4, 3)},
        {"half_widths": -torch.ones(2, 4, 2)},
        {"half_widths": torch.full((2, 4, 2), torch.inf)},
        {"half_widths": torch.ones(2, 4, 2).to(torch.float8_e4m3fn)},
        {"half_widths": torch.ones(2, 4, 2).to(torch.bfloat16)},
        {"levels": torch.tensor([50.0, 90.0]).double()},
        {"levels": torch.tensor([0.9, 0.5]).double()},
        {"levels": torch.tensor([0.5, 0.5]).double()},
        {"levels": torch.tensor([0.5, torch.nan]).double()},
        {"levels": torch.tensor([[0.5, 0.9]]).double()},
        {"levels": torch.tensor([0, 1])},
        {"windows": torch.tensor([5, 6])},
        {"windows": torch.tensor([-5])},
        {"windows": torch.tensor([torch.nan])},
        {"levels": torch.linspace(0.001, 0.999, 500_000).double(), "half_widths": torch.ones(500_000, 4, 2)},
        {"levels": torch.zeros(0).double(), "half_widths": torch.ones(0, 4, 2)},
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


def test_the_table_shows_nominal_and_measured_side_by_side() -> None:
    coverage = Coverage({0.5: np.array([[1.0, 1.0]]), 0.9: np.array([[2.0, 3.0]])})
    coverage.add(torch.zeros(2, 1, 2), torch.tensor([[[0.5, 5.0]], [[2.0, 3.0]]]))
    lines = [*coverage_lines(coverage.report(["a", "revenue"], np.array([1.0, 1000.0])))]
    assert lines[1].split() == ["nominal", "0.5", "nominal", "0.9"]
    assert lines[3].split() == ["all", "(standardised)", "0.250", "2", "0.750", "5"]
    assert lines[4].split() == ["a", "0.500", "2", "1.000", "4"]
    assert lines[5].split() == ["revenue", "0.000", "2000", "0.500", "6000"]
    assert len({len(line) for line in lines[1:-1]}) == 1


def test_the_table_of_intervals_counts_the_columns_that_it_does_not_show() -> None:
    report = Coverage({0.9: np.ones((1, 23))})
    report.add(torch.zeros(1, 1, 23), torch.zeros(1, 1, 23))
    *_, last, _ = coverage_lines(report.report([f"c{i}" for i in range(23)], np.ones(23)))
    assert last == "  … and 2 more channels in metrics.json"
