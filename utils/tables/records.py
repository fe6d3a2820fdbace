"""Read the records of finished runs, checked, and tell which cell of the tables a run belongs to."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from utils.errors import UserError
from utils.m4.patterns import COMPETITIONS
from utils.m4.scores import Scores
from utils.results import FORMAT, RECORD

LONG_TERM, FEW_SHOT, ZERO_SHOT, CROSS, M4 = "long_term", "few_shot", "zero_shot", "cross_domain", "m4"
NOTHING = "–"

KINDS = {
    str: "text",
    int: "a whole number",
    dict: "a group of values",
    list: "a list",
    bool: "true or false",
    float: "a finite number",
}
# What a record holds, by dotted name; ``| None``: or lacks.
RECORD_PARTS = {
    "task.name": str, "task.title": str, "task.metrics": list, "run.seed": int, "run.config": dict, "data.name": str,
    "data.digest": str, "data.config": dict, "data.config.file": str | None, "data.config.seq_len": int | None,
    "data.config.searched": bool | None,
    "data.config.pred_len": int | None, "data.config.percent": int | None, "data.config.features": str | None,
    "data.config.files": list | None, "data.target_data": str | None, "data.in_domain": bool | None,
    "data.shuffle_input": str | None, "data.variant": str | None,
    "data.selected_on": str | None, "model.name": str, "model.config": dict,
    "model.config.gpt_layers": int | None, "model.switches": dict | None, "model.origin": dict,
    "model.origin.backbone": dict | None,
    "model.parameters.total": int | None, "model.parameters.trained": int | None,
    "cost.milliseconds_per_forecast": float | None, "cost.peak_memory": int | None,
    "run.training.seconds": float | None, "run.training.epochs": list | None,
    "model.origin.backbone.name": str | None, "model.origin.backbone.init": str | None, "scores.metrics": dict,
}  # fmt: skip
M4_REPORT = get_type_hints(Scores)
# Flags that say which cell a run belongs to, how it is called, and where its data lie.
NO_SETTINGS = frozenset(
    {"task_name", "model", "data", "seq_len", "pred_len", "features", "target", "percent", "seasonal_patterns",
     "m4_protocol", "seed", "model_id", "des", "llm", "llm_init", "gpt_layers", "channels", "season",
     "future_cols", "calendar", "holidays", "known", "file", "files", "root_path", "data_path",
     "searched", "averaged", "recipe", "mask_rate", "mask_kind", "imputation_protocol", "reconstructs", "classes",
     "mean_of_all", "test_path", "anomaly_protocol", "classification_protocol"}
)  # fmt: skip


# Values of flags that make a test another one, and what the title of a row says of them.
UNUSUAL = {
    ("searched", True): "look-back searched",
    ("mask_kind", "block"): "gaps of several steps",
    ("imputation_protocol", "release"): "windows as released",
    ("anomaly_protocol", "release"): "windows and threshold as released",
}


USUAL_LENGTHS = {"anomaly_detection": 100}  # of windows, where it is not 96


class Record(NamedTuple):
    """What one run left behind.

    Attributes:
        modified: when its file was written, in seconds of the clock.
        content: of the file, checked.
        folder: where it lies.
    """

    modified: float
    content: dict[str, Any]
    folder: Path = Path()

    @property
    def section(self) -> str:
        """Return the section of the tables that shows the run. Only here do the tables compare the names of tasks."""
        task, data = self.content["task"]["name"], self.content["data"]
        if task == "short_term_forecast":
            return M4
        if task != "long_term_forecast":
            return task
        if data.get("target_data"):
            return CROSS if "," in data["name"] else ZERO_SHOT
        return LONG_TERM if data["config"].get("percent") in (None, 100) else FEW_SHOT


def read_records(folder: Path) -> tuple[list[Record], list[str]]:
    """Return every record below ``folder``, by path, and one note for each file that is none or is damaged.

    A folder that does not exist holds no records.

    Raises:
        UserError: ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--results {folder} is a file; name the folder that holds the runs' folders.")
    records, notes = [], []
    for path in sorted(folder.rglob(RECORD)):
        try:
            if not path.is_file():
                raise ValueError("not a regular file")  # one without an end, or that waits for a writer
            record = Record(path.stat().st_mtime, json.loads(path.read_text(encoding="utf-8")), path.parent)
            _check(record)
            records.append(record)
        except (OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, no UTF-8, or no record
            notes.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    return records, notes


def look_up(content: Any, dotted: str) -> Any:
    """Return a value inside nested groups, such as ``run.seed``; None where there is none."""
    for part in dotted.split("."):
        content = content.get(part) if isinstance(content, Mapping) else None
    return content


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; an integer too large for a float is none."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _check(record: Record) -> None:
    """Raise ValueError, with the reason, where a file holds no record."""
    content, found = record.content, look_up(record.content, "format")
    if found != FORMAT:
        raise ValueError(f"no record of format {FORMAT}: format is {_shown(found)}; repeat the run")
    _check_kinds(content, RECORD_PARTS)
    scores = content["scores"]
    for metric in content["task"]["metrics"]:
        if not (isinstance(metric, str) and metric.isprintable()):
            raise ValueError(f"task.metrics holds {_shown(metric)}, not a name")
        if metric not in scores or not (scores[metric] is None or is_number(scores[metric])):
            raise ValueError(f"scores.{metric} is {_shown(scores.get(metric))}, not {KINDS[float]}")
    if record.section == M4:
        _check_m4(content)


def _check_m4(content: Mapping[str, Any]) -> None:
    """Check what pooling needs: the pattern, and scores of all forecasters on one set of series."""
    pattern, reports = look_up(content, "data.config.seasonal_patterns"), content["scores"]["metrics"]
    competition = COMPETITIONS.get(content["data"]["name"])
    if competition is None:
        raise ValueError(f"data.name is {_shown(content['data']['name'])}, no competition")
    if pattern not in list(competition.patterns):
        raise ValueError(f"data.config.seasonal_patterns is {_shown(pattern)}, no pattern of {competition.name}")
    for name in (content["model"]["name"], *reports):
        report, place = reports.get(name), f"scores.metrics.{name}"
        if not isinstance(report, dict) or report.keys() != M4_REPORT.keys():
            raise ValueError(f"{place} does not hold the scores of M4 alone")
        _check_kinds(report, M4_REPORT, f"{place}.")
        scaled = report["series"] - report["without_scale"]
        if report["series"] < 1 or scaled < (0 if report["mase"] is None else 1):
            raise ValueError(f"{place}: {scaled} of {report['series']} series have a scale")
    if len({(report["series"], report["without_scale"]) for report in reports.values()}) > 1:
        raise ValueError("the forecasters in scores.metrics were not scored on the same series")


def _check_kinds(content: Mapping[str, Any], parts: Mapping[str, Any], prefix: str = "") -> None:
    for name, kind in parts.items():
        value, kinds = look_up(content, name), get_args(kind) or (kind,)
        fits = is_number(value) if float in kinds else type(value) in kinds
        if not (fits or (value is None and type(None) in kinds)):
            raise ValueError(f"{prefix}{name} is {_shown(value)}, not {KINDS[kinds[0]]}")


def _shown(value: Any) -> str:
    return "missing" if value is None else repr(value)[:40]


@dataclass(frozen=True, order=True)
class Block:
    """Rows that belong together: one data set under one protocol, and one model; an empty text or 0 stands for none.

    Attributes:
        data: the data set trained on; of an own CSV its folder and file.
        target: the data set tested on, of zero-shot.
        features: ``M``, or ``S`` and ``MS`` with the target column; then the columns known in advance.
        seq_len: 0 where it follows from the row (M4), or was searched.
        subset: whether other series were forecast than the M4 competition has.
        selected_on: the split that chose M4's best epoch.
        model: empty where nothing was run.
        switches: flags that make an ablation of the model, or of what it is tested on.
        how: what is unusual about the windows or the test, in words.
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
    switches: str = ""
    how: str = ""
    backbone: str = ""
    init: str = ""
    gpt_layers: int = 0

    @property
    def title(self) -> str:
        """Return the data set, with everything that is unusual."""
        if self.table == M4:
            parts = [
                COMPETITIONS[self.data].name,
                self.subset and "not all series",
                self.target and f"tested on {self.target}",
            ]
        else:
            parts = [f"{self.data} → {self.target}" if self.target else self.data]
        parts += [
            self.percent != 100 and f"{self.percent} %",
            self.seq_len not in (0, USUAL_LENGTHS.get(self.table, 96)) and f"seq_len {self.seq_len}",
            self.features != "M" and self.features,
            self.how,
            self.selected_on == "test" and "selected on test",
        ]
        return ", ".join(filter(None, parts))

    @property
    def network(self) -> str:
        """Return model and backbone in words; empty where nothing was run."""
        backbone, blocks = f"{self.backbone} ({self.init})", f"{self.gpt_layers} blocks"
        parts = [self.model, self.backbone and backbone, self.gpt_layers and blocks, self.switches]
        return ", ".join(filter(None, parts))

    @property
    def protocol(self) -> "Block":
        """Return the block of published figures that has the data and the protocol of these rows."""
        return replace(self, selected_on="", model="", switches="", backbone="", init="", gpt_layers=0)


def cell_of(record: Record) -> tuple[Block, str]:
    """Return the block that a run belongs to, and its row there: a pattern of M4, or the steps forecast."""
    data, model, m4 = record.content["data"], record.content["model"], record.section == M4
    flags, backbone = data["config"], model["origin"].get("backbone") or {}
    horizon = flags["seasonal_patterns"] if m4 else data.get("variant") or str(flags.get("pred_len", NOTHING))
    features = flags.get("features") or "M"
    names = data["name"].split(",")
    files = flags["files"] if len(flags.get("files") or ()) == len(names) else [flags.get("file")] * len(names)
    names = [_own_name(*one) for one in zip(names, files, strict=True)]
    series = record.content["scores"]["metrics"][model["name"]]["series"] if m4 else 0
    shuffled = {"shuffle_input": data["shuffle_input"]} if data.get("shuffle_input") else {}
    switches = {**(model.get("switches") or {}), **shuffled}
    block = Block(
        table=record.section,
        data=",".join(names),
        target=data.get("target_data") or "",
        percent=flags.get("percent") or 100,
        features=", ".join([features if features == "M" else f"{features} {flags.get('target')}", *_known(flags)]),
        seq_len=0 if flags.get("searched") else flags.get("seq_len") or 0,
        subset=m4 and series != COMPETITIONS[data["name"]].patterns[horizon].series,
        selected_on=data.get("selected_on") or "",
        model=model["name"],
        switches=" ".join(f"--{name} {value}" for name, value in switches.items()),
        how=", ".join(words for (name, value), words in UNUSUAL.items() if flags.get(name) == value),
        backbone=_portable(backbone.get("name") or ""),
        init=backbone.get("init") or "",
        gpt_layers=(model["config"].get("gpt_layers") or 0) if backbone else 0,
    )
    return block, horizon


def _known(flags: Mapping[str, Any]) -> list[str]:
    """Return the columns known in advance in words; none where there are none."""
    names = [flags.get("future_cols"), "calendar" if flags.get("calendar") else None, flags.get("holidays")]
    return [f"known: {' '.join(found)}"] if (found := [str(name) for name in names if name]) else []


def _own_name(name: str, file: object) -> str:
    """Return the name of a data set, of an own file its folder and name."""
    return "/".join(Path(str(file)).parts[-2:]) if name == "custom" and file else name


def settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a run was trained, by flag: all that its metrics depend on but its cell and its seed."""
    data, backbone = content["data"], content["model"]["origin"].get("backbone") or {}
    flags = {**data["config"], **content["run"]["config"], **content["model"]["config"]}
    found = {f"--{name}": _portable(value) for name, value in flags.items() if name not in NO_SETTINGS}
    found["contents of the data"] = data["digest"]  # the path differs between machines
    if backbone.get("init") == "pretrained":  # a random one differs from seed to seed
        found["fingerprint of the backbone"] = backbone.get("fingerprint")
    found["Naive2"] = data.get("naive2")  # OWA depends on it: official or computed
    return {name: value for name, value in found.items() if value is not None}


def _portable(value: Any) -> Any:
    """Return a value as on the command line, of a path only its last part, which is equal on all machines."""
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return int(value) if isinstance(value, bool) else value
