"""Read the records of finished runs: every ``metrics.json`` below a folder, checked."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from utils.errors import UserError
from utils.m4.patterns import PATTERNS
from utils.m4.scores import Scores
from utils.results import FORMAT, RECORD, printable

LONG_TERM, FEW_SHOT, ZERO_SHOT, M4 = "long_term", "few_shot", "zero_shot", "m4"

KINDS = {str: "text", int: "a whole number", dict: "a group of values", list: "a list", float: "a finite number"}
# What a record holds, by dotted name; ``| None``: or lacks.
RECORD_PARTS = {
    "task.name": str, "task.title": str, "task.metrics": list, "run.seed": int, "run.config": dict, "data.name": str,
    "data.config": dict, "data.config.seq_len": int | None, "data.config.pred_len": int | None,
    "data.config.percent": int | None, "data.config.features": str | None, "data.target_data": str | None,
    "data.selected_on": str | None, "model.name": str, "model.config": dict, "model.config.gpt_layers": int | None,
    "model.origin": dict, "model.origin.backbone": dict | None, "model.origin.backbone.name": str | None,
    "model.origin.backbone.init": str | None, "scores.metrics": dict,
}  # fmt: skip
M4_REPORT = get_type_hints(Scores)


class Record(NamedTuple):
    """What one run left behind: when its file was written, in seconds of the clock, and the checked content."""

    modified: float
    content: dict[str, Any]

    @property
    def section(self) -> str:
        """Return the section of the tables that shows the run. Only here do the tables compare the names of tasks."""
        task, data = self.content["task"]["name"], self.content["data"]
        if task == "short_term_forecast":
            return M4
        if task != "long_term_forecast":
            return task
        if data.get("target_data"):
            return ZERO_SHOT
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
            record = Record(path.stat().st_mtime, json.loads(path.read_text(encoding="utf-8")))
            _check(record)
            records.append(record)
        except (OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, no UTF-8, or no record
            notes.append(printable(f"{path}: {getattr(error, 'strerror', None) or error}"))
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
    content = record.content
    if not isinstance(content, dict):
        raise ValueError("no record of a run")
    if content.get("format") != FORMAT:
        raise ValueError(f"no record of format {FORMAT}: format is {_shown(content.get('format'))}; repeat the run")
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
    if pattern not in list(PATTERNS):
        raise ValueError(f"data.config.seasonal_patterns is {_shown(pattern)}, no pattern of M4")
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
