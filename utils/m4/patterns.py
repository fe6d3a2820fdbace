"""List the sampling frequencies of the competitions M4 and M3.

Sources: M4 Competitor's Guide; CALF, appendix on M4; Makridakis and Hibon, "The M3-Competition", International Journal
of Forecasting 16 (2000).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pattern:
    """One frequency of a competition.

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


@dataclass(frozen=True)
class Competition:
    """One competition.

    Attributes:
        others: the patterns that it also reports together.
        by_step: whether its averages over patterns are over all forecast steps; else over all series.
        published: sMAPE of forecasters that it published, by pattern and on average.
    """

    name: str
    patterns: dict[str, Pattern]
    others: tuple[str, ...] = ()
    by_step: bool = False
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def pools(self) -> dict[str, tuple[str, ...]]:
        """Return the rows of its table in order, each with the patterns it is made of."""
        rows = {name: (name,) for name in self.patterns} | ({"Others": self.others} if self.others else {})
        return rows | {"Average": tuple(self.patterns)}


def _named(*patterns: Pattern) -> dict[str, Pattern]:
    return {pattern.name: pattern for pattern in patterns}


M4 = Competition(
    "M4",
    _named(
        Pattern("Yearly", 6, 1, 1.5, 23_000),
        Pattern("Quarterly", 8, 4, 1.5, 24_000),
        Pattern("Monthly", 18, 12, 1.5, 48_000),
        Pattern("Weekly", 13, 1, 10, 359),
        Pattern("Daily", 14, 1, 10, 4_227),
        Pattern("Hourly", 48, 24, 10, 414),
    ),
    others=("Weekly", "Daily", "Hourly"),
)
M3 = Competition(
    "M3",
    _named(
        Pattern("Yearly", 6, 1, 1.5, 645),
        Pattern("Quarterly", 8, 4, 1.5, 756),
        Pattern("Monthly", 18, 12, 1.5, 1_428),
        Pattern("Other", 8, 1, 10, 174),
    ),
    by_step=True,
    published={
        "Naive2": {"Yearly": 17.88, "Quarterly": 9.95, "Monthly": 16.91, "Other": 6.30, "Average": 15.47},
        "Theta": {"Yearly": 16.90, "Quarterly": 8.96, "Monthly": 13.85, "Other": 4.41, "Average": 13.01},
    },
)
COMPETITIONS = {"m4": M4, "m3": M3}  # by the name of the data set
PATTERNS = M4.patterns
ROWS = (*{**M3.patterns, **M4.patterns}, "Others", "Average")  # of all tables, in their order
