"""Write the paper's tables with the figures of all runs so far: ``python -m utils.tables``.

Reads every ``metrics.json`` below a folder and writes ``tables.md``, for people, and ``tables.csv``, for programs.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from utils.command import Parser, run_command, typed
from utils.errors import UserError
from utils.files import replacing
from utils.tables.records import read_records
from utils.tables.tables import AVERAGE, CELL, Tables, make_tables
from utils.tables.write import TITLES, titles_of, to_csv, to_markdown

logger = logging.getLogger("calf")


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        "python -m utils.tables",
        description=__doc__.splitlines()[0],
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--results", default="results", help="folder below which the runs' figures lie")
    parser.add_argument("--output", default="results", help="folder for tables.md and tables.csv")
    return parser


def write_tables(tables: Tables, folder: Path) -> list[Path]:
    """Write both files and return where they are.

    Raises:
        UserError: the folder cannot be written to.
    """
    texts = {folder / "tables.md": to_markdown(tables), folder / "tables.csv": to_csv(tables)}
    try:
        for path, text in texts.items():
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {folder} cannot be written: {error.strerror or error}.") from error
    return list(texts)


def summary(tables: Tables) -> Iterator[str]:
    """Yield lines that say how much of the paper has been run, and which runs and files were passed over."""
    for name, title in titles_of(tables).items():
        rows = tables.rows[(tables.rows.table == name) & (tables.rows.horizon != AVERAGE)]
        if name in TITLES:
            runs = rows[rows.published.notna()].groupby(["protocol", "horizon"]).seeds.count()  # over all backbones
            yield f"{title}: {(runs > 0).sum()} of {len(runs)} published cells"
        else:
            yield f"{title}: {len(rows.groupby(CELL))} cell(s), none of them published"
    if tables.runs.empty:
        yield "Nothing has been run yet: sh scripts/reproduce.sh runs what has data on disk."
    if left_out := (~tables.runs.shown).sum():
        yield f"{left_out} run(s) stand behind others of the same cell; they are listed under Left out"
    yield from (f"not read: {note}" for note in tables.unread)


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, or 2 after one message when a folder cannot be used."""
    args = build_parser().parse_args(argv)

    def work() -> None:
        tables = make_tables(*read_records(Path(args.results)))
        paths = write_tables(tables, Path(args.output))
        for line in (*summary(tables), *(f"written: {path}" for path in paths)):
            logger.info("%s", line)

    return run_command(work, typed("-m utils.tables", argv))


if __name__ == "__main__":
    sys.exit(main())
