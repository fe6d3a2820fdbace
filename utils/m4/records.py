"""M4's table over the runs of single patterns."""

from collections.abc import Iterable, Mapping
from typing import Any

from utils.m4.scores import Group, Scores, pool
from utils.records import SHORT_TERM

COMPARED = ("model", "seed", "selected_on")


def same_family(record: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs of M4 belong in one average: same model, seed, choice of the epoch, and backbone.

    How they were trained may differ, as it may between the data sets of any table.
    """
    return other["task_name"] == SHORT_TERM and _family(record) == _family(other)


def pool_records(records: Iterable[Mapping[str, Any]]) -> dict[str, Group]:
    """M4's groups from the records of one family; of several runs of a pattern the last counts."""
    return pool(
        {
            record["seasonal_patterns"]: {name: Scores(**scores) for name, scores in record["metrics"].items()}
            for record in records
        }
    )


def _family(record: Mapping[str, Any]) -> tuple[Any, ...]:
    backbone = record["backbone"]
    return (
        *(record[name] for name in COMPARED),
        record.get("target_data"),
        backbone["name"],
        backbone["init"],
        record["config"]["gpt_layers"],
    )
