"""Average the runs of each cell over seeds and horizons, and put the published figures beside them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from utils.m4.patterns import COMPETITIONS, ROWS
from utils.m4.scores import pool_records
from utils.tables.records import (
    FEW_SHOT,
    LONG_TERM,
    M4,
    ZERO_SHOT,
    Block,
    Record,
    cell_of,
    is_number,
    look_up,
    settings,
)

PUBLISHED = Path(__file__).with_name("published.csv")
PAPER = "CALF"
PUBLISHED_MODELS = (PAPER, "")  # the second: rows of what is published and was not run
BASELINES = [
    *("naive", "seasonal_naive", "naive2", "linear_interpolation", "last_value", "window_mean"),
    *("pca", "moving_z_score", "random", "majority_class", "MiniRocket"),
]
IMPUTATION, RATES = "imputation", [f"mask {rate}" for rate in (0.125, 0.25, 0.375, 0.5)]  # that are averaged
FORECASTS = (LONG_TERM, FEW_SHOT, ZERO_SHOT)  # whose published figures are averaged over horizons here
AVERAGE = "average"
CELL = ["block", "horizon"]
FIGURE = [*CELL, "metric"]

Row = tuple[Block, str, Sequence[str], str]  # block, horizon, the parts that it is the mean of, and its gap


class Tables(NamedTuple):
    """All that is known of the runs.

    Attributes:
        rows: one line per row and metric, in the order of the tables.
        runs: one line per run: its cell, its settings and those that the cell shows, and whether it is shown.
        published: one line per published figure.
        unread: notes on files that are no records.
    """

    rows: pd.DataFrame
    runs: pd.DataFrame
    published: pd.DataFrame
    unread: Sequence[str]


def make_tables(records: Iterable[Record], unread: Sequence[str] = ()) -> Tables:
    """Return the tables of some records."""
    runs, published = choose_runs(records), read_published()
    shown, papers = runs[runs.shown], published[published.model == PAPER]
    metrics = {run.table: run.record["task"]["metrics"] for run in shown.itertuples()}
    metrics |= papers.groupby("table").metric.unique()
    lines = [(*row, metric) for row in _in_order(_rows(shown, papers), papers) for metric in metrics[row[0].table]]
    rows = pd.DataFrame(lines, columns=[*CELL, "part", "gap", "metric"])
    rows["table"] = [block.table for block in rows.block]
    rows["protocol"] = [block.protocol for block in rows.block]
    rows["model"] = [f"{block.model or PAPER}{block.switches}" for block in rows.block]  # no ablation is published
    rows = rows.merge(published[["protocol", "model", "horizon", "metric", "published"]], how="left")
    rows = rows.join(_figures(rows, _scores(shown)), on=FIGURE)
    trained = {(run.block, run.horizon): look_up(run.record, "model.parameters.trained") for run in shown.itertuples()}
    rows["trained"] = [_span(trained.get((row.block, part)) for part in row.part) for row in rows.itertuples()]
    rows["difference"] = rows["mean"] - rows.published
    rows["gap"] = rows.gap.where(rows.seeds.isna(), "")
    return Tables(rows, runs, published, unread)


def _span(counts: Iterable[int | None]) -> str:
    """Return counts as text, of several different ones the least and the most; empty where none is known."""
    known = sorted({count for count in counts if count is not None})
    return " to ".join(f"{count:,}" for count in dict.fromkeys([*known[:1], *known[-1:]]))


def _figures(rows: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return mean, deviation, seeds and baselines by row and metric; each seed is averaged over the parts first."""
    parts = scores.merge(rows.assign(parts=rows.part.map(len)).explode("part"))
    by_seed = parts.groupby([*FIGURE, "parts", "seed"], sort=False)
    found = by_seed[["ours", *BASELINES]].mean(skipna=False).assign(there=by_seed.ours.count()).reset_index()
    found = found[(found.parts == 1) | (found.there == found.parts)]  # an average needs all of its parts
    grouped = found.groupby(FIGURE, sort=False)
    figures = grouped[BASELINES].mean()
    figures["mean"] = grouped.ours.mean(skipna=False)  # a seed without a score leaves no mean
    figures["std"] = grouped.ours.std(skipna=False)
    figures["seeds"] = grouped.seed.agg(lambda seeds: " ".join(map(str, sorted(seeds))))
    return figures


def read_published() -> pd.DataFrame:
    """Return the published figures, with their averages over the horizons of each data set.

    Columns are those of the file and ``protocol``, the block of rows that a figure can be compared with; it has a
    negative seq_len where the look-back is not known, so that no run is compared with the figure.
    """
    figures = pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False).astype({"published": float})
    figures["protocol"] = [
        Block(table, data, target, 10 if table == FEW_SHOT else 100, seq_len=_steps(table, look_back))
        for table, data, target, look_back in figures[["table", "data", "target", "look_back"]].itertuples(index=False)
    ]
    windows = figures[figures.table.isin(FORECASTS) & (figures.horizon != AVERAGE)]
    groups = windows.groupby(["table", "model", "look_back", "data", "protocol", "metric"], sort=False, as_index=False)
    averages = groups.published.mean().assign(horizon=AVERAGE, source="", note="")
    return pd.concat([figures, averages], ignore_index=True)


def _steps(table: str, look_back: str) -> int:
    return 0 if table == M4 else int(look_back) if look_back.isdigit() else -1


