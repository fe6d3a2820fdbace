"""The records of finished runs: every ``metrics.json`` below a folder, checked."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.m4.patterns import PATTERNS
from utils.m4.scores import Scores
from utils.results import RECORD

LONG_TERM, SHORT_TERM = "long_term_forecast", "short_term_forecast"

# What each task's record must hold: dotted name, type.
COMMON = {
    "model": str, "data": str, "seed": int, "seq_len": int, "pred_len": int, "backbone.name": str,
    "backbone.init": str, "config.data": dict, "config.gpt_layers": int, "metrics": dict,
}  # fmt: skip
OF_TASK = {
    LONG_TERM: {
        "mse": float, "mae": float, "config.data.percent": int, "config.data.features": str,
        "config.data.target": str,
    },
    SHORT_TERM: {"smape": float, "mape": float, "seasonal_patterns": str, "selected_on": str},
}  # fmt: skip
M4_REPORT = {"series": int, "without_scale": int, "smape": float, "mape": float}
# Checked where they are there and not None.
OPTIONAL = {LONG_TERM: {"target_data": str}, SHORT_TERM: {"mase": float, "owa": float}}
KINDS = {str: "text", int: "a whole number", dict: "a group of values", float: "a finite number"}


@dataclass(frozen=True)
class Record:
    """What one run left behind.

    Attributes:
        path: the file. modified: when it was written, in seconds of the system's clock.
        content: what ``metrics.json`` holds; see ``exp`` for the keys of each task.
    """

    path: Path
    modified: float
    content: dict[str, Any]

    @property
    def seed(self) -> int:
        return self.content["seed"]


def read_records(folder: Path) -> tuple[list[Record], list[str]]:
    """Every record below ``folder``, by path, and one note for each file that is none or is damaged.

    A folder that does not exist holds no records.

    Raises:
        UserError: ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--results {folder} is a file; name the folder that holds the runs' folders.")
    records, notes = [], []
    for path in sorted(folder.rglob(RECORD)):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            _check(content)
            records.append(Record(path, path.stat().st_mtime, content))
        except (OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, no UTF-8, or not as it must be
            reason = error.strerror if isinstance(error, OSError) else str(error)
            notes.append(f"{path}: {(reason or type(error).__name__).splitlines()[0]}")
    return records, notes


def modern_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration as it is written now; once bfloat16 was a switch, ``use_amp``, and there was no other."""
    content = {**config}
    if "use_amp" in content:
        content["precision"] = "bf16" if content.pop("use_amp") else "fp32"
    return content


def modern_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with such a configuration."""
    config = record.get("config")
    return {**record, "config": modern_config(config)} if isinstance(config, dict) else dict(record)


def look_up(content: Any, dotted: str) -> Any:
    """A value inside nested groups, ``backbone.name``; None where there is none."""
    for part in dotted.split("."):
        content = content.get(part) if isinstance(content, Mapping) else None
    return content


def is_number(value: Any) -> bool:
    """Whether it is a finite number; an integer that no float can hold is none."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _check(content: Any) -> None:
    """Raise ValueError, with the reason, where ``content`` is no record."""
    if not isinstance(content, dict):
        raise ValueError("no record of a run")
    task = content.get("task_name")
    if task not in list(OF_TASK):
        raise ValueError(f"no record of a run: task_name is {task!r}")
    _check_kinds(content, COMMON | OF_TASK[task], OPTIONAL[task])
    if task == SHORT_TERM:
        _check_m4(content)


def _check_kinds(
    content: Mapping[str, Any], wanted: Mapping[str, type], optional: Mapping[str, type], prefix: str = ""
) -> None:
    there = {name: kind for name, kind in optional.items() if content.get(name) is not None}
    for name, kind in (wanted | there).items():
        value = look_up(content, name)
        if not (is_number(value) if kind is float else type(value) is kind):
            raise ValueError(f"{prefix}{name} is {_shown(value)}, not {KINDS[kind]}")


def _check_m4(content: Mapping[str, Any]) -> None:
    """The scores of M4 are weighted by series to pool them."""
    if content["seasonal_patterns"] not in PATTERNS:
        raise ValueError(f"seasonal_patterns is {_shown(content['seasonal_patterns'])}, no pattern of M4")
    reports = content["metrics"]
    for name in {content["model"], *reports}:
        report = reports.get(name)
        if not isinstance(report, dict):
            raise ValueError(f"metrics.{name} is {_shown(report)}, not {KINDS[dict]}")
        if report.keys() != {field.name for field in fields(Scores)}:
            raise ValueError(f"metrics.{name} does not hold the scores of M4 alone")
        _check_kinds(report, M4_REPORT, OPTIONAL[SHORT_TERM], f"metrics.{name}.")
        scaled = report["series"] - report["without_scale"]
        if report["series"] < 1 or scaled < (0 if report.get("mase") is None else 1):
            raise ValueError(f"metrics.{name}: {scaled} of {report['series']} series have a scale")
    if len({(report["series"], report["without_scale"]) for report in reports.values()}) > 1:
        raise ValueError("the forecasters in metrics were not scored on the same series")


def _shown(value: Any) -> str:
    return "missing" if value is None else repr(value)[:40]
