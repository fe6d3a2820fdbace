"""Pictures of forecasts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from utils.files import replacing

MOST_CHANNELS = 7
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
    figure = Figure(figsize=(10, 1.2 + 1.7 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    past, future = dates[: len(history)], dates[len(history) :]
    for axis, c in zip(figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0], shown, strict=True):
        axis.plot(past, history[:, c], color=INK, linewidth=1, label="history")
        joined = past[-1:].append(future)
        for values, colour, label in ((truth, TRUTH, "truth"), (forecast, FORECAST, "forecast")):
            axis.plot(joined, [history[-1, c], *values[:, c]], color=colour, linewidth=1.4, label=label)
        axis.axvline(past[-1], color=INK, linewidth=0.6, linestyle=":")
        axis.set_ylabel(columns[c], parse_math=False)  # a column may be called "US$"
        axis.spines[["top", "right"]].set_visible(False)
    locator = AutoDateLocator()
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    figure.axes[0].legend(loc="upper left", ncols=3, frameon=False)
    figure.suptitle(title, parse_math=False)
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
