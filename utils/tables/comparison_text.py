"""Describe models beside each other in Markdown; what it says of differences follows from their intervals."""

from collections.abc import Iterable, Iterator, Sequence
from math import nan
from pathlib import Path

import pandas as pd

from utils.plots import plot_differences
from utils.tables.comparison import METRICS, Comparison, Pair
from utils.tables.markdown import bullets, numbers, whole_table
from utils.tables.records import NOTHING, Block
from utils.tables.statistics import LEAST_DATA_SETS, MEASURES
from utils.tables.tables import AVERAGE

DIGITS = 4
BESIDE = (
    "MSE / MAE, mean ± standard deviation over seeds; **best** and _second best_ by their means. Published figures are "
    "of the same look-back."
)
DIFFERENCES = (
    "Mean difference of the errors of test windows, first minus second, seeds averaged first; its 95 % interval is of "
    "a paired block bootstrap over the windows, whose blocks are as long as seq_len + pred_len. It says how sure the "
    "difference is for test data like these, not for other data sets."
)
OVERALL = (
    "Skill: 1 - geometric mean of the ratio of errors to the seasonal naive forecast's. Win rate: share of other "
    "models and cells with a larger error. Both and the mean rank as in fev; in brackets 95 % intervals of a bootstrap "
    "over data sets, all horizons of one together."
)
COST = (
    "Means over seeds. An epoch contains its validation; a forecast is that of one test window within a batch; the "
    "peak is of the process that tested, training included if it trained, too."
)


