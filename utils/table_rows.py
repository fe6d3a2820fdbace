"""Rows of the tables: mean and deviation over seeds, averages, what is missing, beside the published figures."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from utils.m4.records import pool_records
from utils.m4.scores import POOLS
from utils.published import Published
from utils.records import Record, is_number, look_up
from utils.table_cells import FEW_SHOT, LONG_TERM_TABLE, M4, VALIDATION, ZERO_SHOT, Block, Cell, Cells, LeftOut

METRICS = {
    LONG_TERM_TABLE: ("mse", "mae"),
    FEW_SHOT: ("mse", "mae"),
    ZERO_SHOT: ("mse", "mae"),
    M4: ("smape", "mase", "owa"),
}
BASELINES = ("naive", "seasonal_naive", "naive2")
OURS = "ours"
AVERAGE = "average"
PUBLISHED_PERCENT = {FEW_SHOT: 10}

# By forecaster (OURS and the baselines) and metric; None where a score does not exist.
Scores = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class Figure:
    """One metric of one row.

    Attributes:
        mean: over seeds. std: the sample standard deviation; None for a single seed.
        published: the paper's. baselines: mean by name, of forecasts that need no model.
    """

    mean: float | None
    std: float | None
    published: float | None
    baselines: Mapping[str, float]

    @property
    def difference(self) -> float | None:
        """Ours minus published."""
        return None if self.mean is None or self.published is None else self.mean - self.published


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        horizon: steps, ``average``, or M4's pattern or group. seeds: those that count.
        gap: why there are no figures, ``missing`` or ``3 of 4 horizons``; else empty.
    """

    block: Block
    horizon: str
    seeds: tuple[int, ...]
    gap: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Tables:
    """All that is known of the runs.

    Attributes:
        rows: by table. cells: the runs behind them. left_out: runs that are in no row.
        notes: files that could not be read, and why.
    """

    rows: Mapping[str, Sequence[Row]]
    cells: Cells
    left_out: Sequence[LeftOut]
    notes: Sequence[str]


def rows_of_table(table: str, cells: Cells, published: Published) -> list[Row]:
    """All rows of one table, the published data sets first; those that were not run are there too."""
    rows = _m4_rows if table == M4 else _window_rows
    return [row for block in _blocks(table, cells, published) for row in rows(block, cells.get(block, {}), published)]


def _blocks(table: str, cells: Cells, published: Published) -> list[Block]:
    """The blocks of a table in their order, one without a network for each published data set that was not run."""
    order = published.pairs(table)
    run = [block for block in cells if block.table == table]
    done = {(b.data, b.target) for b in run if _is_published(b, published) and b.selected_on in ("", VALIDATION)}
    seq_len, percent = None if table == M4 else 96, PUBLISHED_PERCENT.get(table, 100)
    unrun = [Block(table, *pair, percent=percent, seq_len=seq_len) for pair in order if pair not in done]

    def place(block: Block) -> tuple[object, ...]:
        pair = (block.data, block.target)
        return (
            order.index(pair) if pair in order else len(order), pair, not _is_published(block, published),
            -block.percent, block.features, block.seq_len or 0, block.subset, block.selected_on != VALIDATION,
            block.model, block.backbone, block.init, block.gpt_layers,
        )  # fmt: skip

    return sorted([*run, *unrun], key=place)


def _is_published(block: Block, published: Published) -> bool:
    """Whether the paper has figures for this data set and protocol, whatever the backbone."""
    protocol = (block.percent, block.features, block.seq_len)
    wanted = (PUBLISHED_PERCENT.get(block.table, 100), "M", None if block.table == M4 else 96)
    return protocol == wanted and not block.subset and (block.data, block.target) in published.pairs(block.table)


def _window_rows(block: Block, cells: Mapping[str, Cell], published: Published) -> Iterator[Row]:
    paper = published.horizons(block.table, block.data, block.target) if _is_published(block, published) else []
    per_horizon = {horizon: _by_seed(cell) for horizon, cell in cells.items()}
    horizons = sorted({*paper, *cells}, key=int)
    for horizon in horizons:
        values = _published_values(published, block, horizon) if horizon in paper else {}
        yield _row(block, horizon, per_horizon.get(horizon, {}), "missing", values)
    averaged = paper or horizons
    if len(averaged) > 1:
        yield _average(block, averaged, per_horizon, published)


