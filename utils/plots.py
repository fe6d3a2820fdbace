"""Draw forecasts and trainings as PNG files. Shapes: L steps of history, H pred_len, C columns, N series."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.errors import shown_path
from utils.files import replacing

MOST_CHANNELS = 7
ON_A_PAGE, MOST_PAGES = 8, 8
MOST_POINTS = 4000  # of a line
DEPTH = 1000.0  # how far below a threshold scores are drawn
MOST_NUMBERS = 30  # columns of a matrix
MOST_LETTERS = 200  # of a name or a title: matplotlib fails on a picture with a text of millions
MARKERS = "osD^vP*X"
INK, TRUTH, FORECAST, SIMPLE = "#555555", "#222222", "#d1495b", "#3d7ea6"

Bands = Mapping[float, tuple[np.ndarray, np.ndarray]]


def first_and_last(columns: Sequence[str]) -> dict[int, str]:
    """Return the columns of a small picture by number: of more than seven the first six and the last, the target."""
    left_out = range(MOST_CHANNELS - 1, len(columns) - 1)
    return {c: name for c, name in enumerate(columns) if c not in left_out}


def plot_forecast(
    path: Path,
    dates: pd.DatetimeIndex,
    history: np.ndarray,
    ahead: Mapping[str, np.ndarray],
    columns: Mapping[int, str],
    title: str,
    bands: Bands | None = None,
) -> None:
    """Draw a history (L, C) and lines (H, C) by name over L + H dates, a panel for each of some columns.

    Args:
        ahead: the lines: truth and forecast, or the forecast alone.
        columns: the names of those that are drawn, by their number.
        bands: lower and upper bounds (H, C) by nominal coverage, NaN where there are none.
    """
    height = 1.5 + 1.7 * len(columns)
    style = {"y": 1 - 0.15 / height, "verticalalignment": "top"}
    with _figure(path, title, style, figsize=(10, height)) as figure:
        # A layout engine would take as long as all else together.
        figure.subplots_adjust(left=0.1, right=0.98, top=1 - 0.45 / height, bottom=0.95 / height, hspace=0.15)
        axes = figure.subplots(len(columns), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (c, name) in zip(axes, columns.items(), strict=True):
            column_bands = {level: (lower[:, c], upper[:, c]) for level, (lower, upper) in (bands or {}).items()}
            _draw_lines(axis, dates, history[:, c], {label: one[:, c] for label, one in ahead.items()}, column_bands)
            _label(axis, name)
        locator = AutoDateLocator()
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="lower right", ncols=5, frameon=False)
        figure.align_ylabels()


def plot_future(
    folder: Path,
    dates: pd.DatetimeIndex,
    history: np.ndarray,
    ahead: Mapping[str, np.ndarray],
    bands: Bands,
    columns: Sequence[str],
    title: str,
) -> list[Path]:
    """Draw history (L, C), lines (H, C) and bands as :func:`plot_forecast` does; return the files.

    A file shows eight columns; there are eight at most: ``forecast.png`` in ``folder``, ``forecast_2.png`` and so on.
    """
    pages = []
    names = list(enumerate(columns[: MOST_PAGES * ON_A_PAGE]))
    for first in range(0, len(names), ON_A_PAGE):
        pages.append(folder / (f"forecast_{len(pages) + 1}.png" if pages else "forecast.png"))
        shown = dict(names[first : first + ON_A_PAGE])
        plot_forecast(pages[-1], dates, history, ahead, shown, title, bands)
    return pages


def plot_filled(
    path: Path,
    dates: Sequence[Any],
    values: np.ndarray,
    hidden: np.ndarray,
    filled: Mapping[str, np.ndarray],
    columns: Mapping[int, str],
    title: str,
) -> None:
    """Draw series (L, C) and what is put in the place of hidden or missing values, a panel for each of some columns.

    Args:
        values: NaN where nobody knows the value.
        hidden: (L, C) booleans, True where a value is to be found.
        filled: what is found (L, C), by the name of who found it, the model first.
        columns: the names of those that are drawn, by their number.
    """
    height = 1.5 + 1.5 * len(columns)
    with _figure(path, title, {}, figsize=(11, height), layout="constrained") as figure:
        axes = figure.subplots(len(columns), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (c, name) in zip(axes, columns.items(), strict=True):
            axis.plot(dates, values[:, c], color="#b0b0b0", linewidth=1, label="series")
            places = np.flatnonzero(hidden[:, c])
            for (label, found), color, mark in zip(filled.items(), (FORECAST, SIMPLE), "ox", strict=False):
                style = {"linestyle": "", "marker": mark, "markersize": 3, "color": color}
                axis.plot(dates[places], found[places, c], label=label, **style)
            _label(axis, name)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=3, frameon=False)
        figure.align_ylabels()


def plot_scores(
    path: Path,
    scores: np.ndarray,
    threshold: float,
    labels: np.ndarray | None,
    title: str,
    dates: Sequence[Any] | None = None,
    series: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Draw the scores of rows (T,) with their threshold, labelled spans grey and flagged rows marked.

    Long series are drawn by the largest score of as many rows as make a point.

    Args:
        labels: (T,), True in an anomaly; None where nobody knows.
        dates: T places on the time axis; the numbers of the rows if left out.
        series: columns (T,) to draw above, by name; flagged rows are red in them.
    """
    step = max(1, len(scores) // MOST_POINTS)
    starts = np.arange(0, len(scores), step)
    highest = np.maximum.reduceat(scores, starts)
    times = np.asarray(starts if dates is None else dates[starts])
    flagged = highest > threshold
    rows = len(series or {})
    with _figure(path, title, {}, figsize=(11, 2.6 + 1.5 * rows), layout="constrained") as figure:
        axes = figure.subplots(1 + rows, 1, sharex=True, squeeze=False)[:, 0]
        for axis, (name, values) in zip(axes, (series or {}).items(), strict=False):
            axis.plot(times, values[starts], color=INK, linewidth=0.8)
            axis.plot(times[flagged], values[starts][flagged], color=FORECAST, linestyle="", marker="o", markersize=3)
            _label(axis, name)
        axis = axes[-1]
        axis.plot(times, highest, color=INK, linewidth=0.8, label="score")
        axis.plot(
            times[flagged], highest[flagged], color=FORECAST, linestyle="", marker="o", markersize=3, label="flagged"
        )
        axis.axhline(threshold, color=SIMPLE, linewidth=1, linestyle="--", label="threshold")
        if threshold > 0:
            axis.set_yscale("log")
            axis.set_ylim(bottom=threshold / DEPTH)
        if labels is not None:
            shares = np.add.reduceat(labels.astype(int), starts) > 0
            grey = {"color": "#bbbbbb", "alpha": 0.5, "linewidth": 0, "step": "mid"}
            for one in axes:
                told = {"label": "labelled"} if one is axis else {}
                one.fill_between(times, 0, 1, where=shares, transform=one.get_xaxis_transform(), **grey, **told)
        _label(axis, "score")
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower right", ncols=4, frameon=False)
        figure.align_ylabels()


def plot_series(
    path: Path,
    names: Sequence[str],
    histories: Sequence[np.ndarray],
    truths: np.ndarray | None,
    forecasts: Mapping[str, np.ndarray],
    title: str,
    bands: Mapping[float, tuple[np.ndarray, np.ndarray]] | None = None,
) -> None:
    """Draw N series, a panel each: N histories of any length, truths (N, H) and the forecasts (N, H) of two at most.

    The forecasts are by name of the forecaster, the model first; ``bands`` are lower and upper bounds (N, H) of the
    first by nominal coverage. Without truths the steps are those that nobody knows yet.
    """
    rows = (len(names) + 1) // 2
    with _figure(path, title, {}, figsize=(12, 1 + 2.2 * rows), layout="constrained") as figure:
        axes = figure.subplots(rows, 2, squeeze=False).ravel()
        for i, (axis, name, history) in enumerate(zip(axes, names, histories, strict=False)):
            lines = forecasts if truths is None else {"truth": truths, **forecasts}
            ahead = {label.replace("_", " "): one[i] for label, one in lines.items()}
            own = {level: (lower[i], upper[i]) for level, (lower, upper) in (bands or {}).items()}
            steps = np.arange(1 - len(history), len(next(iter(ahead.values()))) + 1)
            _draw_lines(axis, steps, history, ahead, own)
            _label(axis, name)
        for axis in axes[len(names) :]:
            axis.set_visible(False)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=4, frameon=False)
        figure.supxlabel("steps after the last one that is seen")


