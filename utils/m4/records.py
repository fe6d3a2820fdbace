"""Combine the runs of single patterns of M4 into one table."""

from collections.abc import Iterable, Mapping
from typing import Any

from utils.m4.scores import Group, Scores, pool

# Parts of a model's configuration in which the runs of one table may differ: its sizes, which follow from the pattern,
# and how it was trained.
MAY_DIFFER = frozenset(
    {"seq_len", "pred_len", "channels", "season"}
    | {"task_loss", "output_loss", "feature_loss", "task_w", "output_w", "feature_w"}
)


def same_family(record: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two runs of M4 belong in one average: equal model, backbone, seed and choice of the epoch."""
    return _family(record) == _family(other)


def pool_records(records: Iterable[Mapping[str, Any]]) -> dict[str, Group]:
    """Return M4's groups from the records of one family; of several runs of a pattern the last counts."""
    return pool(
        {
            record["data"]["config"]["seasonal_patterns"]: {
                name: Scores(**scores) for name, scores in record["scores"]["metrics"].items()
            }
            for record in records
        }
    )


def _family(record: Mapping[str, Any]) -> tuple[Any, ...]:
    data, model = record["data"], record["model"]
    backbone = model["origin"].get("backbone", {})
    return (
        record["task"]["name"],
        record["run"]["seed"],
        data.get("selected_on"),
        data.get("target_data"),
        model["name"],
        {name: value for name, value in model["config"].items() if name not in MAY_DIFFER},
        backbone.get("name"),
        backbone.get("init"),
    )
