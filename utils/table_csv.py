"""The tables for programs: one line for each row and metric, empty where there is nothing."""

import csv
import io
from collections.abc import Iterable

from utils.table_rows import BASELINES, Row

COLUMNS = (
    "table", "data", "target", "percent", "features", "seq_len", "horizon", "model", "backbone", "init", "gpt_layers",
    "selected_on", "subset", "metric", "mean", "std", "seeds", "gap", "published", "difference", *BASELINES,
)  # fmt: skip


def to_csv(rows: Iterable[Row]) -> str:
    """CSV with a header; columns as in ``Block``, ``Row`` and ``Figure``, seeds with spaces between."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        place = {**vars(row.block), "gpt_layers": row.block.gpt_layers or None, "horizon": row.horizon}
        for metric, figure in row.figures.items():
            found = {
                "metric": metric,
                "mean": figure.mean,
                "std": figure.std,
                "seeds": " ".join(map(str, row.seeds)),
                "gap": row.gap,
                "published": figure.published,
                "difference": figure.difference,
                **figure.baselines,
            }
            writer.writerow(place | found)
    return text.getvalue()