def plot_backtest(
    path: Path,
    dates: pd.DatetimeIndex,
    series: np.ndarray,
    parts: Sequence[tuple[pd.DatetimeIndex, np.ndarray, np.ndarray, np.ndarray]],
    name: str,
    title: str,
) -> None:
    """Draw a series (T,) over its dates, and forecasts made at several origins: dates, values, lower and upper (H,)."""
    with _figure(path, title, {"fontsize": "medium"}, figsize=(11, 4), layout="constrained") as figure:
        axis = figure.subplots()
        axis.plot(dates, series, color=TRUTH, linewidth=1, label="truth")
        for i, (times, values, lower, upper) in enumerate(parts):
            label = {"label": "forecast"} if i == 0 else {}
            axis.plot(times, values, color=FORECAST, linewidth=1.4, **label)
            axis.fill_between(times, lower, upper, color=FORECAST, alpha=0.2, linewidth=0)
            axis.axvline(times[0], color=INK, linewidth=0.6, linestyle=":")
        _label(axis, name)
        axis.legend(frameon=False, ncols=2, loc="upper left")


Bounded = tuple[float, float | None, float | None]


def plot_differences(path: Path, points: Mapping[str, Mapping[str, Bounded]], title: str) -> None:
    """Draw differences with their intervals, a row for each place; models differ by marker and grey, not by colour.

    Args:
        points: by model, then by place: difference, lower and upper bound, None where there is no interval.
    """
    places = list(dict.fromkeys(place for of_model in points.values() for place in of_model))
    height = 1.2 + len(places) * (0.25 + 0.16 * len(points))
    with _figure(path, title, {}, figsize=(9, height), layout="constrained") as figure:
        axis = figure.subplots()
        axis.axvline(0, color=INK, linewidth=0.8)
        for i, (model, of_model) in enumerate(points.items()):
            style = {"color": str(0.55 * i / max(1, len(points) - 1)), "marker": MARKERS[i % len(MARKERS)]}
            rows = [places.index(place) + 0.7 * ((i + 0.5) / len(points) - 0.5) for place in of_model]
            values, lower, upper = (np.array(part, dtype=float) for part in zip(*of_model.values(), strict=True))
            reach = np.nan_to_num(np.stack([values - lower, upper - values]))
            axis.errorbar(values, rows, xerr=reach, label=model, linestyle="", capsize=2, markersize=5, **style)
        axis.set_yticks(range(len(places)), places)
        axis.set_ylim(len(places) - 0.5, -0.5)  # from above, with room for the outermost markers
        axis.set_xlabel("difference, 95 % interval")
        axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def plot_losses(path: Path, history: Sequence[Mapping[str, float]], score: str, title: str) -> None:
    """Draw ``train_loss`` and the score of each epoch, the best one marked; a lower score is better."""
    with _figure(path, title, {"fontsize": "small"}, figsize=(8, 5)) as figure:
        figure.subplots_adjust(left=0.1, right=0.97, top=0.93, bottom=0.1, hspace=0.1)
        axes = figure.subplots(2, 1, sharex=True)
        epochs = [figures["epoch"] for figures in history]
        for axis, key, color in zip(axes, ("train_loss", score), (SIMPLE, FORECAST), strict=True):
            values = [figures[key] for figures in history]
            axis.plot(epochs, values, color=color, marker=".", linewidth=1.4)
            _label(axis, key.replace("_", " "))
        best = int(np.argmin(values))
        axis.annotate(f"epoch {epochs[best]}: {values[best]:.4f}", (epochs[best], values[best]), color=INK)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def plot_clouds(path: Path, rows: Sequence[Mapping[str, Mapping[str, np.ndarray]]], title: str) -> None:
    """Draw clouds of points (N, 2), a panel each set of clouds: rows of panels by their title, of clouds by their name.

    The first cloud of a panel is grey and lies below the others. All rows have as many panels; a title may have lines.
    """
    columns, names = len(rows[0]), [name for panels in rows for clouds in panels.values() for name in clouds]
    colors = dict(zip(dict.fromkeys(names), ("#b0b0b0", FORECAST, SIMPLE), strict=False))
    size = (max(6.5, 0.5 + 3.2 * columns), 0.9 + 3.2 * len(rows))
    with _figure(path, title, {"fontsize": "medium"}, figsize=size, layout="constrained") as figure:
        axes, marks = figure.subplots(len(rows), columns, squeeze=False), {}
        for panels, of_row in zip(rows, axes, strict=True):
            for (name, clouds), axis in zip(panels.items(), of_row, strict=True):
                for label, points in clouds.items():
                    style = {"color": colors[label], "s": 7, "alpha": 0.7, "linewidths": 0}
                    marks[label] = axis.scatter(*points.T, **style)
                lines = "\n".join(map(_drawable, name.split("\n")))
                axis.set_title(lines, fontsize=9, parse_math=False)
                axis.set_xticks([])
                axis.set_yticks([])
        figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=4, frameon=False, markerscale=2)


