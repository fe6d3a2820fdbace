"""Draw forecasts and trainings as PNG files. Shapes: L seq_len, H pred_len, C columns."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.errors import shown_path
from utils.files import replacing

MOST_CHANNELS = 7
ON_A_PAGE, MOST_PAGES = 8, 8
MOST_LETTERS = 200  # of a name or a title: matplotlib fails on a picture with a text of millions
INK, TRUTH, FORECAST, SIMPLE = "#555555", "#222222", "#d1495b", "#3d7ea6"

Bands = Mapping[float, tuple[np.ndarray, np.ndarray]]


def plot_forecast(
    path: Path,
    dates: pd.DatetimeIndex,
    history: np.ndarray,
    truth: np.ndarray,
    forecast: np.ndarray,
    columns: Sequence[str],
    title: str,
) -> None:
    """Draw one window: a panel per column with history, truth and forecast over time.

    Args:
        path: the file.
        dates: the L + H time stamps.
        history: (L, C), in the data's units.
        truth: (H, C), in the data's units.
        forecast: (H, C), in the data's units.
        columns: C names; of more than seven the first six and the last, the target, are drawn.
        title: above the panels.
    """
    shown = list(range(len(columns)))
    if len(shown) > MOST_CHANNELS:
        shown = [*shown[: MOST_CHANNELS - 1], len(columns) - 1]
    with _panels(path, [columns[c] for c in shown], title) as axes:
        for axis, c in zip(axes, shown, strict=True):
            _draw_history(axis, dates, history[:, c])
            for values, color, label in ((truth, TRUTH, "truth"), (forecast, FORECAST, "forecast")):
                _draw_ahead(axis, dates, history[-1, c], values[:, c], color=color, label=label)


def plot_future(
    folder: Path,
    dates: pd.DatetimeIndex,
    history: np.ndarray,
    forecast: np.ndarray,
    bands: Bands,
    columns: Sequence[str],
    title: str,
) -> list[Path]:
    """Draw what comes after the end of a series, a panel per column; return the files, one for each eight columns.

    Args:
        folder: where ``forecast.png`` goes, and ``forecast_2.png`` and so on, eight files at most.
        dates: the T + H time stamps.
        history: (T, C), in the data's units.
        forecast: (H, C), in the data's units.
        bands: lower and upper bound (H, C) by nominal coverage; NaN where there is none.
        columns: C names.
        title: above the panels.
    """
    pages = []
    for page, first in enumerate(range(0, min(len(columns), MOST_PAGES * ON_A_PAGE), ON_A_PAGE), start=1):
        shown = range(first, min(len(columns), first + ON_A_PAGE))
        pages.append(folder / (f"forecast_{page}.png" if page > 1 else "forecast.png"))
        with _panels(pages[-1], [columns[c] for c in shown], title) as axes:
            for axis, c in zip(axes, shown, strict=True):
                _draw_history(axis, dates, history[:, c])
                _draw_bands(axis, dates[len(history) :], bands, c)
                _draw_ahead(axis, dates, history[-1, c], forecast[:, c], color=FORECAST, label="forecast")
    return pages


def plot_series(
    path: Path,
    names: Sequence[str],
    histories: Sequence[np.ndarray],
    truths: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
    title: str,
) -> None:
    """Draw several series, a panel each with the end of the history, truth and forecasts.

    Args:
        path: the file.
        names: N names.
        histories: N arrays of any length.
        truths: (N, H).
        forecasts: (N, H) by name of the forecaster, the model first; two at most.
        title: above the panels.
    """
    rows = (len(names) + 1) // 2
    lines = {"truth": truths, **forecasts}
    with _figure(path, figsize=(12, 1 + 2.2 * rows), layout="constrained") as figure:
        axes = figure.subplots(rows, 2, squeeze=False).ravel()
        for i, (axis, name, history) in enumerate(zip(axes, names, histories, strict=False)):
            steps = np.arange(1 - len(history), truths.shape[1] + 1)
            _draw_history(axis, steps, history)
            for (label, values), color in zip(lines.items(), (TRUTH, FORECAST, SIMPLE), strict=False):
                _draw_ahead(axis, steps, history[-1], values[i], color=color, label=label)
            _label(axis, name)
        for axis in axes[len(names) :]:
            axis.set_visible(False)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=4, frameon=False)
        figure.suptitle(_drawable(title), parse_math=False)
        figure.supxlabel("steps after the end of the training series")


def plot_losses(path: Path, history: Sequence[Mapping[str, float]], score: str, title: str) -> None:
    """Draw a training: the mean training loss and the score of each epoch, the best one marked.

    Args:
        path: the file.
        history: figures of each epoch: ``epoch``, ``train_loss`` and the score.
        score: key of the score; lower is better.
        title: above the panels.
    """
    with _figure(path, figsize=(8, 5), layout="constrained") as figure:
        axes = figure.subplots(2, 1, sharex=True)
        epochs = [figures["epoch"] for figures in history]
        for axis, key, color in zip(axes, ("train_loss", score), (SIMPLE, FORECAST), strict=True):
            values = [figures[key] for figures in history]
            axis.plot(epochs, values, color=color, marker=".", linewidth=1.4)
            _label(axis, key.replace("_", " "))
        best = int(np.argmin(values))
        axes[1].annotate(f"epoch {epochs[best]}: {values[best]:.4f}", (epochs[best], values[best]), color=INK)
        axes[1].set_xlabel("epoch")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.suptitle(_drawable(title), fontsize="small", parse_math=False)


@contextmanager
def _figure(path: Path, **options: Any) -> Iterator[Figure]:
    """Yield a figure; save it as PNG when the block ends."""
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    yield figure
    with warnings.catch_warnings(), replacing(path) as temporary:
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # it is drawn as a box
        figure.savefig(temporary, format="png", dpi=110)


@contextmanager
def _panels(path: Path, names: Sequence[str], title: str) -> Iterator[Sequence[Axes]]:
    """Yield a panel per name, one above the other, over a common time axis; save them as PNG when the block ends."""
    height = 1.5 + 1.7 * len(names)
    with _figure(path, figsize=(10, height)) as figure:
        # A layout engine would take as long as all else together.
        figure.subplots_adjust(left=0.1, right=0.98, top=1 - 0.45 / height, bottom=0.95 / height, hspace=0.15)
        axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        yield axes
        for axis, name in zip(axes, names, strict=True):
            _label(axis, name)
        locator = AutoDateLocator()
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="lower right", ncols=5, frameon=False)
        figure.suptitle(_drawable(title), y=1 - 0.15 / height, verticalalignment="top", parse_math=False)
        figure.align_ylabels()


def _draw_history(axis: Axes, times: Sequence[Any], history: np.ndarray) -> None:
    """Draw a history (T,) over the first T of the times, and a mark at its end."""
    axis.plot(times[: len(history)], history, color=INK, linewidth=1, label="history")
    axis.axvline(times[len(history) - 1], color=INK, linewidth=0.6, linestyle=":", zorder=2.1)  # above all lines


def _draw_ahead(axis: Axes, times: Sequence[Any], last: float, values: np.ndarray, **style: str) -> None:
    """Draw a line (H,) over the last H of the times; it begins at the last value of the history."""
    axis.plot(times[-len(values) - 1 :], [last, *values], linewidth=1.4, **style)


def _draw_bands(axis: Axes, future: pd.DatetimeIndex, bands: Bands, c: int) -> None:
    """Draw the intervals of a column, the widest first."""
    for level, (lower, upper) in sorted(bands.items(), reverse=True):
        ends, label = (lower[:, c], upper[:, c]), f"{level * 100:g} % interval"
        if len(future) == 1:
            axis.vlines(future, *ends, color=FORECAST, alpha=0.4, linewidth=4, label=label)
        else:
            axis.fill_between(future, *ends, color=FORECAST, alpha=0.2, linewidth=0, label=label)


def _label(axis: Axes, name: str) -> None:
    axis.set_ylabel(_drawable(name), parse_math=False)  # a column may be called "US$"
    axis.spines[["top", "right"]].set_visible(False)


def _drawable(text: str) -> str:
    """Return a text that matplotlib can draw: no bytes that are no UTF-8, no control characters, not too long."""
    return shown_path(text[:MOST_LETTERS])
