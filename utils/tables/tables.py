"""Average the runs of each cell over seeds and horizons, and put the published figures beside them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from utils.m4.scores import POOLS, pool_records
from utils.tables.cells import Block, block_of, horizon_of, settings
from utils.tables.records import FEW_SHOT, M4, Record, is_number, look_up

FILE = Path(__file__).with_name("published.csv")
PUBLISHED_MODELS = ("CALF", "")  # the second: rows of what is published and was not run
BASELINES = ("naive", "seasonal_naive", "naive2")
OURS, AVERAGE = "ours", "average"
CELL = ["block", "horizon"]
FIGURE = [*CELL, "metric"]
RUN = [*CELL, "seed", "settings", "modified", "record"]
SCORE = [*CELL, "seed", "forecaster", "metric", "value"]

Row = tuple[Block, str, Sequence[str], str]  # block, horizon, the horizons or patterns behind it, and its gap


@dataclass(frozen=True)
class Tables:
    """All that is known of the runs.

    Attributes:
        rows: one line per row and metric, in the order of the tables.
        runs: one line per run: its cell, its settings and those that the cell shows, and whether it is shown.
        published: one line per published figure.
        unread: files that could not be read, and why.
    """

    rows: pd.DataFrame
    runs: pd.DataFrame
    published: pd.DataFrame
    unread: Sequence[str]


def make_tables(records: Iterable[Record], unread: Sequence[str] = ()) -> Tables:
    """Return the tables of some records; ``unread`` are notes about files that are none."""
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
    for figures in _over_seeds(_scores(shown, lines)):
        rows = rows.merge(figures, how="left", on=FIGURE)
    rows["difference"] = rows["mean"] - rows.published
    rows["gap"] = rows.gap.where(rows.seeds.isna(), "")
    return Tables(rows, runs, published, unread)


def read_published(path: Path = FILE) -> pd.DataFrame:
    """Return the published figures, with their averages over the horizons of each data set.

    Columns are those of the file and ``protocol``, the block of rows that a figure can be compared with.
    """
    figures = pd.read_csv(path, dtype=str, keep_default_na=False).astype({"value": float})
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
        (block_of(record), horizon_of(record), record.content["run"]["seed"],
         json.dumps(settings(record.content), sort_keys=True), record.modified, record.content)
        for record in records
    ]  # fmt: skip
    runs = pd.DataFrame(lines, columns=RUN)
    for name in ("table", "title", "network"):
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
    """Yield the rows of all blocks, among them blocks without a model for what is published and was not run."""
    printed = published[published.horizon != AVERAGE].groupby("protocol", sort=False).horizon.unique()
    run = dict(shown.groupby("block", sort=False).horizon.unique())
    done = {block.protocol for block in run if block.model in PUBLISHED_MODELS and block.selected_on != "test"}
    run |= {block: [] for block in printed.index if block not in done}
    for block, horizons in run.items():
        yield from _rows_of(block, {*horizons}, list(printed.get(block.protocol, [])))


def _rows_of(block: Block, run: set[str], printed: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of one block: what was run and, for a model with published figures, what is published."""
    horizons = sorted({*printed, *run}, key=by_size)
    averaged = printed or horizons
    groups = {horizon: [horizon] for horizon in horizons} | ({AVERAGE: averaged} if len(averaged) > 1 else {})
    for horizon, members in (POOLS if block.table == M4 else groups).items():
        present = run.intersection(members)
        if present or (printed and block.model in PUBLISHED_MODELS):
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

    def place(row: Row) -> tuple[Any, ...]:
        block, horizon, *_ = row
        return (
            _rank(block.table, list(published.table.unique())), block.table,
            _rank((block.table, block.data, block.target), pairs), block.protocol not in protocols, block.protocol,
            block.selected_on == "test", _rank(horizon, [*POOLS]), by_size(horizon), block,
        )  # fmt: skip

    return sorted(rows, key=place)


def _rank(item: Any, order: Sequence[Any]) -> int:
    return order.index(item) if item in order else len(order)


def _scores(shown: pd.DataFrame, rows: Iterable[Row]) -> pd.DataFrame:
    """Return one line per row, seed, forecaster (``ours`` and the baselines) and metric."""
    lines = [score for run in shown[shown.table != M4].itertuples() for score in _window_scores(run)]
    for (block, seed), runs in shown[shown.table == M4].groupby(["block", "seed"], sort=False):
        lines += [(block, group, seed, *score) for group, *score in _pooled_scores(list(runs.record))]
    scores = pd.DataFrame(lines, columns=SCORE).astype({"value": float})
    return pd.concat([scores, _averages(scores, rows)], ignore_index=True)


def _window_scores(run: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the scores of a run and of each baseline that was scored."""
    scores = run.record["scores"]
    for metric in run.record["task"]["metrics"]:
        yield run.block, run.horizon, run.seed, OURS, metric, scores[metric]
        for name, key in _baselines(run.record).items():
            report = scores["metrics"].get(key)
            score = look_up(look_up(report, "standardised") or report, metric)
            if is_number(score):
                yield run.block, run.horizon, run.seed, name, metric, score


def _baselines(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of the scores of the baselines; a model such as SeasonalNaive is a baseline itself."""
    model = record["model"]["name"]
    return {name: model if model.lower() == name.replace("_", "") else name for name in BASELINES}


def _pooled_scores(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield group, forecaster, metric and score for each group of M4 that is complete in one seed's records."""
    keys = {OURS: records[0]["model"]["name"], **_baselines(records[0])}
    for group in pool_records(records).values():
        for name, key in keys.items():
            if key in group.scores and not group.missing:
                scores = asdict(group.scores[key])
                yield from ((group.name, name, metric, score) for metric, score in scores.items())


def _averages(scores: pd.DataFrame, rows: Iterable[Row]) -> pd.DataFrame:
    """Return the averages over horizons for each seed that has all of them, in the columns of ``scores``."""
    members = [(block, one, len(parts)) for block, row, parts, _ in rows if row == AVERAGE for one in parts]
    parts = scores.merge(pd.DataFrame(members, columns=[*CELL, "wanted"]))
    by_seed = parts.groupby(["block", "seed", "forecaster", "metric", "wanted"], sort=False).value
    means = by_seed.agg(["mean", "count"]).reset_index()
    whole = means[means["count"] == means.wanted]
    return whole.rename(columns={"mean": "value"}).assign(horizon=AVERAGE)[SCORE]


def _over_seeds(scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield frames to merge: mean, deviation and seeds of the model, and the mean of each baseline."""
    ours = scores[scores.forecaster == OURS].groupby(FIGURE, sort=False)
    figures = ours.value.agg(["mean", "std", "count", "size"]).reset_index()
    figures[["mean", "std"]] = figures[["mean", "std"]].where(figures["count"] == figures["size"], axis=0)
    yield figures[[*FIGURE, "mean", "std"]]
    yield ours.seed.agg(lambda seeds: " ".join(map(str, sorted(seeds)))).rename("seeds").reset_index()
    for name in BASELINES:
        baseline = scores[scores.forecaster == name].groupby(FIGURE, sort=False)
        yield baseline.value.mean().rename(name).reset_index()