def _average(
    block: Block, horizons: Sequence[str], per_horizon: Mapping[str, Mapping[int, Scores]], published: Published
) -> Row:
    present = [per_horizon[horizon] for horizon in horizons if horizon in per_horizon]
    gap, shared = f"{len(present)} of {len(horizons)} horizons", ()
    if len(present) == len(horizons):
        gap, shared = "no seed has all horizons", _shared(present)
    by_seed = {seed: _mean([runs[seed] for runs in present]) for seed in shared}
    printed = [_published_values(published, block, horizon) for horizon in horizons]
    in_full = {metric: [values[metric] for values in printed] for metric in METRICS[block.table]}
    means = {m: statistics.mean(v) for m, v in in_full.items() if None not in v and _is_published(block, published)}
    return _row(block, AVERAGE, by_seed, gap, means)


def _m4_rows(block: Block, cells: Mapping[str, Cell], published: Published) -> Iterator[Row]:
    for name, members in POOLS.items():
        present = [cells[member] for member in members if member in cells]
        single = len(members) == 1
        gap = "missing" if single or not present else f"{len(present)} of {len(members)} patterns"
        shared = ()
        if len(present) == len(members):
            shared = _shared([cell.runs for cell in present])
            gap = "no seed has all patterns"
        by_seed = {seed: _pooled(name, [cells[member].runs[seed] for member in members]) for seed in shared}
        yield _row(block, name, by_seed, gap, _published_values(published, block, name))


def _row(
    block: Block, horizon: str, by_seed: Mapping[int, Scores], gap: str, published: Mapping[str, float | None]
) -> Row:
    figures = {
        metric: _figure(metric, list(by_seed.values()), published.get(metric)) for metric in METRICS[block.table]
    }
    return Row(block, horizon, tuple(by_seed), "" if by_seed else gap, figures)


def _figure(metric: str, runs: Sequence[Scores], published: float | None) -> Figure:
    ours = [run[OURS][metric] for run in runs]
    known = bool(ours) and None not in ours
    baselines = {name: [run[name][metric] for run in runs if name in run] for name in BASELINES}
    return Figure(
        mean=statistics.mean(ours) if known else None,
        std=statistics.stdev(ours) if known and len(ours) > 1 else None,
        published=published,
        baselines={name: statistics.mean(v) for name, v in baselines.items() if v and None not in v},
    )


def _published_values(published: Published, block: Block, horizon: str) -> dict[str, float | None]:
    metrics = METRICS[block.table]
    return {m: published.value(block.table, block.data, block.target, horizon, m) for m in metrics}


def _by_seed(cell: Cell) -> dict[int, Scores]:
    return {seed: _window_scores(record) for seed, record in cell.runs.items()}


def _window_scores(record: Record) -> Scores:
    """MSE and MAE of the model and of each baseline that was scored."""
    content = record.content
    found = {OURS: {"mse": content["mse"], "mae": content["mae"]}}
    for name in BASELINES:
        scores = {m: look_up(content, f"metrics.{name}.standardised.{m}") for m in ("mse", "mae")}
        if all(is_number(score) for score in scores.values()):
            found[name] = scores
    return found


def _pooled(group: str, records: Iterable[Record]) -> Scores:
    """M4's scores of a group, from one record for each of its patterns."""
    contents = [record.content for record in records]
    scores = pool_records(contents)[group].scores
    model = contents[0]["model"]
    return {
        OURS if name == model else name: {metric: getattr(score, metric) for metric in METRICS[M4]}
        for name, score in scores.items()
    }


def _shared(runs: Sequence[Mapping[int, object]]) -> tuple[int, ...]:
    """The seeds that all have."""
    return tuple(sorted(set.intersection(*(set(by_seed) for by_seed in runs)))) if runs else ()


def _mean(parts: Sequence[Scores]) -> Scores:
    """Mean over horizons of each forecaster that all have."""
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {
        name: {metric: statistics.mean(part[name][metric] for part in parts) for metric in parts[0][name]}
        for name in names
    }