def plot_heat_map(path: Path, values: np.ndarray, rows: Sequence[str], title: str, across: str) -> None:
    """Draw a matrix (R, K) of positive numbers as colours on a logarithmic scale, with the names of its rows.

    Args:
        across: what the columns are.
    """
    with _figure(path, title, {}, figsize=(11, 1.6 + 0.3 * len(rows)), layout="constrained") as figure:
        axis = figure.subplots()
        scale = LogNorm(max(values.min(), 1e-3), max(values.max(), 2e-3), clip=True)
        image = axis.imshow(values, aspect="auto", interpolation="nearest", cmap="magma", norm=scale)
        axis.set_yticks(range(len(rows)), [_drawable(name) for name in rows], parse_math=False)
        axis.set_xlabel(across)
        figure.colorbar(image, ax=axis, pad=0.01)


def plot_matrix(
    path: Path,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    down: str,
    across: str,
    whole: bool,
) -> None:
    """Draw a matrix (R, K) of numbers from 0 on as colours, with its numbers where there is room, and all names.

    Args:
        down: what the rows are.
        across: what the columns are.
        whole: whether the numbers are whole ones; else they are shares.
    """
    size = (3 + 0.42 * len(columns), 1.8 + 0.32 * len(rows))
    with _figure(path, title, {"fontsize": "medium"}, figsize=size, layout="constrained") as figure:
        axis = figure.subplots()
        image = axis.imshow(values, aspect="auto", interpolation="nearest", cmap="Blues", vmin=0)
        turned = {"rotation": 90} if max(map(len, columns)) > 3 else {}
        axis.set_xticks(range(len(columns)), [_drawable(name) for name in columns], parse_math=False, **turned)
        axis.set_yticks(range(len(rows)), [_drawable(name) for name in rows], parse_math=False)
        axis.set_xlabel(across)
        axis.set_ylabel(down)
        largest = values.max()
        for place in np.argwhere(values > 0 if whole else values >= 0.005) if len(columns) <= MOST_NUMBERS else ():
            value = values[*place]
            color = "white" if value > largest / 2 else INK
            text = f"{value}" if whole else f"{value:.2f}"
            axis.text(*place[::-1], text, ha="center", va="center", color=color, fontsize=7)
        figure.colorbar(image, ax=axis, pad=0.01)