def describe_comparison(models: Comparison, pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield the sections that compare the models of a table; none where there are fewer than two."""
    names, place = models.models, f"look-back {models.look_back}"
    if len(names) < 2:
        return
    yield from [f"### Models side by side, {place}", "", *_beside(models), "", *bullets([BESIDE]), ""]
    if told := [pair for pair in pairs if pair.model == names[0]]:
        yield from [f"### Differences from {names[0]}, {place}", "", *_differences(told), "", *bullets(_told(told)), ""]
    yield from [f"### Over all cells, {place}", "", *_overall(models), ""]
    yield from [f"### Cost, {place}", "", *_costs(models), "", *bullets([COST]), ""]


def describe_published(published: pd.DataFrame, table: str) -> Iterator[str]:
    """Yield a table of the published averages at each look-back, with the sources below."""
    printed = published[(published.horizon == AVERAGE) & (published.table == table)]
    for look_back, figures in printed.groupby("look_back", sort=False):
        names = list(figures.model.unique())
        rows = []
        for data, cells in figures.groupby("data", sort=False):
            values = cells.set_index(["model", "metric"]).published
            rows.append([data, *(numbers([values.get((name, m), nan) for m in METRICS], 3) for name in names)])
        yield from [f"Look-back {look_back}:", "", *whole_table(["data set", *names], rows), ""]
    for source, figures in published[(published.source != "") & (published.table == table)].groupby("source"):
        names, steps = (", ".join(figures[column].unique()) for column in ("model", "look_back"))
        yield from bullets([f"{names}, look-back {steps}: {source}."])


def plot_pairs(path: Path, pairs: Sequence[Pair]) -> list[Path]:
    """Draw the differences in MSE of the first model from each other one; return the file, or none if there is none."""
    shown = [pair for pair in pairs if pair.metric == "mse" and pair.model == pairs[0].model]
    if not shown:
        return []
    points = {
        other: {
            f"{pair.protocol.title}, {pair.horizon}": (pair.difference, pair.lower, pair.upper)
            for pair in shown
            if pair.other == other
        }
        for other in dict.fromkeys(pair.other for pair in shown)
    }
    plot_differences(path, points, f"MSE of {shown[0].model} minus that of another model; left of 0 it is better")
    return [path]


def _beside(models: Comparison) -> Iterator[str]:
    names, frames = models.models, [models.side_by_side(metric) for metric in METRICS]
    printed = models.published.set_index(["protocol", "horizon", "model", "metric"]).published
    rows = []
    for protocol, horizon in frames[0].index:
        cells = [_marked(frame.loc[(protocol, horizon)], names) for frame in frames]
        rows.append([protocol.title, horizon, *map(_joined, *cells)])
        kinds = [name.partition(",")[0] for name in names]
        figures = [[printed.get((protocol, horizon, kind, metric), nan) for metric in METRICS] for kind in kinds]
        if pd.DataFrame(figures).notna().any(axis=None):
            rows.append([protocol.title, f"{horizon}, published", *(numbers(pair, 3) for pair in figures)])
    yield from whole_table(["data set", "horizon", *names], rows)


def _marked(row: pd.Series, models: Sequence[str]) -> list[str]:
    """Return the cells of one metric, the two lowest means marked."""
    means = row["mean"].reindex(models).astype(float)
    marks = dict(zip(means.dropna().nsmallest(2).index, ("**", "_"), strict=False))
    cells = []
    for model in models:
        deviation = row["std"].get(model)
        text = numbers([means[model]], DIGITS) + ("" if pd.isna(deviation) else f" ± {deviation:.{DIGITS}f}")
        cells.append(f"{marks.get(model, '')}{text}{marks.get(model, '')}")
    return cells


def _joined(*cells: str) -> str:
    return NOTHING if set(cells) == {NOTHING} else " / ".join(cells)


def _differences(pairs: Sequence[Pair]) -> Iterator[str]:
    rows = []
    for one in pairs:
        interval = NOTHING if one.lower is None else f"{one.lower:+.{DIGITS}f} to {one.upper:+.{DIGITS}f}"
        rows.append(
            [one.protocol.title, one.horizon, one.metric.upper(), f"{one.model} - {one.other}",
             numbers([one.difference], DIGITS, "+"), interval, one.verdict, str(one.windows), str(one.seeds)]
        )  # fmt: skip
    titles = ["data set", "horizon", "metric", "models", "difference", "95 % interval", "first is", "windows", "seeds"]
    yield from whole_table(titles, rows)


def _told(pairs: Iterable[Pair]) -> Iterator[str]:
    """Yield in how many cells the first model is better, by other model."""
    yield DIFFERENCES
    frame = pd.DataFrame(pairs)
    for (other, metric), cells in frame.groupby(["other", "metric"], sort=False):
        counts = ", ".join(f"{verdict} in {count}" for verdict, count in cells.verdict.value_counts().items())
        yield f"Against {other}, by {metric.upper()}: {counts} of {len(cells)} cells"


def _overall(models: Comparison) -> Iterator[str]:
    rows = []
    for metric in METRICS:
        figures, cells = models.over_all(metric)
        for model, own in figures.sort_values("mean_rank").iterrows() if len(cells) else ():
            rows.append([metric.upper(), str(model), *(_bounded(own, name) for name in MEASURES)])
    data_sets = len(cells.unique("protocol"))
    yield from whole_table(["metric", "model", *(name.replace("_", " ") for name in MEASURES)], rows)
    notes = [f"{OVERALL} {len(cells)} cell(s) of {data_sets} data set(s) have all {len(models.models)} models."]
    if data_sets < LEAST_DATA_SETS:
        notes.append(
            f"With {data_sets} data set(s), fewer than {LEAST_DATA_SETS}, nothing can be told apart beyond these data: "
            "there are no intervals, and the order of the models is no ranking."
        )
    yield from ["", *bullets(notes)]


def _bounded(figures: pd.Series, name: str) -> str:
    value, lower, upper = (figures[f"{name}{end}"] for end in ("", "_lower", "_upper"))
    return numbers([value], 3) + ("" if pd.isna(lower) else f" ({lower:.3f} to {upper:.3f})")


def _costs(models: Comparison) -> Iterator[str]:
    rows = []
    for one in models.costs().itertuples():
        protocol: Block = one.protocol
        counts = [NOTHING if pd.isna(count) else f"{int(count):,}" for count in (one.trained, one.total)]
        milliseconds = NOTHING if pd.isna(one.milliseconds) else f"{one.milliseconds:.3g}"
        figures = [numbers([one.seconds], 1), milliseconds, numbers([one.gib], 2)]
        rows.append([protocol.title, one.horizon, one.network, str(one.seeds), *counts, *figures, one.machine])
    titles = ["data set", "horizon", "model, backbone", "seeds", "trained", "parameters", "s / epoch", "ms / forecast",
              "peak GiB", "machine"]  # fmt: skip
    yield from whole_table(titles, rows)