def choose_runs(records: Iterable[Record]) -> pd.DataFrame:
    """Return all runs with their cells, and choose those that the cells show.

    Where runs of one cell were trained differently, those with the most seeds are shown, of equally many the newest;
    of several runs of one seed, the newest.
    """
    lines = [
        (*cell_of(record), record.content["run"]["seed"], json.dumps(settings(record.content), sort_keys=True),
         record.modified, record.content, record.folder)
        for record in records
    ]  # fmt: skip
    runs = pd.DataFrame(lines, columns=[*CELL, "seed", "settings", "modified", "record", "folder"])
    for name in ("table", "network"):
        runs[name] = [getattr(block, name) for block in runs.block]
    alike = runs.groupby([*CELL, "settings"], sort=False)
    runs["seeds"], runs["newest"] = alike.seed.transform("nunique"), alike.modified.transform("max")
    runs = runs.sort_values(["seeds", "newest", "settings", "modified"], kind="stable")
    runs["shown_settings"] = runs.groupby(CELL, sort=False).settings.transform("last")
    repeated = runs.duplicated([*CELL, "settings", "seed"], keep="last")
    runs["shown"] = (runs.settings == runs.shown_settings) & ~repeated
    return runs


def by_size(text: str) -> tuple[bool, str]:
    """Return a key that sorts numbers by size and other words after them."""
    return (False, text.zfill(12)) if text.isdigit() else (True, text)


def _rows(shown: pd.DataFrame, published: pd.DataFrame) -> Iterator[Row]:
    """Yield the rows of all blocks: what was run and, with a model or without, what is published."""
    printed = published[published.horizon != AVERAGE].groupby("protocol", sort=False).horizon.unique()
    run = dict(shown.groupby("block", sort=False).horizon.unique())
    done = {block.protocol for block in run if _is_published(block) and block.selected_on != "test"}
    run |= {block: [] for block in printed.index if block not in done}
    for block, ours in run.items():
        theirs = list(printed.get(block.protocol, []))
        averaged = theirs or (RATES if {*RATES} & {*ours} else ours)
        groups = {one: [one] for one in (*theirs, *ours)} | ({AVERAGE: averaged} if len(averaged) > 1 else {})
        for horizon, members in (COMPETITIONS[block.data].pools if block.table == M4 else groups).items():
            present = {*ours}.intersection(members)
            if present or (theirs and _is_published(block)):
                parts = [horizon] if block.table == M4 else members  # M4's pools are no plain means
                yield block, horizon, parts, _gap(block.table, horizon, len(present), len(members))


def _is_published(block: Block) -> bool:
    return block.model in PUBLISHED_MODELS and not block.switches


def _gap(table: str, horizon: str, present: int, wanted: int) -> str:
    """Return why a row has no metrics, if it turns out to have none."""
    if wanted == 1 or (horizon in ROWS and not present):
        return "missing"
    parts = "patterns" if horizon in ROWS else "rates" if table == IMPUTATION else "horizons"
    return f"{present} of {wanted} {parts}" if present < wanted else f"no seed has all {parts}"


def _in_order(rows: Iterable[Row], published: pd.DataFrame) -> list[Row]:
    """Sort rows as in the tables: those of all models for one data set and horizon stand together."""
    blocks = published.protocol.unique()
    data_sets = [(block.table, block.data, block.target) for block in blocks]
    order = [*published.table.unique(), *data_sets, *blocks, *ROWS]

    def place(row: Row) -> tuple[Any, ...]:
        block, horizon, *_ = row
        parts = [block.table, (block.table, block.data, block.target), block.protocol, horizon]
        table, data, protocol, pool = (order.index(part) if part in order else len(order) for part in parts)
        selected = block.selected_on == "test"
        return (
            table,
            block.table,
            data,
            protocol,
            block.protocol,
            selected,
            pool,
            horizon == AVERAGE,
            by_size(horizon),
            block,
        )

    return sorted(rows, key=place)


def _scores(shown: pd.DataFrame) -> pd.DataFrame:
    """Return one line per run or pool of M4, and metric: the scores of the model and of the baselines."""
    lines = []
    for run in shown[shown.table != M4].itertuples():
        scores = run.record["scores"]
        lines += [(run.block, run.horizon, run.seed, *one) for one in _beside(run.record, scores, scores["metrics"])]
    for (block, seed), runs in shown[shown.table == M4].groupby(["block", "seed"], sort=False):
        record = runs.record.iloc[0]
        for pool, group in pool_records(runs.record).items():
            if not group.missing:
                scores = {name: asdict(one) for name, one in group.scores.items()}
                found = _beside(record, scores[record["model"]["name"]], scores)
                lines += [(block, pool, seed, *one) for one in found]
    scores = pd.DataFrame(lines, columns=["block", "part", "seed", "metric", "ours", *BASELINES])
    return scores.astype(dict.fromkeys(["ours", *BASELINES], float))


def _beside(record: Mapping[str, Any], own: Mapping[str, Any], reports: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """Yield each metric, its score and those of the baselines; SeasonalNaive is a baseline itself."""
    model = record["model"]["name"]
    rivals = [reports.get(model if model.lower() == name.replace("_", "") else name) for name in BASELINES]
    for metric in record["task"]["metrics"]:
        scores = [look_up(look_up(report, "standardised") or report, metric) for report in rivals]
        yield metric, own.get(metric), *(score if is_number(score) else None for score in scores)
