"""The picture of how time grows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from utils.files import replacing

Row = Mapping[str, Any]
Line = tuple[str, int]  # mode and horizon
STYLES = {"train_seconds": ("-", "o", "training step"), "evaluation_seconds": ("--", "s", "evaluation")}


def plot_growth(path: Path, figures: Mapping[str, Any]) -> None:
    """Draw seconds against channels and against batch as PNG: a line per mode and horizon, on scales of powers."""
    base = figures["base"]
    rows = [row for row in figures["rows"] if "skipped" not in row]
    by_channels = [row for row in rows if row["batch_size"] == base["batch_size"]]
    by_batch = [row for row in rows if (row["channels"], row["pred_len"]) == (base["channels"], base["pred_len"])]
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    lines = sorted({(row["mode"], row["pred_len"]) for row in rows})
    colours = {line: f"C{i}" for i, line in enumerate(lines)}  # the same in both
    _panel(left, by_channels, colours, "channels", f"batch {base['batch_size']}")
    _panel(right, by_batch, colours, "batch_size", f"{base['channels']} channels")
    right.set_xlabel("batch")
    figure.suptitle(f"CALF on {figures['environment']['device']}", parse_math=False)
    handles = {line.get_label(): line for axis in (left, right) for line in axis.lines}
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _panel(axis: Axes, rows: Sequence[Row], colours: Mapping[Line, str], across: str, title: str) -> None:
    for (mode, horizon), colour in colours.items():
        chosen = sorted((r for r in rows if (r["mode"], r["pred_len"]) == (mode, horizon)), key=_by(across))
        if not chosen:
            continue
        for name, (dashes, marker, what) in STYLES.items():
            axis.plot(
                [row[across] for row in chosen],
                [row[name] for row in chosen],
                color=colour,
                linestyle=dashes,
                marker=marker,
                markersize=4,
                label=f"{what}, {mode}, horizon {horizon}",
            )
    ticks = sorted({row[across] for row in rows})
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel(across)
    axis.set_ylabel("seconds")
    axis.set_title(title)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def _by(name: str) -> Callable[[Row], int]:
    return lambda row: row[name]
