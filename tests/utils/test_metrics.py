"""Test that streaming sums equal the figures of the whole, however it is cut."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.metrics import ErrorSums, window_errors

COLUMNS = ["a", "b", "OT"]


def pair(windows: int = 11, pred_len: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(windows * 100 + pred_len)
    forecast, target = torch.randn(2, windows, pred_len, 3, generator=generator)
    return forecast, target * torch.tensor([1.0, 10.0, 0.1])


def summed(forecast: torch.Tensor, target: torch.Tensor, sizes: list[int]) -> ErrorSums:
    sums = ErrorSums(forecast.shape[1], forecast.shape[2])
    for f, t in zip(forecast.split(sizes), target.split(sizes), strict=True):
        sums.add(f, t)
    return sums


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_the_sums_equal_one_pass_over_everything_whatever_the_batches(sizes: list[int]) -> None:
    forecast, target = pair(sum(sizes))
    sums = summed(forecast, target, sizes)
    error = (forecast - target).double().numpy()
    assert sums.windows == sum(sizes)
    assert sums.mse == pytest.approx((error**2).mean(), rel=1e-12)
    mae = sums.report(COLUMNS, np.ones(3))["standardised"]["mae"]
    assert mae == pytest.approx(np.abs(error).mean(), rel=1e-12)


def test_a_hand_computed_example() -> None:
    sums = ErrorSums(2, 1)
    sums.add(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[0.0], [4.0]]]))
    sums.add(torch.tensor([[[3.0], [5.0]]]), torch.tensor([[[3.0], [5.0]]]))
    assert sums.mse == (1 + 4) / 4
    assert sums.report(["a"], np.ones(1))["standardised"]["mae"] == (1 + 2) / 4


def test_the_report_gives_every_channel_on_both_scales() -> None:
    forecast, target = pair()
    scale = np.array([2.0, 0.5, 30.0])
    report = summed(forecast, target, [4, 7]).report(COLUMNS, scale)
    assert report["windows"] == 11
    error = (forecast - target).double().numpy()
    for key, expected in (("standardised", error), ("original_units", error * scale)):
        assert report[key]["mse"] == pytest.approx((expected**2).mean())
        assert report[key]["mae"] == pytest.approx(np.abs(expected).mean())
        assert list(report[key]["per_channel"]) == COLUMNS
        for c, figures in enumerate(report[key]["per_channel"].values()):
            assert figures["mse"] == pytest.approx((expected[:, :, c] ** 2).mean())
            assert figures["mae"] == pytest.approx(np.abs(expected[:, :, c]).mean())


@pytest.mark.parametrize(
    ("pred_len", "steps"),
    [
        (1, [[1, 1]]),
        (3, [[1, 1], [2, 2], [3, 3]]),
        (4, [[1, 1], [2, 2], [3, 3], [4, 4]]),
        (6, [[1, 2], [3, 4], [5, 5], [6, 6]]),
        (96, [[1, 24], [25, 48], [49, 72], [73, 96]]),
    ],
)
def test_the_quarters_cover_every_step_once(pred_len: int, steps: list[list[int]]) -> None:
    forecast, target = pair(pred_len=pred_len)
    quarters = summed(forecast, target, [11]).report(COLUMNS, np.ones(3))["standardised"]["per_quarter"]
    assert [quarter["steps"] for quarter in quarters] == steps
    error = (forecast - target).double().numpy()
    for quarter, (first, last) in zip(quarters, steps, strict=True):
        part = error[:, first - 1 : last]
        assert quarter["mse"] == pytest.approx((part**2).mean())
        assert quarter["mae"] == pytest.approx(np.abs(part).mean())


def test_the_report_is_json() -> None:
    report = summed(*pair(), [11]).report(COLUMNS, np.ones(3))
    assert json.loads(json.dumps(report)) == report


def test_one_window_that_is_nan_shows() -> None:
    forecast, target = pair()
    forecast[3, 2, 1] = torch.nan
    sums = summed(forecast, target, [11])
    assert np.isnan(sums.mse)
    assert np.isnan(sums.report(COLUMNS, np.ones(3))["standardised"]["mae"])


def test_filled_targets_do_not_count() -> None:
    forecast, target = pair()
    known = torch.rand(target.shape, generator=torch.Generator().manual_seed(0)) < 0.6
    sums = ErrorSums(6, 3)
    for f, t, k in zip(forecast.split(4), torch.where(known, target, 1e9).split(4), known.split(4), strict=True):
        sums.add(f, t, k)
    error = np.where(known.numpy(), (forecast - target).double().numpy(), np.nan)
    report = sums.report(COLUMNS, np.array([2.0, 0.5, 30.0]))
    assert sums.mse == report["standardised"]["mse"] == pytest.approx(np.nanmean(error**2))
    assert report["standardised"]["mae"] == pytest.approx(np.nanmean(np.abs(error)))
    for c, name in enumerate(COLUMNS):
        assert report["standardised"]["per_channel"][name]["mse"] == pytest.approx(np.nanmean(error[:, :, c] ** 2))
    third = report["standardised"]["per_quarter"][0]
    assert third["mae"] == pytest.approx(np.nanmean(np.abs(error[:, :2])))


def test_a_column_without_a_known_target_has_no_figures() -> None:
    sums = ErrorSums(2, 2)
    known = torch.tensor([[[True, False], [True, False]]])
    sums.add(torch.ones(1, 2, 2), torch.zeros(1, 2, 2), known)
    report = sums.report(["a", "b"], np.ones(2))
    assert report["standardised"]["per_channel"] == {"a": {"mse": 1.0, "mae": 1.0}, "b": {"mse": None, "mae": None}}
    assert report["standardised"]["mse"] == 1.0
    json.dumps(report, allow_nan=False)


def test_errors_of_a_window_count_known_targets_alone() -> None:
    target = torch.zeros(2, 3, 2)
    forecast = torch.tensor([[[1.0, 2], [3, 4], [5, 6]], [[1, 1], [1, 1], [1, 1]]])
    known = torch.tensor([[[True, False], [True, True], [False, False]], [[False, False]] * 3])
    errors = window_errors(forecast, target, known)
    assert errors[0].tolist() == pytest.approx([(1 + 9 + 16) / 3, 8 / 3])
    assert errors[1].isnan().all()
    assert window_errors(forecast, target)[1].tolist() == [1, 1]
