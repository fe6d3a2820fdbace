"""Pictures of forecasts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.files import replacing

MOST_CHANNELS = 7
ON_A_PAGE, MOST_PAGES = 8, 8
INK, TRUTH, FORECAST, SIMPLE = "#555555", "#222222", "#d1495b", "#3d7ea6"


def plot_forecast(
    path: Path,
    dates: pd.DatetimeIndex,
    history: np.ndarray,
    truth: np.ndarray,
    forecast: np.ndarray,
    columns: Sequence[str],
    title: str,
) -> None:
    """Draw one window as PNG: a panel per channel with history, truth and forecast over time.

    Args:
        dates: the L + H time stamps. history: (L, C). truth, forecast: (H, C), in the data's units.
        columns: C names; beyond the first six the last, the target, is drawn.
    """
    shown = list(range(len(columns)))
    if len(shown) > MOST_CHANNELS:
        shown = [*shown[: MOST_CHANNELS - 1], len(columns) - 1]
    past, future = dates[: len(history)], dates[len(history) :]
    joined = past[-1:].append(future)
    with _panels(path, [columns[c] for c in shown], title) as axes:
        for axis, c in zip(axes, shown, strict=True):
            axis.plot(past, history[:, c], color=INK, linewidth=1, label="history")
            for values, colour, label in ((truth, TRUTH, "truth"), (forecast, FORECAST, "forecast")):
                axis.plot(joined, [history[-1, c], *values[:, c]], color=colour, linewidth=1.4, label=label)
            axis.axvline(past[-1], color=INK, linewidth=0.6, linestyle=":")


def plot_future(
    folder: Path,
    dates: pd.DatetimeIndex,
    history: np.ndarray,
    forecast: np.ndarray,
    bands: Mapping[float, tuple[np.ndarray, np.ndarray]],
    columns: Sequence[str],
    title: str,
) -> list[Path]:
    """Draw what comes after the end of a series: a panel per column, eight on a page, 64 at most.

    Args:
        folder: where ``forecast.png`` goes, and ``forecast_2.png`` and so on where there are more pages.
        dates: the T + H time stamps. history: (T, C). forecast: (H, C), in the data's units.
        bands: lower and upper bound (H, C) by nominal coverage; NaN where there is none.
        columns: C names.

    Returns:
        the pages.
    """
    past, future = dates[: len(history)], dates[len(history) :]
    joined = past[-1:].append(future)
    pages = []
    for page, first in enumerate(range(0, min(len(columns), MOST_PAGES * ON_A_PAGE), ON_A_PAGE), start=1):
        shown = range(first, min(len(columns), first + ON_A_PAGE))
        pages.append(folder / (f"forecast_{page}.png" if page > 1 else "forecast.png"))
        with _panels(pages[-1], [columns[c] for c in shown], title) as axes:
            for axis, c in zip(axes, shown, strict=True):
                axis.plot(past, history[:, c], color=INK, linewidth=1, label="history")
                for level, (lower, upper) in sorted(bands.items(), reverse=True):
                    ends, label = (lower[:, c], upper[:, c]), f"{level * 100:g} % interval"
                    if len(future) == 1:
                        axis.vlines(future, *ends, color=FORECAST, alpha=0.4, linewidth=4, label=label)
                    else:
                        axis.fill_between(future, *ends, color=FORECAST, alpha=0.2, linewidth=0, label=label)
                axis.plot(joined, [history[-1, c], *forecast[:, c]], color=FORECAST, linewidth=1.4, label="forecast")
                axis.axvline(past[-1], color=INK, linewidth=0.6, linestyle=":")
    return pages


@contextmanager
def _panels(path: Path, names: Sequence[str], title: str) -> Iterator[Sequence[Axes]]:
    """A figure of one panel per name over a common time axis; it is saved as PNG once they are drawn."""
    height = 1.5 + 1.7 * len(names)
    figure = Figure(figsize=(10, height))  # a layout engine would take as long as all else together
    figure.subplots_adjust(left=0.1, right=0.98, top=1 - 0.45 / height, bottom=0.95 / height, hspace=0.15)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    yield axes
    for axis, name in zip(axes, names, strict=True):
        axis.set_ylabel(name, parse_math=False)  # a column may be called "US$"
        axis.spines[["top", "right"]].set_visible(False)
    locator = AutoDateLocator()
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower right", ncols=5, frameon=False)
    figure.suptitle(title, y=1 - 0.15 / height, verticalalignment="top", parse_math=False)
    figure.align_ylabels()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def plot_series(
    path: Path,
    names: Sequence[str],
    histories: Sequence[np.ndarray],
    truths: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
    title: str,
) -> None:
    """Draw several series as PNG: a panel each with the end of the history, truth and forecasts.

    Args:
        names: N names. histories: N arrays of any length. truths: (N, H).
        forecasts: (N, H) by name, the model's first.
    """
    figure = Figure(figsize=(12, 1 + 2.2 * ((len(names) + 1) // 2)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots((len(names) + 1) // 2, 2, squeeze=False).ravel()
    steps = np.arange(truths.shape[1] + 1)
    colours = (FORECAST, SIMPLE)
    for i, (axis, name, history) in enumerate(zip(axes, names, histories, strict=False)):
        axis.plot(np.arange(1 - len(history), 1), history, color=INK, linewidth=1, label="history")
        axis.plot(steps, [history[-1], *truths[i]], color=TRUTH, linewidth=1.4, label="truth")
        for (label, values), colour in zip(forecasts.items(), colours, strict=True):
            axis.plot(steps, [history[-1], *values[i]], color=colour, linewidth=1.4, label=label)
        axis.axvline(0, color=INK, linewidth=0.6, linestyle=":")
        axis.set_ylabel(name, parse_math=False)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=4, frameon=False)
    figure.suptitle(title, parse_math=False)
    figure.supxlabel("steps after the end of the training series")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def plot_losses(path: Path, history: Sequence[Mapping[str, float]], score: str, title: str) -> None:
    """Draw a training as PNG: the mean training loss and the score of each epoch, the best one marked.

    Args:
        history: figures of the epochs, with ``epoch``, ``train_loss`` and the score. score: its key.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1, sharex=True)
    epochs = [figures["epoch"] for figures in history]
    for axis, key, colour in zip(axes, ("train_loss", score), (SIMPLE, FORECAST), strict=True):
        values = [figures[key] for figures in history]
        axis.plot(epochs, values, color=colour, marker=".", linewidth=1.4)
        axis.set_ylabel(key.replace("_", " "))
        axis.spines[["top", "right"]].set_visible(False)
    best = int(np.argmin(values))
    axes[1].annotate(f"epoch {epochs[best]}: {values[best]:.4f}", (epochs[best], values[best]), color=INK)
    axes[1].set_xlabel("epoch")
    axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(title, fontsize="small", parse_math=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
