"""List the six sampling frequencies of the M4 competition (M4 Competitor's Guide; CALF, appendix on M4)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """One frequency of M4.

    Attributes:
        name: as in the file names, ``Hourly-train.csv``.
        horizon: H, the steps to forecast.
        season: m, the steps of one season; 1 for no season.
        history: length of the end of a series that training samples are cut from, in horizons.
        series: how many series the competition published.
    """

    name: str
    horizon: int
    season: int
    history: float
    series: int


PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern("Yearly", 6, 1, 1.5, 23_000),
        Pattern("Quarterly", 8, 4, 1.5, 24_000),
        Pattern("Monthly", 18, 12, 1.5, 48_000),
        Pattern("Weekly", 13, 1, 10, 359),
        Pattern("Daily", 14, 1, 10, 4_227),
        Pattern("Hourly", 48, 24, 10, 414),
    )
}
