"""Tell which cell of the tables a run belongs to, and how it was trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from utils.m4.patterns import PATTERNS
from utils.results import printable
from utils.tables.records import M4, Record

NOTHING = "–"
# Flags that say which cell a run belongs to, how it is called, and where its data lie.
NO_SETTINGS = frozenset(
    {"task_name", "model", "data", "seq_len", "pred_len", "features", "target", "percent", "seasonal_patterns",
     "m4_protocol", "seed", "model_id", "des", "llm", "llm_init", "gpt_layers", "channels", "season",
     "file", "files", "root_path", "data_path"}
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Block:
    """Rows that belong together: one data set under one protocol, and one model; an empty text or 0 stands for none.

    Attributes:
        data: the data set trained on; of an own CSV its folder and file.
        target: the data set tested on, of zero-shot.
        features: ``M``, or ``S`` and ``MS`` with the target column.
        seq_len: 0 where it follows from the row (M4).
        subset: whether other series were forecast than the M4 competition has.
        selected_on: the split that chose M4's best epoch.
        model: empty where nothing was run.
    """

    table: str
    data: str
    target: str = ""
    percent: int = 100
    features: str = "M"
    seq_len: int = 96
    subset: bool = False
    selected_on: str = ""
    model: str = ""
    backbone: str = ""
    init: str = ""
    gpt_layers: int = 0

    @property
    def title(self) -> str:
        """Return the data set, with everything that is unusual."""
        if self.table == M4:
            parts = ["M4", self.subset and "not all series", self.target and f"tested on {self.target}"]
        else:
            parts = [f"{self.data} → {self.target}" if self.target else self.data]
        parts += [
            self.percent != 100 and f"{self.percent} %",
            self.seq_len not in (0, 96) and f"seq_len {self.seq_len}",
            self.features != "M" and self.features,
            self.selected_on == "test" and "selected on test",
        ]
        return ", ".join(filter(None, parts))

    @property
    def network(self) -> str:
        """Return model and backbone in words; empty where nothing was run."""
        backbone = f", {self.backbone} ({self.init})" if self.backbone else ""
        return f"{self.model}{backbone}" + (f", {self.gpt_layers} blocks" if self.gpt_layers else "")

    @property
    def protocol(self) -> "Block":
        """Return the block of published figures that has the data and the protocol of these rows."""
        return replace(self, selected_on="", model="", backbone="", init="", gpt_layers=0)


def cell_of(record: Record) -> tuple[Block, str]:
    """Return the block that a run belongs to, and its row there: a pattern of M4, or the steps forecast."""
    data, model, m4 = record.content["data"], record.content["model"], record.section == M4
    flags, backbone = data["config"], model["origin"].get("backbone") or {}
    horizon = flags["seasonal_patterns"] if m4 else str(flags.get("pred_len", NOTHING))
    features = flags.get("features") or "M"
    series = record.content["scores"]["metrics"][model["name"]]["series"] if m4 else 0
    block = Block(
        table=printable(record.section),
        data=printable(_tail(flags.get("file")) or "custom" if data["name"] == "custom" else data["name"]),
        target=printable(data.get("target_data") or ""),
        percent=flags.get("percent") or 100,
        features=features if features == "M" else printable(f"{features} {flags.get('target')}"),
        seq_len=flags.get("seq_len") or 0,
        subset=m4 and series != PATTERNS[horizon].series,
        selected_on=printable(data.get("selected_on") or ""),
        model=printable(model["name"]),
        backbone=printable(_portable(backbone.get("name") or "")),
        init=printable(backbone.get("init") or ""),
        gpt_layers=(model["config"].get("gpt_layers") or 0) if backbone else 0,
    )
    return block, horizon


def settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a run was trained, by flag: all that its metrics depend on but its cell and its seed.

    Files count by their contents where the record has them, else by name: the path differs between machines.
    """
    data, backbone = content["data"], content["model"]["origin"].get("backbone") or {}
    flags = {**data["config"], **content["run"]["config"], **content["model"]["config"]}
    found = {f"--{name}": _portable(value) for name, value in flags.items() if name not in NO_SETTINGS}
    found["contents of the data"] = digest = data.get("digest")
    found["--data_path"] = None if digest else _tail(flags.get("file") or flags.get("root_path"))
    if backbone.get("init") == "pretrained":  # a random one differs from seed to seed
        found["fingerprint of the backbone"] = backbone.get("fingerprint")
    found["Naive2"] = data.get("naive2")  # OWA depends on it: official or computed
    return {name: value for name, value in sorted(found.items()) if value is not None}


def _portable(value: Any) -> Any:
    """Return a value as on the command line, of a path only its last part, which is equal on all machines."""
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return int(value) if isinstance(value, bool) else value


def _tail(path: Any) -> str | None:
    """Return folder and file, without the folders above."""
    return "/".join(Path(path).parts[-2:]) if isinstance(path, str) else None
