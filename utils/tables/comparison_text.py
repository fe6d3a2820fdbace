"""Describe models beside each other in Markdown; what it says of differences follows from their intervals."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from utils.plots import plot_differences
from utils.tables.comparison import METRICS, Pair, costs, models_of, over_all, side_by_side
from utils.tables.markdown import bullets, numbers, whole_table
from utils.tables.records import NOTHING, Block
from utils.tables.statistics import LEAST_DATA_SETS
from utils.tables.tables import AVERAGE, Tables

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


def describe_comparison(tables: Tables, table: str, pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield the sections that compare the models of a table; none where there are fewer than two."""
    models = models_of(tables, table)
    if len(models) < 2:
        return
    yield from ["### Models side by side", "", *_beside(tables, table, models), "", *bullets([BESIDE]), ""]
    if told := [pair for pair in pairs if pair.model == models[0]]:
        yield from [f"### Differences from {models[0]}", "", *_differences(told), "", *bullets(_told(told)), ""]
    yield from ["### Over all cells", "", *_overall(tables, table, models), ""]
    yield from ["### Cost", "", *_costs(tables, table), "", *bullets([COST]), ""]


def describe_published(published: pd.DataFrame, table: str) -> Iterator[str]:
    """Yield the published averages of all models and their sources, each look-back in lines of its own."""
    averages = published[(published.horizon == AVERAGE) & (published.table == table)]
    models = list(averages.model.unique())
    rows = []
    for (data, look_back), cells in averages.groupby(["data", "look_back"], sort=False):
        values = {model: own.set_index("metric").published.reindex(METRICS) for model, own in cells.groupby("model")}
        rows.append([data, look_back, *(numbers(values[m], 3) if m in values else NOTHING for m in models)])
    yield from whole_table(["data set", "look-back", *models], rows)
    yield ""
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


def _beside(tables: Tables, table: str, models: Sequence[str]) -> Iterator[str]:
    frames = {metric: side_by_side(tables, table, metric) for metric in METRICS}
    papers = tables.published[tables.published.table == table].set_index(["protocol", "horizon", "model", "metric"])
    rows = []
    for protocol, horizon in frames[METRICS[0]].index:
        parts = {metric: _marked(frame.loc[(protocol, horizon)], models) for metric, frame in frames.items()}
        title, look_back = protocol.title, str(protocol.seq_len)
        rows.append([title, look_back, horizon, *map(_joined, *parts.values())])
        names = [model.partition(",")[0] for model in models]
        keys = [[(protocol, horizon, name, metric) for metric in METRICS] for name in names]
        printed = [[papers.published.get(key, float("nan")) for key in pair] for pair in keys]
        if pd.DataFrame(printed).notna().any(axis=None):
            rows.append([title, look_back, f"{horizon}, published", *(numbers(pair, 3) for pair in printed)])
    yield from whole_table(["data set", "look-back", "horizon", *models], rows)


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


def _overall(tables: Tables, table: str, models: Sequence[str]) -> Iterator[str]:
    found = {metric: over_all(tables, table, metric) for metric in METRICS}
    rows, count = [], max(data_sets for _, _, data_sets in found.values())
    for metric, (figures, _, _) in found.items():
        for model, own in figures.sort_values("mean_rank").iterrows() if len(figures) else ():
            cells = [_bounded(own, name) for name in ("skill", "win_rate", "mean_rank")]
            rows.append([metric.upper(), str(model), *cells])
    yield from whole_table(["metric", "model", "skill", "win rate", "mean rank"], rows)
    yield ""
    cells = found[METRICS[0]][1]
    notes = [f"{OVERALL} {cells} cell(s) of {count} data set(s) have all {len(models)} models."]
    if count < LEAST_DATA_SETS:
        notes.append(
            f"With {count} data set(s), fewer than {LEAST_DATA_SETS}, nothing can be told apart beyond these data: "
            "there are no intervals, and the order of the models is no ranking."
        )
    yield from bullets(notes)


def _bounded(figures: pd.Series, name: str) -> str:
    value, lower, upper = (figures[f"{name}{end}"] for end in ("", "_lower", "_upper"))
    return numbers([value], 3) + ("" if pd.isna(lower) else f" ({lower:.3f} to {upper:.3f})")


def _costs(tables: Tables, table: str) -> Iterator[str]:
    rows = []
    for one in costs(tables, table).itertuples():
        counts = [NOTHING if pd.isna(count) else f"{int(count):,}" for count in (one.trained, one.total)]
        protocol: Block = one.protocol
        milliseconds = NOTHING if pd.isna(one.milliseconds) else f"{one.milliseconds:.3g}"
        rows.append(
            [protocol.title, str(protocol.seq_len), one.horizon, one.network, str(one.seeds), *counts,
             numbers([one.seconds_per_epoch], 1), milliseconds, numbers([one.gib], 2), one.machine]
        )  # fmt: skip
    titles = ["data set", "look-back", "horizon", "model, backbone", "seeds", "trained", "parameters", "s / epoch",
              "ms / forecast", "peak GiB", "machine"]  # fmt: skip
    yield from whole_table(titles, rows)
