"""Write the tables as Markdown for people and as CSV for programs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from utils.results import printable
from utils.tables.records import FEW_SHOT, LONG_TERM, M4, ZERO_SHOT, look_up
from utils.tables.tables import BASELINES, CELL, Tables, by_size

NOTHING = "–"
WINDOWS = "MSE and MAE on the standardised scale, over every window of the test split"
SEEDS = (
    "Mean ± sample standard deviation over seeds; a single seed has no ±. An average is taken for each seed first, "
    "over the seeds that have all its parts. The difference is ours minus published; lower is better."
)
METRIC_TITLES = {"mse": "MSE", "mae": "MAE", "smape": "sMAPE", "mase": "MASE", "owa": "OWA"}
PUBLISHED_DIGITS = 3
COLUMNS = [
    "table", "data", "target", "percent", "features", "seq_len", "horizon", "model", "backbone", "init", "gpt_layers",
    "selected_on", "subset", "metric", "mean", "std", "seeds", "gap", "published", "difference", *BASELINES,
]  # fmt: skip


@dataclass(frozen=True)
class Section:
    """How one section of the tables looks.

    Attributes:
        title: its heading.
        protocol: what all its metrics have in common, as its first note.
        row: what tells the rows of a data set apart.
        digits: decimals of metrics.
        baselines: forecasts that need no training.
        published: whether there are published figures, which show all metrics in one column.
    """

    title: str
    protocol: str = ""
    row: str = "horizon"
    digits: int = 4
    baselines: tuple[str, ...] = BASELINES[:2]
    published: bool = True


SECTIONS = {
    LONG_TERM: Section("Long-term forecasting", f"{WINDOWS}; 96 steps seen where the row does not say otherwise."),
    FEW_SHOT: Section(
        "Few-shot forecasting",
        f"Trained on the share of the training rows that stands beside the data set. {WINDOWS}.",
    ),
    ZERO_SHOT: Section(
        "Zero-shot forecasting",
        f"Trained on the first data set, tested on the second with the second's own scaler. {WINDOWS}.",
    ),
    M4: Section(
        "Short-term forecasting: M4",
        "Scored as the competition does: sMAPE, MASE, and OWA relative to Naive2. Others pools Weekly, Daily and "
        "Hourly, Average all six, weighted by series. The best epoch was chosen on the last values of the training "
        "series; rows selected on test chose it on the test set, as the released code does.",
        row="pattern",
        digits=3,
        baselines=BASELINES,
    ),
}


def sections_of(tables: Tables) -> dict[str, Section]:
    """Return the sections by their names: those with published figures, then one for each other task."""
    others = {}
    for run in tables.runs.itertuples():
        if run.table not in SECTIONS:
            rows = tables.rows[tables.rows.table == run.table]
            scored = tuple(name for name in BASELINES if rows[name].notna().any())
            title = printable(run.record["task"]["title"])
            others[run.table] = Section(title, baselines=scored, published=False)
    return SECTIONS | dict(sorted(others.items()))


def to_csv(tables: Tables) -> str:
    """Return one line for each row and metric, seeds with spaces between, empty where there is nothing."""
    blocks = pd.DataFrame([asdict(block) for block in tables.rows.block])
    rows = pd.concat([blocks, tables.rows.drop(columns=["block", "table"])], axis=1)
    for name in ("seq_len", "gpt_layers"):
        rows[name] = rows[name].astype("Int64").mask(rows[name] == 0)
    return rows.to_csv(columns=COLUMNS, index=False, lineterminator="\n")


def to_markdown(tables: Tables) -> str:
    """Return a section for each table with its notes; then the runs left out and the files not read."""
    lines = ["# CALF: figures of the runs here beside the published ones", ""]
    if tables.runs.empty:
        lines += ["Nothing has been run yet: `sh scripts/reproduce.sh` runs what has data on disk.", ""]
    sections = sections_of(tables)
    for name, section in sections.items():
        lines += [f"## {section.title}", "", *_table(name, section, tables.rows), ""]
        lines += [*_bullets(_notes(name, section, tables)), ""]
    if left_out := [*_left_out(tables.runs, sections)]:
        lines += ["## Left out", "", "Runs that stand behind others of the same cell:", "", *_bullets(left_out), ""]
    if tables.unread:
        lines += ["## Not read", "", *_bullets(tables.unread), ""]
    return "\n".join(lines)


def _table(name: str, section: Section, rows: pd.DataFrame) -> Iterator[str]:
    rows = rows[rows.table == name]
    metrics = [METRIC_TITLES.get(metric, metric) for metric in rows.metric.unique()]
    ours = [" / ".join(metrics), "published", "difference"] if section.published else metrics
    baselines = [baseline.replace("_", " ") for baseline in section.baselines]
    titles = ["data set", section.row, *ours, *baselines, "seeds", "model, backbone"]
    yield _line(titles)
    yield _line(["---"] * len(titles))
    for (block, horizon), row in rows.groupby(CELL, sort=False):
        yield _line([block.title, horizon, *_cells(row, section), block.network or NOTHING])


def _cells(row: pd.DataFrame, section: Section) -> Iterator[str]:
    """Yield the cells of one row that hold numbers.

    Args:
        row: one line per metric.
        section: how they look.
    """
    first, digits = row.iloc[0], section.digits
    ours = [
        _number(mean, digits) + ("" if pd.isna(std) else f" ± {std:.{digits}f}")
        for mean, std in zip(row["mean"], row["std"], strict=True)
    ]
    if section.published:
        yield first.gap or _joined(ours)
        yield _joined(_number(value, PUBLISHED_DIGITS) for value in row.published)
        yield _joined(_number(value, digits, "+") for value in row.difference)
    else:
        yield from (first.gap or text for text in ours)
    for name in section.baselines:
        yield _joined(_number(value, digits) for value in row[name])
    yield NOTHING if pd.isna(first.seeds) else str(len(first.seeds.split()))


def _notes(name: str, section: Section, tables: Tables) -> Iterator[str]:
    """Yield the notes below one table: protocol, sources of published figures, and how our figures came about."""
    printed = tables.published[tables.published.table == name]
    yield from filter(None, (section.protocol, SEEDS))
    yield from (f"Published, with the pretrained GPT-2: {source}." for source in printed.source.unique() if source)
    yield from (f"{note}." for note in printed.note.unique() if note)
    shown = tables.runs[tables.runs.shown & (tables.runs.table == name)]
    for network, runs in shown.groupby("network"):
        yield f"{network}: {'; '.join(_origin(list(runs.record)))}."
    yield from sorted(_settings(shown))


def _origin(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield where the figures of one network come from."""
    yield f"seeds {_listed(look_up(record, 'run.seed') for record in records)}"
    if any("word_embeddings" in record["model"]["origin"] for record in records):
        yield f"word embeddings of {_listed(look_up(record, 'model.origin.word_embeddings.llm') for record in records)}"
    yield f"machines {_listed(map(_machine, records))}"
    yield f"commits {_listed(look_up(record, 'run.environment.commit') for record in records)}"
    if any("naive2" in record["data"] for record in records):
        yield f"Naive2 {_listed(look_up(record, 'data.naive2') for record in records)}"


