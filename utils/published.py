"""The published figures, from ``published.csv`` beside this file."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class PublishedFigure:
    """One number of a paper.

    Attributes:
        table: ``long_term``, ``few_shot``, ``zero_shot`` or ``m4``. target: the data set tested on, of a
            zero-shot figure; else empty. horizon: steps, or M4's pattern or group of patterns.
        metric: mse and mae on the standardised scale; smape (percent), mase and owa.
        source: where it is printed. note: what to know about it; often empty.
    """

    table: str
    data: str
    target: str
    horizon: str
    metric: str
    value: float
    source: str
    note: str


class Published:
    """Published figures by table, data set, target, horizon and metric."""

    def __init__(self, figures: Iterable[PublishedFigure]) -> None:
        self.figures = tuple(figures)
        self._values = {(f.table, f.data, f.target, f.horizon, f.metric): f.value for f in self.figures}

    def value(self, table: str, data: str, target: str, horizon: str, metric: str) -> float | None:
        """The figure, or None where none was published."""
        return self._values.get((table, data, target, horizon, metric))

    def pairs(self, table: str) -> list[tuple[str, str]]:
        """Data set and target of every published row of a table, in the paper's order."""
        return list(dict.fromkeys((f.data, f.target) for f in self.figures if f.table == table))

    def horizons(self, table: str, data: str, target: str) -> list[str]:
        """The horizons, or M4's groups, published for a data set."""
        mine = (f for f in self.figures if (f.table, f.data, f.target) == (table, data, target))
        return list(dict.fromkeys(f.horizon for f in mine))


def read_published(path: Path = FILE) -> Published:
    """Read a file of published figures."""
    with path.open(encoding="utf-8", newline="") as file:
        return Published(PublishedFigure(**{**row, "value": float(row["value"])}) for row in csv.DictReader(file))
