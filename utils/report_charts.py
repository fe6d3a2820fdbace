"""Hold the charts of a report and turn them into compact data for its page, as many as a browser draws without delay.

Shapes: L steps of history, H steps of forecast, T steps of a backtest.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from utils.errors import shown_path

MOST_CHARTS, MOST_HISTORY = 2000, 5000
MOST_NUMBERS = 2_000_000  # of all charts: about 16 MB
DIGITS, MOST_DIGITS = 6, 15  # significant ones
LARGEST, SMALLEST = 1e300, 1e-300  # beyond them the browser's arithmetic ends
NAME_LETTERS = 120

Bands = Mapping[float, tuple[np.ndarray, np.ndarray]]
Part = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """What comes after the end of one column, or of one series of a long file.

    NaN and infinite values are gaps.

    Attributes:
        name: of the column or series.
        dates: L + H dates as they are shown; charts with equal dates store them once.
        history: (L,), the last values that are known; the page shows the last 5,000.
        forecast: (H,).
        bands: lower and upper bound (H,) by nominal coverage.
        reference: name and values (H,) of a simple forecast.
        truth: (H,), what came.
        caption: a sentence below the chart.
    """

    name: str
    dates: Sequence[str]
    history: np.ndarray
    forecast: np.ndarray
    bands: Bands = field(default_factory=dict)
    reference: tuple[str, np.ndarray] | None = None
    truth: np.ndarray | None = None
    caption: str = ""

    def __post_init__(self) -> None:
        steps = len(self.forecast)
        ahead = [*_bounds(self.bands), self.reference and self.reference[1], self.truth]
        if not steps:
            raise ValueError(f"{self.name!r}: there is no forecast")
        if any(one is not None and len(one) != steps for one in ahead):
            raise ValueError(f"{self.name!r}: a band, the reference or the truth has not {steps} steps")
        if len(self.dates) != len(self.history) + steps:
            raise ValueError(f"{self.name!r}: {len(self.dates)} dates for {len(self.history)} + {steps} values")

    @property
    def starts(self) -> list[int]:
        """Return the place of the first forecast step."""
        return [min(len(self.history), MOST_HISTORY)]

    @property
    def shown_dates(self) -> Sequence[str]:
        """Return the dates that the page shows."""
        return self.dates[len(self.history) - self.starts[0] :]

    def parts(self) -> Iterator[tuple[Part, list[np.ndarray]]]:
        """Yield the lines and bands of the chart: what each is, and its values or its lower and upper bounds."""
        start = self.starts[0]
        yield {"kind": "past", "name": "history", "start": 0}, [self.history[-MOST_HISTORY:]]
        yield from _forecast_parts(start, self.forecast, self.bands)
        if self.reference:
            name, values = self.reference
            yield {"kind": "reference", "name": _shown_name(name), "start": start}, [values]
        if self.truth is not None:
            yield {"kind": "truth", "name": "truth", "start": start}, [self.truth]


@dataclass(frozen=True)
class Origin:
    """A forecast that was made for steps which are known today.

    Attributes:
        start: the place of its first step among the dates of its chart, from 0.
        forecast: (H,); H may differ between origins.
        bands: lower and upper bound (H,) by nominal coverage.
    """

    start: int
    forecast: np.ndarray
    bands: Bands = field(default_factory=dict)


@dataclass(frozen=True)
class PastChart:
    """What was forecast from several past dates for one column or series, and what came; origins may overlap.

    Attributes:
        name: of the column or series.
        dates: T dates as they are shown.
        truth: (T,), NaN where it is not known.
        origins: one at least.
        caption: a sentence below the chart.
    """

    name: str
    dates: Sequence[str]
    truth: np.ndarray
    origins: Sequence[Origin]
    caption: str = ""

    def __post_init__(self) -> None:
        if len(self.dates) != len(self.truth) or not self.origins:
            raise ValueError(f"{self.name!r}: {len(self.dates)} dates, {len(self.truth)} values, no origin or some")
        for one in self.origins:
            steps = len(one.forecast)
            if not 0 <= one.start < one.start + steps <= len(self.dates) or any(
                len(b) != steps for b in _bounds(one.bands)
            ):
                raise ValueError(f"{self.name!r}: the origin at {one.start} does not fit {len(self.dates)} dates")

    @property
    def starts(self) -> list[int]:
        """Return the place of the first step of each origin."""
        return [one.start for one in self.origins]

    @property
    def shown_dates(self) -> Sequence[str]:
        """Return the dates that the page shows."""
        return self.dates

    def parts(self) -> Iterator[tuple[Part, list[np.ndarray]]]:
        """Yield the lines and bands of the chart: what each is, and its values or its lower and upper bounds."""
        yield {"kind": "past", "name": "truth", "start": 0}, [self.truth]
        for one in self.origins:
            for part, values in _forecast_parts(one.start, one.forecast, one.bands):
                yield {**part, "origin": _shown_name(self.dates[one.start])}, values


class Embedding:
    """The charts of a page as data for its script: dates that several charts share are in it once."""

    def __init__(self) -> None:
        self._dates: dict[tuple[str, ...], int] = {}
        self._charts: dict[str, list[Part]] = {}
        self._numbers = 0

    def add(self, key: str, charts: Sequence[Chart] | Sequence[PastChart]) -> int:
        """Add charts under a key until the page is full; return how many there is room for, one at least."""
        here = self._charts[key] = []
        for chart in charts[:MOST_CHARTS]:
            dates, parts = tuple(chart.shown_dates), list(chart.parts())
            new = 0 if dates in self._dates else len(dates)
            self._numbers += new + sum(len(one) for _, values in parts for one in values)
            if here and self._numbers > MOST_NUMBERS:
                break
            digits = _digits([one for _, values in parts for one in values])
            here.append(
                {
                    "name": _shown_name(chart.name),
                    "caption": shown_text(chart.caption),
                    "dates": self._dates.setdefault(dates, len(self._dates)),
                    "starts": chart.starts,
                    "parts": [{**part, **_named(values, digits)} for part, values in parts],
                }
            )
        return len(here)

    def content(self) -> dict[str, Any]:
        """Return all that was added, with the dates that the charts refer to."""
        return {"dates": [[_shown_name(date) for date in dates] for dates in self._dates], **self._charts}


def shown_text(text: str, most: int = 2000) -> str:
    """Return a text that can be shown: one line, control characters escaped, the middle of a long one left out."""
    if len(text) > most:
        text = f"{text[: most * 2 // 3]} … {text[-most // 4 :]}"
    return shown_path(text)


def _shown_name(name: str) -> str:
    return shown_text(name, NAME_LETTERS)


def _bounds(bands: Bands) -> list[np.ndarray]:
    return [bound for pair in bands.values() for bound in pair]


def _forecast_parts(start: int, forecast: np.ndarray, bands: Bands) -> Iterator[tuple[Part, list[np.ndarray]]]:
    """Yield a forecast and its intervals, the widest first; those that have no finite bounds are left out."""
    yield {"kind": "forecast", "name": "forecast", "start": start}, [forecast]
    for level, bounds in sorted(bands.items(), reverse=True):
        if np.isfinite(np.stack(bounds)).all(axis=0).any():
            yield {"kind": "band", "name": f"{level * 100:g} % interval", "start": start}, list(bounds)


def _named(values: Sequence[np.ndarray], digits: int) -> Part:
    names = ("values",) if len(values) == 1 else ("lower", "upper")
    return {name: _numbers(one, digits) for name, one in zip(names, values, strict=True)}


def _digits(values: Sequence[np.ndarray]) -> int:
    """Return how many significant digits show the values: more than usual where they differ by little."""
    together = np.concatenate([np.asarray(one, dtype=float).ravel() for one in values])
    together = np.clip(together[np.isfinite(together)], -LARGEST, LARGEST)
    spread, largest = (np.ptp(together), np.abs(together).max()) if together.size else (0, 0)
    more = math.floor(math.log10(largest / spread)) if spread > SMALLEST else 0
    return min(MOST_DIGITS, DIGITS + max(0, more))


def _numbers(values: np.ndarray, digits: int) -> str:
    """Return values (N,) as the script reads them when their chart is chosen: joined by commas, nothing for a gap."""
    values = np.asarray(values, dtype=float)
    values = np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), np.nan)
    values = np.where(np.abs(values) < SMALLEST, 0, values)
    return (",".join([f"%.{digits}g"] * len(values)) % tuple(values.tolist())).replace("nan", "")
