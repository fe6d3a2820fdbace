"""Which run belongs in which cell of the tables: same task and backbone, same training settings, one per seed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.m4.patterns import find_pattern
from utils.records import SHORT_TERM, Record, modern_config

LONG_TERM_TABLE, FEW_SHOT, ZERO_SHOT, M4 = TABLES = ("long_term", "few_shot", "zero_shot", "m4")
VALIDATION = "validation"

# Names of flags where they are not the last word of the configuration's own name.
FLAGS = {
    "description": "des", "data.root_path": "data_path", "data.draws": "m4_draws", "data.file": "data_path",
    "loss.task": "task_loss",
    "loss.output": "output_loss", "loss.feature": "feature_loss", "schedule.cosine": "cos", "lora.alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
}  # fmt: skip
# What a cell stands for already, and what does not change figures.
NO_SETTINGS = frozenset(
    {"task_name", "model", "model_id", "des", "seed", "data", "pred_len", "features", "percent", "seasonal_patterns",
     "protocol", "gpt_layers", "llm", "llm_init"}
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Rows that belong together: one data set under one protocol, and one backbone.

    Attributes:
        table: one of ``TABLES``. data: the data set trained on, of an own CSV its folder and file.
        target: the data set tested on, of zero-shot; else empty.
        percent: share of the training rows. features: ``M``, or ``S`` and ``MS`` with the target column.
        seq_len: steps seen; None for M4, where it follows from the pattern.
        model, backbone, init, gpt_layers: the network; empty and 0 where nothing was run.
        selected_on: the split that chose M4's best epoch; else empty.
        subset: of M4, whether other series were forecast than the competition has.
    """

    table: str
    data: str
    target: str = ""
    percent: int = 100
    features: str = "M"
    seq_len: int | None = 96
    model: str = ""
    backbone: str = ""
    init: str = ""
    gpt_layers: int = 0
    selected_on: str = ""
    subset: bool = False

    @property
    def title(self) -> str:
        """The data set, with all that is not as usual."""
        if self.table == M4:
            parts = ["M4, not all series" if self.subset else "M4"]
            if self.target:
                parts.append(f"tested on {self.target}")
            if self.selected_on not in ("", VALIDATION):
                parts.append(f"selected on {self.selected_on}")
            return ", ".join(parts)
        parts = [f"{self.data} → {self.target}" if self.target else self.data]
        if self.percent != 100:
            parts.append(f"{self.percent} %")
        if self.seq_len != 96:
            parts.append(f"seq_len {self.seq_len}")
        if self.features != "M":
            parts.append(self.features)
        return ", ".join(parts)

    @property
    def network(self) -> str:
        """Model and backbone in words; empty where nothing was run."""
        return self.model and f"{self.model}, {self.backbone} ({self.init}), {self.gpt_layers} blocks"


@dataclass(frozen=True)
class LeftOut:
    """Runs that have a cell but are not shown in it.

    Attributes:
        seeds: of the runs. reason: how they differ from those that are shown.
    """

    block: Block
    horizon: str
    seeds: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Cell:
    """The runs shown in one cell, by seed: equal in all but the seed."""

    runs: Mapping[int, Record]

    @property
    def settings(self) -> dict[str, Any]:
        """How they were trained."""
        return settings(next(iter(self.runs.values())))


Cells = dict[Block, dict[str, Cell]]


def group(records: Iterable[Record]) -> tuple[Cells, list[LeftOut]]:
    """Sort records into cells, by block and horizon (M4: pattern).

    Where runs of one cell were trained differently, those with the most seeds are shown, of equally many the
    newest; of several runs of one seed, the newest.
    """
    places: dict[tuple[Block, str], list[Record]] = {}
    for record in records:
        places.setdefault((block_of(record), horizon_of(record)), []).append(record)
    cells: Cells = {}
    left_out: list[LeftOut] = []
    for (block, horizon), found in places.items():
        shown, others = _choose(found)
        cell = Cell(_newest_by_seed(shown))
        cells.setdefault(block, {})[horizon] = cell
        repeated = [record for record in shown if cell.runs[record.seed] is not record]
        if repeated:
            left_out.append(LeftOut(block, horizon, _seeds(repeated), "a newer run has the same settings and seed"))
        for runs in others:
            left_out.append(LeftOut(block, horizon, _seeds(runs), _difference(settings(runs[0]), cell.settings)))
    return cells, left_out


