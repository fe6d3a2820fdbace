"""Write the paper's tables with the figures of all runs so far: ``python -m utils.tables``.

Reads every ``metrics.json`` below a folder and writes ``tables.md``, for people, and ``tables.csv``, for programs.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from utils.errors import UserError
from utils.files import replacing
from utils.published import Published, read_published
from utils.records import read_records
from utils.table_cells import TABLES, group
from utils.table_csv import to_csv
from utils.table_markdown import TITLES, to_markdown
from utils.table_rows import AVERAGE, Row, Tables, rows_of_table

logger = logging.getLogger("calf")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m utils.tables",
        description=__doc__.splitlines()[0],
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--results", default="results", help="folder below which the runs' figures lie")
    parser.add_argument("--output", default="results", help="folder for tables.md and tables.csv")
    return parser


def make_tables(results: Path, published: Published) -> Tables:
    """The tables of all records below ``results``.

    Raises:
        UserError: ``results`` is a file.
    """
    records, notes = read_records(results)
    cells, left_out = group(records)
    rows = {table: rows_of_table(table, cells, published) for table in TABLES}
    return Tables(rows, cells, left_out, notes)


def write_tables(tables: Tables, published: Published, folder: Path) -> list[Path]:
    """Write ``tables.md`` and ``tables.csv`` and say where they are."""
    rows = [row for table in tables.rows.values() for row in table]
    texts = {"tables.md": to_markdown(tables, published), "tables.csv": to_csv(rows)}
    for name, text in texts.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def summary(tables: Tables) -> Iterator[str]:
    """How much of the paper has been run, and what was passed over, in a few lines."""
    for table, rows in tables.rows.items():
        published = [row for row in rows if any(f.published is not None for f in row.figures.values())]
        wanted = {_place(row) for row in published if row.horizon != AVERAGE}
        there = {_place(row) for row in published if row.seeds}
        yield f"{TITLES[table]}: {len(wanted & there)} of {len(wanted)} published cells"
    if not tables.cells:
        yield "Nothing has been run yet: sh scripts/reproduce.sh runs what has data on disk."
    if tables.left_out:
        runs = sum(len(left.seeds) for left in tables.left_out)
        yield f"{runs} run(s) stand behind others of the same cell; they are listed under Left out"
    yield from (f"not read: {note}" for note in tables.notes)


def _place(row: Row) -> tuple[str, str, str]:
    return row.block.data, row.block.target, row.horizon


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 with one message when a folder cannot be used."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logger.setLevel(logging.INFO)
    args = build_parser().parse_args(argv)
    try:
        published = read_published()
        tables = make_tables(Path(args.results), published)
        paths = write_tables(tables, published, Path(args.output))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: --output {args.output} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 2
    for line in (*summary(tables), *(f"written: {path}" for path in paths)):
        logger.info("%s", line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
