"""Whatever the CSV file holds, a run gives finite figures, or one message that names the file and no trace on disk."""

import contextlib
import csv
import io
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

import run

ENOUGH = 60  # rows for windows of 8 + 4 in every split
ODD_CELLS = ("", " ", "x", "nan", "inf", "-inf", "1e400", "1e200", "1,5", "True", "0x1", "é", "\n", '"', "\0", "now")
ODD_DATES = ("", "1", "now", "2024-02-30", "01/02/2024", "2024-01-01T00:00+02:00", "2024-13-01", "9999-12-31", "NaT")
# Without the dollar sign, and of the scripts that the fonts of pictures have.
NAMES = st.text(st.sampled_from(" abcÄéßжΩ_-.,;:'\"#%/\\[]{}()0123456789\n"), max_size=12)
NUMBERS = st.one_of(
    st.integers(-1000, 1000),
    st.floats(-100, 100),
    st.floats(-1e99, 1e99),
    st.sampled_from([0, 1, 1e-300, -1e99, 10**30]),
)

Table = list[list[str]]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A header and rows that can be used, unless the names or the numbers happen not to."""
    names = draw(st.lists(NAMES, max_size=3, unique_by=str.strip))
    header = draw(st.permutations(["date", "OT", *names]))
    rows = draw(st.sampled_from([0, 1, 12, 30, *[ENOUGH] * 4]))
    cycle = draw(st.lists(NUMBERS, min_size=1, max_size=5))
    step = draw(st.sampled_from(["h", "15min", "D", "MS", "YS"]))
    pattern = draw(st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M"]))
    dates = pd.date_range(draw(st.sampled_from(["2001-01-01", "2001-01-13"])), periods=rows, freq=step).strftime(
        pattern
    )
    body = [
        [date if name == "date" else str(cycle[(i * (j + 1) + j) % len(cycle)]) for j, name in enumerate(header)]
        for i, date in enumerate(dates)
    ]
    return [list(header), *body]


@st.composite
def spoiled(draw: st.DrawFn, table: Table) -> Table:
    """The table with one thing changed."""
    i = draw(st.integers(0, len(table) - 1))
    j = draw(st.integers(0, len(table[0]) - 1))
    match draw(
        st.sampled_from(["cell", "date", "no column", "column twice", "shuffle", "twice", "long", "short", "gap"])
    ):
        case "cell" if j < len(table[i]):
            table[i][j] = draw(st.sampled_from(ODD_CELLS))
        case "date" if i and j < len(table[i]) and table[0][j] == "date":
            table[i][j] = draw(st.sampled_from(ODD_DATES))
        case "no column":
            return [row[:j] + row[j + 1 :] for row in table]
        case "column twice":
            return [[*row, *row[j : j + 1]] for row in table]
        case "shuffle":
            return [table[0], *draw(st.permutations(table[1:]))]
        case "twice":
            table.insert(i, list(table[i]))
        case "long":
            table[i].append("1")
        case "short":
            table[i].pop()
        case "gap":
            table.insert(i, [])
    return table


def written(table: Table, separator: str = ",", ending: str = "\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=ending).writerows(table)
    return text.getvalue().encode()


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """The bytes of a CSV file: good, spoiled in up to three ways, or anything at all."""
    table = draw(tables())
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2, 3]))):
        if table[0]:
            table = draw(spoiled(table))
    separator = draw(st.sampled_from([*"," * 8, ";", "\t"]))
    content = written(table, separator, draw(st.sampled_from(["\n", "\r\n"])))
    match draw(st.sampled_from(["whole"] * 12 + ["mark", "cut", "bytes", "noise"])):
        case "mark":
            return b"\xef\xbb\xbf" + content
        case "cut":
            return content[: draw(st.integers(0, len(content)))]
        case "bytes":
            at = draw(st.integers(0, len(content)))
            return content[:at] + draw(st.binary(min_size=1, max_size=4)) + content[at:]
        case "noise":
            return draw(st.binary(max_size=200))
    return content


def hourly(rows: int = ENOUGH, **columns: list[Any]) -> bytes:
    """A file with an hourly date, ``columns`` repeated to its length, and the target."""
    columns = {**columns, "OT": columns.get("OT", [1, 3, 2, 5])}
    table = pd.DataFrame({name: [cells[i % len(cells)] for i in range(rows)] for name, cells in columns.items()})
    table.insert(0, "date", pd.date_range("2024-01-01", periods=rows, freq="h"))
    return table.to_csv(index=False).encode()


def numbers(record: Any) -> Iterator[float]:
    if isinstance(record, dict):
        record = list(record.values())
    if isinstance(record, list):
        for part in record:
            yield from numbers(part)
    elif isinstance(record, float):
        yield record


@pytest.mark.pictures
@given(content=files())
@example(content=hourly())
@example(content=hourly().replace(b"\n", b"\r\n"))
@example(content=hourly(a=[0]))
@example(content=hourly(a=[1e99, -1e99]))
@example(content=hourly(a=[1e30]))
@example(content=hourly(**{"température [°C]": [1, 2, 4]}))
@example(content=hourly(**{"two\nlines": [1, 2, 4]}))
@example(content=hourly(rows=12))
@example(content=hourly(rows=39))
@example(content=hourly(rows=1))
@example(content=hourly(a=["", 1]))
@example(content=hourly(a=["1,5", "2,5"]))
@example(content=hourly().replace(b",", b";"))
@example(content=hourly() + hourly())
@example(content=hourly().replace(b"OT", b"date"))
@example(content=hourly().replace(b"OT", b"value"))
@example(content=hourly()[:-1] + b"0" * 90 + b"\n")
@example(content=hourly().decode().encode("utf-16"))
@example(content=b"")
@example(content=b"date,OT\n" + b"".join(b"%d,%d\n" % (i, i) for i in range(1, ENOUGH)))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_file_gives_finite_figures_or_one_message_and_no_trace(
    content: bytes, tiny_gpt2: Path, tiny_words: Path
) -> None:
    errors = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stderr(errors):
        Path("own.csv").write_bytes(content)
        code = run.main(
            [
                *("--llm", str(tiny_gpt2), "--word_embedding_path", str(tiny_words), "--gpt_layers", "2"),
                *("--seq_len", "8", "--pred_len", "4", "--train_epochs", "1", "--batch_size", "64"),
                *("--data", "custom", "--data_path", "own.csv", "--device", "cpu", "--do_predict", "0"),
            ]
        )
        records = list(Path("results").glob("*/metrics.json"))
        left = [path.name for path in Path().iterdir() if path.name != "own.csv"]
        figures = [json.loads(path.read_text())["scores"] for path in records]
    event("used" if code == 0 else "refused")
    if code == 0:
        assert len(figures) == 1
        found = list(numbers(figures))
        assert found
        assert all(math.isfinite(number) for number in found)
    else:
        assert code == 2
        message = errors.getvalue()
        assert message.startswith("error: ")
        assert message.count("\n") == 1
        assert "own.csv" in message
        assert left == []
