"""What stands below each table: protocol, source of the published figures, and how ours came about."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from utils.published import Published
from utils.records import look_up
from utils.table_cells import FEW_SHOT, LONG_TERM_TABLE, M4, ZERO_SHOT, Cell, Cells

WINDOWS = "MSE and MAE on the standardised scale, over every window of the test split"
PROTOCOLS = {
    LONG_TERM_TABLE: f"{WINDOWS}; 96 steps seen where the row does not say otherwise.",
    FEW_SHOT: f"Trained on the share of the training rows that stands beside the data set. {WINDOWS}.",
    ZERO_SHOT: f"Trained on the first data set, tested on the second with the second's own scaler. {WINDOWS}.",
    M4: "Scored as the competition does: sMAPE, MASE, and OWA relative to Naive2. Others pools Weekly, Daily and "
    "Hourly, Average all six, weighted by series. The best epoch was chosen on the last values of the training "
    "series; rows selected on test chose it on the test set, as the released code does.",
}
SEEDS = (
    "Mean ± sample standard deviation over seeds; a single seed has no ±. An average is taken for each seed first, "
    "over the seeds that have all its parts. The difference is ours minus published; lower is better."
)


def table_notes(table: str, cells: Cells, published: Published) -> Iterator[str]:
    """The notes of one table, a sentence or two each.

    Args:
        cells: of all tables.
    """
    yield PROTOCOLS[table]
    yield SEEDS
    printed = [figure for figure in published.figures if figure.table == table]
    yield from (f"Published, with the pretrained GPT-2: {s}." for s in dict.fromkeys(f.source for f in printed))
    yield from (f"{note}." for note in dict.fromkeys(figure.note for figure in printed) if note)
    mine = {block: row for block, row in cells.items() if block.table == table}
    yield from _provenance(mine)
    yield from _settings(mine)


def _provenance(cells: Cells) -> Iterator[str]:
    """For each network: seeds, word embeddings, machines and commits of its runs."""
    by_network: dict[str, list[Mapping[str, Any]]] = {}
    for block, row in cells.items():
        found = by_network.setdefault(block.network, [])
        found += [record.content for cell in row.values() for record in cell.runs.values()]
    for name, contents in sorted(by_network.items()):
        parts = {
            "seeds": [content["seed"] for content in contents],
            "word embeddings of": [look_up(content, "word_embeddings.llm") for content in contents],
            "machines": [_machine(content) for content in contents],
            "commits": [look_up(content, "environment.commit") for content in contents],
        }
        if any("naive2" in content for content in contents):
            parts["Naive2"] = [content.get("naive2") for content in contents]
        yield f"{name}: {'; '.join(f'{part} {_listed(values)}' for part, values in parts.items())}."


def _machine(content: Mapping[str, Any]) -> str | None:
    device, torch = (look_up(content, f"environment.{part}") for part in ("device", "torch"))
    return device and f"{device} (PyTorch {torch})"


def _settings(cells: Cells) -> Iterator[str]:
    """Rows by how they were trained."""
    by_flags: dict[str, dict[str, list[str]]] = {}
    for block, row in cells.items():
        for horizon, cell in row.items():
            by_flags.setdefault(_flags(cell), {}).setdefault(block.title, []).append(horizon)
    for flags, places in sorted(by_flags.items(), key=lambda item: sorted(item[1])):
        where = "; ".join(f"{name} ({_listed(horizons)})" for name, horizons in sorted(places.items()))
        yield f"Settings of {where}: `{flags}`"


def _flags(cell: Cell) -> str:
    shown = {name: value for name, value in cell.settings.items() if name.startswith("--") and name != "--data_path"}
    return " ".join(name if value is True else f"{name} {value}" for name, value in shown.items())


def _listed(values: Iterable[Any]) -> str:
    """Each value once, numbers by size."""
    words = {str(value) for value in values if value is not None}
    return ", ".join(sorted(words, key=lambda word: (not word.isdigit(), word.zfill(12)))) or "unknown"