def _machine(record: Mapping[str, Any]) -> str | None:
    device, torch = (look_up(record, f"run.environment.{part}") for part in ("device", "torch"))
    return device and f"{device} (PyTorch {torch})"


def _settings(shown: pd.DataFrame) -> Iterator[str]:
    """Yield the training flags that rows have in common, with the rows."""
    flags = [_flags(json.loads(settings)) for settings in shown.settings]
    places = [f"{block.model} on {block.title}" for block in shown.block]
    for text, runs in shown.assign(flags=flags, place=places).groupby("flags"):
        rows = runs.groupby("place").horizon.agg(_listed)
        yield f"Settings of {'; '.join(f'{place} ({horizons})' for place, horizons in rows.items())}: `{text}`"


def _flags(settings: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in settings.items() if name.startswith("--") and name != "--data_path"}
    return " ".join(f"{name} {value}" for name, value in shown.items())


def _listed(values: Iterable[Any]) -> str:
    """Return each value once, numbers by size."""
    return ", ".join(sorted({str(value) for value in values if value is not None}, key=by_size)) or "unknown"


def _left_out(runs: pd.DataFrame, sections: Mapping[str, Section]) -> Iterator[str]:
    """Yield a line for each group of runs that are not shown, with the reason."""
    for (block, horizon, here), group in runs[~runs.shown].groupby([*CELL, "settings"], sort=False):
        there = group.shown_settings.iloc[0]
        reason = "a newer run has the same settings and seed"
        if here != there:
            reason = _difference(json.loads(here), json.loads(there))
        seeds = ", ".join(map(str, sorted(group.seed)))
        title = sections[block.table].title
        yield f"{title}, {block.title}, {horizon}, {block.network}, seeds {seeds}: {reason}"


def _difference(here: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*here, *shown} if here.get(name) != shown.get(name))
    return ", ".join(f"{name} {here.get(name, 'unset')} (shown: {shown.get(name, 'unset')})" for name in names)


def _number(value: float, digits: int, sign: str = "") -> str:
    return NOTHING if pd.isna(value) else f"{value:{sign}.{digits}f}"


def _joined(texts: Iterable[str]) -> str:
    parts = list(texts)
    return NOTHING if set(parts) == {NOTHING} else " / ".join(parts)


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(printable(text).replace('|', chr(92) + '|') for text in texts)} |"


def _bullets(texts: Iterable[str]) -> Iterator[str]:
    return (f"- {printable(text)}" for text in texts)
