"""The tables for people: Markdown with a section for each."""

from collections.abc import Iterable, Iterator, Sequence

from utils.published import Published
from utils.table_cells import FEW_SHOT, LONG_TERM_TABLE, M4, ZERO_SHOT, LeftOut
from utils.table_notes import table_notes
from utils.table_rows import METRICS, Row, Tables

NOTHING = "–"
TITLES = {
    LONG_TERM_TABLE: "Long-term forecasting",
    FEW_SHOT: "Few-shot forecasting",
    ZERO_SHOT: "Zero-shot forecasting",
    M4: "Short-term forecasting: M4",
}
METRIC_TITLES = {"mse": "MSE", "mae": "MAE", "smape": "sMAPE", "mase": "MASE", "owa": "OWA"}
FIRST_TITLES = {M4: ("data set", "pattern")}
SHOWN_BASELINES = {M4: ("naive", "seasonal_naive", "naive2")}
DIGITS = {M4: 3}
PUBLISHED_DIGITS = 3


def to_markdown(tables: Tables, published: Published) -> str:
    """A section for each table, its notes below it; then what was left out and what could not be read."""
    lines = ["# CALF: figures of the runs here beside the published ones", ""]
    if not tables.cells:
        lines += ["Nothing has been run yet: `sh scripts/reproduce.sh` runs what has data on disk.", ""]
    for table, rows in tables.rows.items():
        lines += [f"## {TITLES[table]}", "", *_table(table, rows), ""]
        lines += [*_bullets(table_notes(table, tables.cells, published)), ""]
    if tables.left_out:
        lines += ["## Left out", "", "Runs that stand behind others of the same cell:", ""]
        lines += [*_bullets(map(_left_out, tables.left_out)), ""]
    if tables.notes:
        lines += ["## Not read", "", *_bullets(tables.notes), ""]
    return "\n".join(lines)


def _table(table: str, rows: Iterable[Row]) -> Iterator[str]:
    baselines = SHOWN_BASELINES.get(table, ("naive", "seasonal_naive"))
    titles = [
        *FIRST_TITLES.get(table, ("data set", "horizon")),
        " / ".join(METRIC_TITLES[metric] for metric in METRICS[table]),
        "published",
        "difference",
        *(name.replace("_", " ") for name in baselines),
        "seeds",
        "model, backbone",
    ]
    yield _line(titles)
    yield _line(["---"] * len(titles))
    for row in rows:
        yield _line(_row(row, baselines, DIGITS.get(table, 4)))


def _row(row: Row, baselines: Sequence[str], digits: int) -> Iterator[str]:
    figures = list(row.figures.values())
    yield row.block.title
    yield row.horizon
    yield row.gap or _joined(_mean(figure.mean, figure.std, digits) for figure in figures)
    yield _joined(_number(figure.published, PUBLISHED_DIGITS) for figure in figures)
    yield _joined(_number(figure.difference, digits, "+") for figure in figures)
    for name in baselines:
        yield _joined(_number(figure.baselines.get(name), digits) for figure in figures)
    yield str(len(row.seeds) or NOTHING)
    yield row.block.network or NOTHING


def _left_out(runs: LeftOut) -> str:
    block, seeds = runs.block, ", ".join(map(str, runs.seeds))
    return f"{TITLES[block.table]}, {block.title}, {runs.horizon}, {block.network}, seeds {seeds}: {runs.reason}"


def _mean(mean: float | None, std: float | None, digits: int) -> str:
    return _number(mean, digits) + (f" ± {std:.{digits}f}" if std is not None else "")


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return NOTHING if value is None else f"{value:{sign}.{digits}f}"


def _joined(texts: Iterable[str]) -> str:
    parts = list(texts)
    return NOTHING if set(parts) == {NOTHING} else " / ".join(parts)


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(_plain(text).replace('|', chr(92) + '|') for text in texts)} |"


def _bullets(texts: Iterable[str]) -> Iterator[str]:
    return (f"- {_plain(text)}" for text in texts)


def _plain(text: str) -> str:
    """Without line breaks: names of files and columns may hold anything."""
    return " ".join(text.split())
