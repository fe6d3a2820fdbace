"""Test what lies around a forecast: limits, quantiles, and sums with intervals of their own."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from exp.bands import Bounded, Wanted, bounded
from exp.sums import sums_of
from utils.conformal import Intervals
from utils.errors import UserError

RANDOM = np.random.default_rng(0)
INTERVALS = Intervals(RANDOM.normal(size=(999, 4, 2)).astype(np.float32), np.ones(2), 999)
UNIT = np.array([1.0, 10.0])


def around(values: np.ndarray, wanted: Wanted, lowest: tuple[float, float] = (0.0, -5.0)) -> Bounded:
    """The bounds of a forecast of two columns."""
    return bounded(values, UNIT, INTERVALS, wanted, np.array(lowest), ("sales", "balance"))


def test_a_column_that_was_never_negative_stays_so_with_a_note() -> None:
    found = around(np.full((4, 2), -1.0), Wanted((0.9,)))
    assert (found.values[:, 0] == 0).all() and (found.values[:, 1] == -1).all()
    assert (found.bands[0.9][0][:, 0] == 0).all() and (found.bands[0.9][0][:, 1] < -10).all()
    (note,) = found.notes
    assert "never negative" in note and "sales" in note and "balance" not in note


def test_bounds_far_from_zero_have_no_note() -> None:
    assert around(np.full((4, 2), 500.0), Wanted((0.9,))).notes == ()


@pytest.mark.parametrize(
    ("minimum", "maximum", "least", "most"), [("none", "none", -50, 50), ("-2", "3.5", -2, 3.5), ("auto", "1", 0, 1)]
)
def test_limits_hold_for_forecast_bounds_and_quantiles(minimum: str, maximum: str, least: float, most: float) -> None:
    values = np.array([[-50.0, -50.0], [50.0, 50.0], [0.5, 0.5], [0.5, 0.5]])
    found = around(values, Wanted((0.9,), (0.1, 0.9), minimum, maximum), lowest=(0.0, 0.0))
    everything = np.stack([found.values, *found.bands[0.9], *found.quantiles.values()])
    limits = (everything.min(), everything.max())
    assert (limits[0] < least and limits[1] > most) if minimum == "none" else limits == (least, most)


def test_other_values_are_kept_within_the_same_limits() -> None:
    found = around(np.zeros((4, 2)), Wanted(maximum="3"))
    kept = found.within(np.tile([[-9.0, -9.0], [9.0, np.nan]], (2, 1)))
    np.testing.assert_array_equal(kept, np.tile([[0, -9], [3, np.nan]], (2, 1)))
    assert found.within(None) is None


def test_quantiles_lie_in_order_around_the_forecast() -> None:
    found = around(np.zeros((4, 2)), Wanted(quantiles=(0.1, 0.5, 0.9), minimum="none"))
    low, middle, high = found.quantiles.values()
    assert (low < middle).all() and (middle < high).all()
    np.testing.assert_allclose(high[:, 1], 12.8, rtol=0.15)


def test_steps_beyond_the_horizon_have_no_bounds() -> None:
    found = around(np.full((6, 2), 500.0), Wanted((0.9,), (0.5,)))
    assert np.isnan(found.bands[0.9][1][4:]).all() and not np.isnan(found.bands[0.9][1][:4]).any()
    assert np.isnan(found.quantiles[0.5][4:]).all()


def sums(aggregate: tuple[str, ...], days: list[str], counted: bool = False) -> pd.DataFrame:
    """Sums of a forecast that is 1 and 100."""
    dates = pd.DatetimeIndex(days)
    values = np.tile([1.0, 100.0], (len(days), 1))
    wanted = Wanted((0.8,), (0.5,), aggregate=aggregate)
    return sums_of(around(values, wanted), UNIT, INTERVALS, wanted, ("sales", "balance"), dates, dates, counted)


DAYS = ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"]


def test_sums_over_columns_have_a_row_for_each_date() -> None:
    found = sums(("sum",), DAYS)
    assert list(found.columns) == ["date", "column", "steps", "forecast", "lower", "upper", "q0.5"]
    assert (found["lower"] <= found["q0.5"]).all()
    assert list(found["forecast"]) == [101.0] * 4
    assert found["upper"].iloc[0] - 101 == pytest.approx(1.28 * np.hypot(1, 10), rel=0.1)


def test_sums_over_months_have_a_row_for_each_month_and_column() -> None:
    found = sums(("month",), DAYS)
    assert list(found["month"]) == ["2024-01", "2024-02"] * 2
    assert list(found["forecast"]) == [2, 2, 200, 200] and list(found["steps"]) == [2] * 4
    assert found["upper"].iloc[2] - 200 == pytest.approx(1.28 * np.sqrt(2) * 10, rel=0.1)  # less than added bounds


def test_sums_over_columns_and_months_are_both() -> None:
    found = sums(("sum", "month"), DAYS)
    assert list(found["month"]) == ["2024-01", "2024-02"] and list(found["forecast"]) == [202, 202]


def test_a_sum_that_goes_beyond_the_horizon_has_no_interval() -> None:
    found = sums(("month",), [*DAYS, "2024-02-03"])
    assert found[found["month"] == "2024-01"]["upper"].notna().all()
    assert found[found["month"] == "2024-02"]["upper"].isna().all()


def test_quantiles_and_sums_are_adapted_as_the_interval_of_the_same_level() -> None:
    adapted = replace(INTERVALS, missed={0.9: np.array([0.02, 0.02])})
    wanted = Wanted((0.9,), (0.05, 0.95), minimum="none")
    values, columns = np.zeros((4, 2)), ("sales", "balance")
    found = bounded(values, UNIT, adapted, wanted, np.zeros(2), columns)
    plain = bounded(values, UNIT, INTERVALS, wanted, np.zeros(2), columns)
    for share, bound in zip((0.05, 0.95), found.bands[0.9], strict=True):
        np.testing.assert_array_equal(found.quantiles[share], bound)
    assert (found.quantiles[0.95] > plain.quantiles[0.95]).all()
    wanted = replace(wanted, aggregate=("sum", "month"))
    dates = pd.DatetimeIndex(DAYS)
    wide, narrow = (
        sums_of(found, UNIT, intervals, wanted, columns, dates, dates, counted=False)
        for intervals in (adapted, INTERVALS)
    )
    assert (wide["upper"] > narrow["upper"]).all()


def test_a_minimum_above_the_maximum_is_refused() -> None:
    with pytest.raises(UserError, match="--minimum 200 is larger than --maximum 5"):
        Wanted(minimum="200", maximum="5")


def test_counted_rows_have_no_months() -> None:
    with pytest.raises(UserError, match="--aggregate month: the rows are counted"):
        sums(("month",), DAYS, counted=True)


def test_a_sum_of_columns_that_were_never_negative_is_not_negative_either() -> None:
    dates = pd.DatetimeIndex(DAYS)
    for aggregate in (("sum",), ("month",)):
        wanted = Wanted((0.8,), (0.05,), aggregate=aggregate, maximum="3")
        found = bounded(np.full((4, 2), 1.0), UNIT, INTERVALS, wanted, np.zeros(2), ("sales", "balance"))
        table = sums_of(found, UNIT, INTERVALS, wanted, ("sales", "balance"), dates, dates, counted=False)
        assert (table[["lower", "q0.05"]] >= 0).all(axis=None) and (table["lower"] == 0).any()
        assert (table["upper"] == 6).any() and (table["upper"] <= 6).all()  # two columns or two days, 3 at most each
