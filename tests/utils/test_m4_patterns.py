"""Test the table of M4's frequencies."""

from utils.m4.patterns import PATTERNS


def test_the_six_patterns_hold_all_hundred_thousand_series() -> None:
    assert list(PATTERNS) == ["Yearly", "Quarterly", "Monthly", "Weekly", "Daily", "Hourly"]
    assert sum(pattern.series for pattern in PATTERNS.values()) == 100_000


def test_horizons_seasons_and_histories_are_those_of_the_competition() -> None:
    patterns = PATTERNS.values()
    assert [(p.horizon, p.season) for p in patterns] == [(6, 1), (8, 4), (18, 12), (13, 1), (14, 1), (48, 24)]
    assert [p.history for p in patterns] == [1.5, 1.5, 1.5, 10, 10, 10]
