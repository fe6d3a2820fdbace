"""Average the runs of each cell over seeds and horizons, and put the published figures beside them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from utils.m4.scores import POOLS, pool_records
from utils.tables.records import FEW_SHOT, M4, Block, Record, cell_of, is_number, look_up, settings

PUBLISHED = Path(__file__).with_name("published.csv")
PUBLISHED_MODELS = ("CALF", "")  # the second: rows of what is published and was not run
BASELINES = ("naive", "seasonal_naive", "naive2")
OURS, AVERAGE = "ours", "average"
CELL = ["block", "horizon"]
FIGURE = [*CELL, "metric"]
SCORE = [*FIGURE, "seed", "forecaster", "value"]

Row = tuple[Block, str, Sequence[str], str]  # block, horizon, the horizons or patterns behind it, and its gap


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
    shown = runs[runs.shown]
    lines = _in_order(_rows(shown, published), published)
    metrics = {run.table: run.record["task"]["metrics"] for run in shown.itertuples()}
    metrics |= published.groupby("table").metric.unique()
    cells = [(*row, metric) for row in lines for metric in metrics[row[0].table]]
    rows = pd.DataFrame(cells, columns=[*CELL, "members", "gap", "metric"])
    rows["table"] = [block.table for block in rows.block]
    rows["protocol"] = [block.protocol if block.model in PUBLISHED_MODELS else None for block in rows.block]
    keys = ["protocol", "horizon", "metric"]
    rows = rows.merge(published[[*keys, "published"]], how="left", on=keys)
    grouped = _scores(shown, lines).groupby([*FIGURE, "forecaster"], sort=False)
    figures = grouped.value.agg(["mean", "std"], skipna=False)  # a seed without a score leaves no mean
    figures["seeds"] = grouped.seed.agg(lambda seeds: " ".join(map(str, sorted(seeds))))
    figures = figures.reset_index("forecaster")
    rows = rows.join(figures[figures.forecaster == OURS].drop(columns="forecaster"), on=FIGURE)
    for name in BASELINES:
        rows = rows.join(figures["mean"][figures.forecaster == name].rename(name), on=FIGURE)
    rows["difference"] = rows["mean"] - rows.published
    rows["gap"] = rows.gap.where(rows.seeds.isna(), "")
    return Tables(rows, runs, published, unread)


def read_published() -> pd.DataFrame:
    """Return the published figures, with their averages over the horizons of each data set.

    Columns are those of the file and ``protocol``, the block of rows that a figure can be compared with.
    """
    figures = pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False).astype({"value": float})
    figures = figures.rename(columns={"value": "published"})
    figures["protocol"] = [
        Block(table, data, target, percent=10 if table == FEW_SHOT else 100, seq_len=0 if table == M4 else 96)
        for table, data, target in zip(figures.table, figures.data, figures.target, strict=True)
    ]
    windows = figures[figures.table != M4].groupby(["table", "protocol", "metric"], sort=False, as_index=False)
    averages = windows.published.mean().assign(horizon=AVERAGE, source="", note="")
    return pd.concat([figures, averages], ignore_index=True)


def choose_runs(records: Iterable[Record]) -> pd.DataFrame:
    """Return all runs with their cells, and choose those that the cells show.

    Where runs of one cell were trained differently, those with the most seeds are shown, of equally many the newest;
    of several runs of one seed, the newest.
    """
    lines = [
        (*cell_of(record), record.content["run"]["seed"], json.dumps(settings(record.content), sort_keys=True),
         record.modified, record.content)
        for record in records
    ]  # fmt: skip
    runs = pd.DataFrame(lines, columns=[*CELL, "seed", "settings", "modified", "record"])
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
    done = {block.protocol for block in run if block.model in PUBLISHED_MODELS and block.selected_on != "test"}
    run |= {block: [] for block in printed.index if block not in done}
    for block, ours in run.items():
        theirs = list(printed.get(block.protocol, []))
        horizons = sorted({*theirs, *ours}, key=by_size)
        averaged = theirs or horizons
        groups = {horizon: [horizon] for horizon in horizons} | ({AVERAGE: averaged} if len(averaged) > 1 else {})
        for horizon, members in (POOLS if block.table == M4 else groups).items():
            present = {*ours}.intersection(members)
            if present or (theirs and block.model in PUBLISHED_MODELS):
                yield block, horizon, members, _gap(horizon, len(present), len(members))


def _gap(horizon: str, present: int, wanted: int) -> str:
    """Return why a row has no metrics, if it turns out to have none."""
    if wanted == 1 or (horizon in POOLS and not present):
        return "missing"
    parts = "patterns" if horizon in POOLS else "horizons"
    return f"{present} of {wanted} {parts}" if present < wanted else f"no seed has all {parts}"


def _in_order(rows: Iterable[Row], published: pd.DataFrame) -> list[Row]:
    """Sort rows as in the tables: those of all models for one data set and horizon stand together."""
    protocols = list(published.protocol.unique())
    pairs = [(block.table, block.data, block.target) for block in protocols]

    def rank(item: Any, order: Iterable[Any]) -> int:
        return [*order, item].index(item)

    def place(row: Row) -> tuple[Any, ...]:
        block, horizon, *_ = row
        return (
            rank(block.table, published.table.unique()), block.table,
            rank((block.table, block.data, block.target), pairs), block.protocol not in protocols, block.protocol,
            block.selected_on == "test", rank(horizon, POOLS), by_size(horizon), block,
        )  # fmt: skip

    return sorted(rows, key=place)


def _scores(shown: pd.DataFrame, rows: Iterable[Row]) -> pd.DataFrame:
    """Return one line per row, metric, seed and forecaster (``ours`` and the baselines).

    Averages and pools are there for each seed that has all of their parts.
    """
    lines = []
    for run in shown[shown.table != M4].itertuples():
        scores = run.record["scores"]
        found = _by_forecaster(run.record, scores, scores["metrics"])
        lines += [(run.block, run.horizon, metric, run.seed, *one) for metric, *one in found]
    for (block, seed), runs in shown[shown.table == M4].groupby(["block", "seed"], sort=False):
        record = runs.record.iloc[0]
        for group in pool_records(runs.record).values():
            if not group.missing:
                scores = {name: asdict(one) for name, one in group.scores.items()}
                found = _by_forecaster(record, scores[record["model"]["name"]], scores)
                lines += [(block, group.name, metric, seed, *one) for metric, *one in found]
    scores = pd.DataFrame(lines, columns=SCORE).astype({"value": float})
    wanted = [(block, one, len(parts)) for block, horizon, parts, _ in rows if horizon == AVERAGE for one in parts]
    parts = scores.merge(pd.DataFrame(wanted, columns=[*CELL, "wanted"]))
    by_seed = parts.groupby(["block", "metric", "seed", "forecaster", "wanted"], sort=False).value
    means = by_seed.agg(value="mean", count="count").reset_index().assign(horizon=AVERAGE)
    return pd.concat([scores, means.loc[means["count"] == means.wanted, SCORE]], ignore_index=True)


def _by_forecaster(
    record: Mapping[str, Any], own: Mapping[str, Any], reports: Mapping[str, Any]
) -> Iterator[tuple[str, str, float | None]]:
    """Yield metric, forecaster and score, of the model and of each baseline; SeasonalNaive is a baseline itself."""
    model = record["model"]["name"]
    for metric in record["task"]["metrics"]:
        yield metric, OURS, own.get(metric)
        for name in BASELINES:
            report = reports.get(model if model.lower() == name.replace("_", "") else name)
            score = look_up(look_up(report, "standardised") or report, metric)
            if is_number(score):
                yield metric, name, score