@contextmanager
def _figure(path: Path, title: str, style: Mapping[str, Any], **options: Any) -> Iterator[Figure]:
    """Yield a figure; save it as PNG under a title when the block ends."""
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    yield figure
    figure.suptitle(_drawable(title), parse_math=False, **style)
    with warnings.catch_warnings(), replacing(path) as temporary:
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # it is drawn as a box
        figure.savefig(temporary, format="png", dpi=110)


def _draw_lines(
    axis: Axes, times: Sequence[Any], history: np.ndarray, ahead: Mapping[str, np.ndarray], bands: Bands | None = None
) -> None:
    """Draw a history (T,) with a mark at its end, intervals (H,), the widest first, and lines (H,) that go on."""
    end, future = len(history), times[len(history) :]
    axis.plot(times[:end], history, color=INK, linewidth=1, label="history")
    axis.axvline(times[end - 1], color=INK, linewidth=0.6, linestyle=":", zorder=2.1)  # above all lines
    for level, bounds in sorted((bands or {}).items(), reverse=True):
        style = {"color": FORECAST, "label": f"{level * 100:g} % interval"}
        if len(future) == 1:
            axis.vlines(future, *bounds, alpha=0.4, linewidth=4, **style)
        else:
            axis.fill_between(future, *bounds, alpha=0.2, linewidth=0, **style)
    colors = (TRUTH, FORECAST, SIMPLE) if "truth" in ahead else (FORECAST, SIMPLE)
    for (label, values), color in zip(ahead.items(), colors, strict=False):
        axis.plot(times[end - 1 :], [history[-1], *values], color=color, linewidth=1.4, label=label)


def _label(axis: Axes, name: str) -> None:
    axis.set_ylabel(_drawable(name), parse_math=False)  # a column may be called "US$"
    axis.spines[["top", "right"]].set_visible(False)


def _drawable(text: str) -> str:
    """Return a text that matplotlib can draw: no bytes that are no UTF-8, no control characters, not too long."""
    return shown_path(text[:MOST_LETTERS])