def block_of(record: Record) -> Block:
    """The rows that a record belongs to."""
    content, data = record.content, record.content["config"]["data"]
    m4 = content["task_name"] == SHORT_TERM
    percent, features = (100, "M") if m4 else (data["percent"], data["features"])
    target = content.get("target_data") or ""
    table = M4 if m4 else ZERO_SHOT if target else FEW_SHOT if percent != 100 else LONG_TERM_TABLE
    return Block(
        table=table,
        data=_tail(data.get("file")) or "custom" if content["data"] == "custom" else content["data"],
        target=target,
        percent=percent,
        features=features if features == "M" else f"{features} {data['target']}",
        seq_len=None if m4 else content["seq_len"],
        model=content["model"],
        backbone=_name(content["backbone"]["name"]),
        init=content["backbone"]["init"],
        gpt_layers=content["config"]["gpt_layers"],
        selected_on=content["selected_on"] if m4 else "",
        subset=m4 and _series(content) != find_pattern(content["seasonal_patterns"]).series,
    )


def _series(content: Mapping[str, Any]) -> int:
    return content["metrics"][content["model"]]["series"]


def horizon_of(record: Record) -> str:
    """The row of a record inside its block."""
    content = record.content
    return content["seasonal_patterns"] if content["task_name"] == SHORT_TERM else str(content["pred_len"])


def settings(record: Record) -> dict[str, Any]:
    """How a run was trained, by flag: all that its figures depend on but its cell and its seed.

    Files count by their contents where the record has them, else by name: runs of two machines are the same
    run although their paths differ.
    """
    content = record.content
    found = {f"--{name}": value for name, value in _flags(modern_config(content["config"])) if name not in NO_SETTINGS}
    digest = content.get("data_digest")
    if digest:
        found.pop("--data_path", None)
        found["contents of the data"] = digest
    if content["backbone"]["init"] == "pretrained":  # a random one differs from seed to seed
        found["fingerprint of the backbone"] = content["backbone"].get("fingerprint")
    found["Naive2"] = content.get("naive2")  # OWA depends on it: official or computed
    return {name: value for name, value in sorted(found.items()) if value is not None}


def _flags(config: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in config.items():
        name = FLAGS.get(prefix + key, key)
        if key == "lora":
            yield "lora", int(bool(value))
        if isinstance(value, Mapping):
            yield from _flags(value, f"{prefix}{key}.")
        elif key != "lora":
            yield name, _plain(name, value)


def _plain(name: str, value: Any) -> Any:
    """A value as it stands on the command line, of a file only what is the same on another machine."""
    if name == "data_path":
        return _tail(value)
    if name == "word_embedding_path":
        return value and Path(value).name
    if name == "precision" and value == "fp32":
        return None  # as without the flag
    return int(value) if isinstance(value, bool) else value


def _choose(records: Sequence[Record]) -> tuple[list[Record], list[list[Record]]]:
    """The runs of the settings to show, and those of each other settings."""
    by_settings: dict[str, list[Record]] = {}
    for record in records:
        by_settings.setdefault(json.dumps(settings(record), sort_keys=True), []).append(record)

    def rank(key: str) -> tuple[int, float, str]:
        runs = by_settings[key]
        return len(set(_seeds(runs))), max(run.modified for run in runs), key

    shown = by_settings.pop(max(by_settings, key=rank))
    return shown, list(by_settings.values())


def _newest_by_seed(records: Sequence[Record]) -> dict[int, Record]:
    by_age = sorted(records, key=lambda record: (record.modified, record.path))
    return dict(sorted({record.seed: record for record in by_age}.items()))


def _seeds(records: Iterable[Record]) -> tuple[int, ...]:
    return tuple(sorted(record.seed for record in records))


def _difference(here: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*here, *shown} if here.get(name) != shown.get(name))
    return ", ".join(f"{name} {here.get(name, 'unset')} (shown: {shown.get(name, 'unset')})" for name in names)


def _tail(path: Any) -> str | None:
    """Folder and file, without the way there."""
    return "/".join(Path(path).parts[-2:]) if isinstance(path, str) else None


def _name(llm: str) -> str:
    """A hub's name as it is, of a folder its last part."""
    return Path(llm).name if Path(llm).is_absolute() else llm
