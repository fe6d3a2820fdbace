"""Test calibration in order of time: what is known when, what is kept, coverage, adaptation, tables."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from utils import coverage as module
from utils.conformal import Intervals
from utils.coverage import NEVER, Calibration, Coverage
from utils.results import coverage_lines


def calibrated(errors: np.ndarray, test: int = 0) -> Calibration:
    """A calibration on windows of scale 1 with these errors (n, H, C), with room for a test."""
    calibration = Calibration(len(errors) + test, *errors.shape[1:])
    for part in torch.from_numpy(errors).tensor_split(3):
        calibration.add(flat(part), torch.zeros_like(part), part, origins=torch.full((len(part),), -99))
    return calibration


def flat(windows: Tensor) -> Tensor:
    """Histories (B, L, C) without variance."""
    return torch.zeros(len(windows), 4, windows.shape[2])


def counted(errors: np.ndarray, truth: Tensor, *levels: float, observed: Tensor | None = None) -> Coverage:
    """The coverage of a truth whose forecast is 0."""
    coverage = Coverage(calibrated(errors, len(truth)), levels, len(truth), adaptive=False)
    coverage.add(flat(truth), torch.zeros_like(truth), truth, observed)
    return coverage


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_on_exchangeable_errors_the_coverage_is_the_nominal_one(level: float) -> None:
    random = np.random.default_rng(1)
    draw = lambda: random.standard_t(3, size=(1000, 8, 4)) * np.array([0.1, 1.0, 5.0, 100.0])  # noqa: E731
    report = counted(draw(), torch.from_numpy(draw()), level).report(list("abcd"), np.ones(4))[f"{level:g}"]
    assert report["coverage"] == pytest.approx(level, abs=0.01)
    for figures in report["per_channel"].values():
        assert figures["coverage"] == pytest.approx(level, abs=0.02)


def test_intervals_follow_the_scale_of_each_window() -> None:
    random = np.random.default_rng(2)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        unit = random.uniform(0.1, 10, size=(count, 1, 1))
        return tuple(torch.from_numpy(random.normal(size=(count, steps, 1)) * unit) for steps in (200, 1))

    calibration = Calibration(3000, 1, 1)
    x, errors = draw(1000)
    calibration.add(x, torch.zeros_like(errors), errors, origins=torch.zeros(1000))
    coverage = Coverage(calibration, (0.9,), 2000, adaptive=False)
    x, errors = draw(2000)
    lower, upper = coverage.add(x, torch.zeros_like(errors), errors, keep=True)[0.9]
    wild = x.numpy().std(axis=(1, 2)) > 5
    for part in (wild, ~wild):
        held = (lower <= errors.numpy()) & (errors.numpy() <= upper)
        assert held[part].mean() == pytest.approx(0.9, abs=0.05)
    assert (upper - lower)[wild].mean() > 2 * (upper - lower)[~wild].mean()


def test_an_error_is_known_when_its_truth_is_past_and_not_before() -> None:
    calibration = Calibration(30, 5, 1)
    errors = torch.arange(30.0)[:, None, None].expand(30, 5, 1)
    calibration.add(flat(errors), torch.zeros_like(errors), errors, origins=torch.arange(100, 130))
    calibration.settle()
    assert [len(calibration.known_at(row).paths) for row in (104, 105, 114, 134, NEVER)] == [0, 1, 10, 30, 30]


def test_finished_intervals_tell_the_date_of_the_last_truth_of_each_error() -> None:
    calibration = Calibration(30, 5, 1)
    truth = torch.zeros(10, 5, 1)
    calibration.add(flat(truth), truth, truth, origins=torch.arange(100, 110))
    coverage = Coverage(calibration, (0.8,), 20, adaptive=False)
    later = torch.zeros(20, 5, 1)
    coverage.add(flat(later), later, later, origins=torch.arange(110, 130))
    dates = np.arange(200) * 7
    np.testing.assert_array_equal(coverage.finish(dates).known_from, dates[104:134])
    assert coverage.finish().known_from is None


def test_bounds_of_a_test_are_renewed_from_what_became_known() -> None:
    before = np.random.default_rng(0).normal(size=(60, 3, 1))
    truth = torch.full((400, 3, 1), 50.0)
    coverage = Coverage(calibrated(before, 400), (0.8,), 400, adaptive=False)
    _, upper = coverage.add(flat(truth), torch.zeros_like(truth), truth, origins=torch.arange(400), keep=True)[0.8]
    assert upper[:20].max() < 10  # nothing of the test is known yet
    assert upper[-1].min() >= 50
    assert 0.5 < coverage.report(["a"], np.ones(1))["0.8"]["coverage"] < 1


@pytest.mark.parametrize("sizes", [[400], [1] * 400, [150, 250]])
def test_bounds_do_not_depend_on_the_batches(sizes: list[int]) -> None:
    random = np.random.default_rng(0)
    before, truth = random.normal(size=(60, 3, 2)), torch.from_numpy(random.normal(size=(400, 3, 2)) * 3)

    def widths(parts: list[int]) -> np.ndarray:
        coverage, found, first = Coverage(calibrated(before, 400), (0.8,), 400, adaptive=True), [], 0
        for size in parts:
            rows = slice(first, first + size)
            part = truth[rows]
            found.append(
                coverage.add(flat(part), part * 0, part, origins=torch.arange(first, first + size), keep=True)[0.8]
            )
            first += size
        return np.concatenate(found, axis=1)

    np.testing.assert_array_equal(widths(sizes), widths([200, 200]))


def test_adaptive_intervals_catch_up_where_errors_grow() -> None:
    random = np.random.default_rng(0)
    before = random.normal(size=(500, 1, 1))
    truth = torch.from_numpy(random.normal(size=(3000, 1, 1)) * np.linspace(1, 8, 3000)[:, None, None])
    found = {}
    for adaptive in (False, True):
        coverage = Coverage(calibrated(before, 3000), (0.9,), 3000, adaptive)
        coverage.add(flat(truth), truth * 0, truth, origins=torch.arange(3000))
        found[adaptive] = coverage.report(["a"], np.ones(1))["0.9"]["coverage"]
        assert list(coverage.finish().missed) == ([0.9] if adaptive else [])
    assert found[False] < 0.83
    assert abs(found[True] - 0.9) < abs(found[False] - 0.9) - 0.03


def test_filled_targets_count_neither_in_calibration_nor_in_coverage() -> None:
    truth = torch.full((40, 1, 1), 1.0)
    truth[::2] = 100.0
    calibration = Calibration(80, 1, 1)
    calibration.add(flat(truth), torch.zeros_like(truth), truth, truth < 50, torch.zeros(40))
    coverage = Coverage(calibration, (0.9,), 40, adaptive=False)
    coverage.add(flat(truth), torch.zeros_like(truth), truth, truth < 50)
    report = coverage.report(["a"], np.ones(1))["0.9"]
    assert report["coverage"] == 1.0 and report["width"] < 10


def test_few_windows_leave_the_high_levels_without_an_interval() -> None:
    report = counted(np.ones((5, 2, 1)), torch.ones(3, 2, 1).double(), 0.5, 0.9).report(["a"], np.array([10.0]))
    assert report["0.5"]["coverage"] == 1.0
    assert report["0.5"]["per_channel"]["a"]["width"] == pytest.approx(10 * report["0.5"]["width"])
    assert (report["0.9"]["coverage"], report["0.9"]["width"]) == (None, None)
    json.dumps(report, allow_nan=False)
    assert "none" in [*coverage_lines(report)][-2]


def test_memory_bounds_the_windows_kept_and_they_are_evenly_spaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NUMBERS", 2 * 100)
    calibration = Calibration(331, 2, 1)
    for part in torch.arange(331.0)[:, None, None].expand(331, 2, 1).tensor_split(7):
        calibration.add(flat(part), torch.zeros_like(part), part, origins=part[:, 0, 0])
    calibration.settle()
    intervals = calibration.known_at(NEVER)
    assert (calibration.every, len(intervals.paths), intervals.windows) == (4, 83, 331)
    np.testing.assert_allclose(np.diff(intervals.paths[:, 0, 0]), 4 / np.sqrt(module.SMALLEST), rtol=1e-3)


def test_intervals_of_a_checkpoint_are_where_a_test_on_other_data_begins() -> None:
    before = Intervals(np.full((50, 2, 1), 3.0, np.float32), np.array([4.0]), 500)
    calibration = Calibration(100, 2, 1, before)
    coverage = Coverage(calibration, (0.8,), 100, adaptive=False)
    truth = torch.ones(100, 2, 1)
    _, upper = coverage.add(flat(truth), truth * 0, truth, origins=torch.arange(100), keep=True)[0.8]
    assert upper[0].max() == 6.0  # 3 times the root of the floor
    finished = coverage.finish()
    assert (len(finished.paths), finished.windows) == (150, 600)


def test_the_table_shows_nominal_and_measured_side_by_side() -> None:
    errors = np.concatenate([np.full((30, 1, 2), -1.0), np.full((30, 1, 2), 1.0)])
    truth = torch.tensor([[[0.5, 5.0]], [[1.0, 1.0]]]).double()
    lines = [*coverage_lines(counted(errors, truth, 0.5, 0.9).report(["a", "revenue"], np.array([1.0, 1000.0])))]
    assert lines[1].split() == ["nominal", "0.5", "nominal", "0.9"]
    assert lines[3].split() == ["all", "(standardised)", "0.750", "2", "0.750", "2"]
    assert lines[4].split() == ["a", "1.000", "2", "1.000", "2"]
    assert lines[5].split() == ["revenue", "0.500", "2000", "0.500", "2000"]
    assert len({len(line) for line in lines[1:-1]}) == 1


def test_the_table_of_intervals_counts_the_columns_that_it_does_not_show() -> None:
    report = counted(np.ones((60, 1, 23)), torch.zeros(1, 1, 23).double(), 0.9)
    *_, last, _ = coverage_lines(report.report([f"c{i}" for i in range(23)], np.ones(23)))
    assert last == "  … and 2 more channels in metrics.json"
