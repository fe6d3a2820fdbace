"""Forecast from an exported graph with numpy and onnxruntime alone. This file may be copied anywhere.

python forecast_onnx.py FILE.onnx TABLE.csv > forecast.csv

FILE.json lies beside the graph. The table has commas, no gaps, and dates in ISO form.
"""

import csv
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import onnxruntime


def main() -> None:
    """Print a row for each column and step, with the bounds of the widest interval."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    graph, table = map(Path, sys.argv[1:])
    try:
        about = json.loads(graph.with_suffix(".json").read_text("utf-8"))
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))[-about["lookback"] :]
        if about["inputs"].keys() != {"x"}:
            raise ValueError(f"this example gives x alone, the graph takes {', '.join(about['inputs'])}")
        if len(rows) < about["lookback"]:
            raise ValueError(f"{len(rows)} rows, the model looks back {about['lookback']}")
        x = np.array([[[float(row[name]) for name in about["columns"]] for row in rows]])  # (1, L, C)
        dates = after(rows[-1][about["date_column"]], about["dates"], about["pred_len"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        sys.exit(f"error: {graph}, {table}: {type(error).__name__} {error}")
    session = onnxruntime.InferenceSession(graph, one_thread())
    (forecast,), (unit,) = session.run(["forecast", "unit"], {"x": x})  # (H, columns), (columns,)
    none = {"lower": np.full(forecast.shape, None), "upper": np.full(forecast.shape, None)}
    bands = about["intervals"] or {0: none}
    band = bands[max(bands, key=float)]
    print("date,column,forecast,lower,upper")
    for c, name in enumerate(about["forecast_columns"]):
        for date, value, low, high in zip(dates, forecast[:, c], band["lower"], band["upper"], strict=True):
            least = -np.inf if about["least"][c] is None else about["least"][c]
            numbers = [value, *(None if off[c] is None else value + off[c] * unit[c] for off in (low, high))]
            texts = ["" if number is None else f"{max(number, least):.10g}" for number in numbers]
            csv.writer(sys.stdout, lineterminator="\n").writerow([date, name, *texts])


def one_thread() -> onnxruntime.SessionOptions:
    """Return options for a single window, which is little work."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


def after(last: str, rule: dict, steps: int) -> list[str]:
    """Return the dates that follow the last one; +1, +2 … where the calendar decides (``rule`` says how)."""
    numbers = range(1, steps + 1)
    if rule["kind"] == "count":
        return [str(int(last) + rule["count"] * n) for n in numbers]
    if rule["kind"] == "calendar":
        return [f"+{n}" for n in numbers]
    days = [datetime.fromisoformat(last) + timedelta(seconds=rule["seconds"] * n) for n in numbers]
    return [str(day) if len(last) > len("2024-01-31") else f"{day:%Y-%m-%d}" for day in days]


if __name__ == "__main__":
    main()
