"""Write a forecast as one HTML file for people: an answer, charts, scores, what was decided. It needs no network.

The page is ``report.css`` and ``report.js`` beside this file, and what a :class:`Report` holds.
"""

import base64
import hashlib
import html
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

from utils.files import replacing
from utils.report_charts import NAME_LETTERS, Chart, Embedding, PastChart, shown_text

MOST_ROWS = 2000  # of a table
MOST_LINES = 1000  # of a list
COMMAND_LETTERS = 20_000

Cell = str | float | None


@dataclass(frozen=True)
class Table:
    """A table whose rows sort by a click; numbers are shown with digits that fit their column.

    Attributes:
        rows: as many cells as the header in each; the first names the row. None, NaN: there is no value.
        caption: what the figures are.
        rest: where the rows beyond the first 2,000 are, which the page shows.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    rest: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"a row has not {len(self.header)} cells, as the header")


@dataclass(frozen=True)
class Backtest:
    """Forecasts from past dates beside what came.

    Attributes:
        charts: one for each column or series; the reader chooses.
        scores: a row for each origin.
        text: sentences above the chart.
        rest: where the charts are that do not fit on the page.
    """

    charts: Sequence[PastChart] = ()
    scores: Table | None = None
    text: Sequence[str] = ()
    rest: str = ""


@dataclass(frozen=True)
class Report:
    """What the page shows, in its order; what is empty or None is left out.

    Attributes:
        file: the data file.
        target: the column that matters most; the chart of this name is the first.
        first, last: dates of the first and the last forecast step.
        made: when the forecast was made.
        answer: sentences, the most important first: how far off, better than a simple forecast or not, what to do.
        warnings: sentences that nobody may miss.
        charts: the forecast, one for each column or series.
        charts_are: the word for many of them, "columns" or "series".
        rest: where those are that do not fit on the page: beyond 2,000 charts, or 2,000,000 numbers in all.
        sums: a row for each sum over columns, series or time.
        scores: a row for each column or series.
        decided: name and value of each decision: columns, season, look-back, model, weights, settings.
        notes: assumptions and notes.
        data: lines of a report on the data file.
        command: repeats the run.
    """

    file: str
    target: str
    first: str
    last: str
    made: str
    answer: Sequence[str]
    warnings: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    charts_are: str = "columns"
    rest: str = "forecast.csv has all of them"
    sums: Table | None = None
    backtest: Backtest | None = None
    scores: Table | None = None
    decided: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    data: Sequence[str] = ()
    command: str = ""


def write_report(path: Path, report: Report) -> None:
    """Write the report as one HTML file that loads nothing else, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    content = _page(report).encode()
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _page(report: Report) -> str:
    embedding = Embedding()
    body = "\n".join(_body(report, embedding))
    here = Path(__file__)
    style, script = (here.with_suffix(suffix).read_text(encoding="utf-8") for suffix in (".css", ".js"))
    # "<" could end the element that the data stand in; "\u2028" and the like are escaped by json.
    data = json.dumps(embedding.content(), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Forecast of {_text(report.target, NAME_LETTERS)}</title>
<style>{style}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def _hash(source: str) -> str:
    """Return what a page's policy calls an element by: it runs or styles nothing else, whatever a name smuggles in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _body(report: Report, embedding: Embedding) -> Iterator[str]:
    """Yield the parts of the page; put its charts into ``embedding``."""
    facts = {
        "File": report.file,
        "Forecast": f"{report.first} to {report.last}" if report.last != report.first else report.first,
        "Made": report.made,
    }
    shown = "".join(f'<div><dt>{name}</dt><dd dir="auto">{_text(value)}</dd></div>' for name, value in facts.items())
    title = f"<h1>Forecast of <bdi>{_text(report.target, NAME_LETTERS)}</bdi></h1>"
    yield f'<header>\n{title}\n<dl class="facts">{shown}</dl>\n</header>'
    yield "<main>"
    yield from _section("In short", _paragraphs(report.answer), "answer")
    yield from _section("Warning" if len(report.warnings) == 1 else "Warnings", _paragraphs(report.warnings), "warning")
    yield from _section("Forecast", _charts("forecast", report, report, embedding))
    yield from _section("Sums", _table(report.sums))
    if report.backtest:
        backtest = report.backtest
        charts = _charts("backtest", report, backtest, embedding)
        yield from _section("Backtest", _paragraphs(backtest.text) + charts + _table(backtest.scores))
    yield from _section("Scores", _table(report.scores))
    decided = _limited(
        [f"<dt>{_text(name, NAME_LETTERS)}</dt><dd>{_text(value)}</dd>" for name, value in report.decided], "dd"
    )
    yield from _section("What was decided", decided and f'<dl class="decided">{decided}</dl>')
    notes = _limited([f'<li dir="auto">{_text(note)}</li>' for note in report.notes], "li")
    yield from _section("Assumptions and notes", notes and f'<ul class="notes">{notes}</ul>')
    lines = _limited([f"<span>{_text(line)}</span>" for line in report.data], "span")
    yield from _section("The data", lines and f'<pre class="data">{lines}</pre>')
    yield "</main>"
    if report.command:
        command = _text(report.command, COMMAND_LETTERS)
        yield f"<footer>\n<p>This command repeats the run:</p>\n<pre><code>{command}</code></pre>\n</footer>"


def _text(text: str, most: int = 2000) -> str:
    return html.escape(shown_text(text, most))


def _section(title: str, content: str, kind: str = "plain") -> Iterator[str]:
    """Yield a section with a heading, nothing where it has no content."""
    if content:
        place = title.lower().replace(" ", "-")
        heading = f'<h2 id="{place}">{title}</h2>'
        yield f'<section class="{kind}" aria-labelledby="{place}">\n{heading}\n{content}\n</section>'


def _paragraphs(sentences: Iterable[str]) -> str:
    return _limited([f'<p dir="auto">{_text(sentence)}</p>' for sentence in sentences], "p")


def _limited(items: Sequence[str], tag: str) -> str:
    more = [f"<{tag}>… and {len(items) - MOST_LINES:,} more</{tag}>"] if len(items) > MOST_LINES else []
    return "\n".join([*items[:MOST_LINES], *more])


def _charts(key: str, report: Report, part: Report | Backtest, embedding: Embedding) -> str:
    """Return the frame of a part's charts, which the script fills: a selector, legend, the chosen one, its numbers."""
    if not part.charts:
        return ""
    shown = embedding.add(key, sorted(part.charts, key=lambda chart: chart.name != report.target))
    many, table = html.escape(report.charts_are), ""
    if key == "forecast":
        table = (
            '<details class="numbers"><summary>Numbers of this forecast</summary><div class="scroll"></div></details>'
        )
    left_out = _left_out(shown, len(part.charts), many, part.rest)
    return f"""<div class="charts" data-of="{key}" data-many="{many}">
<div class="picker" role="group" aria-label="Choose among the {many}"></div>
<h3 class="name" dir="auto"></h3>
<ul class="legend" aria-label="Legend"></ul>
<div class="plot"><svg role="slider" tabindex="0"></svg><div class="tip" aria-hidden="true" hidden></div></div>
<p class="caption" dir="auto"></p>
<p class="hint">Point at the chart or touch it to read its values; with the keyboard, use the arrow keys.</p>
<noscript><p>The charts need JavaScript, which this browser has switched off.</p></noscript>
{table}{left_out}
</div>"""


def _left_out(shown: int, there: int, what: str, rest: str) -> str:
    """Return a line that says what a page does not show, and where it is."""
    where = f"; {_text(rest)}" if rest else ""
    return f"<p>Shown here: the first {shown:,} of {there:,} {what}{where}.</p>" if shown < there else ""


def _table(table: Table | None) -> str:
    """Return a table with headings that sort it."""
    if table is None or not table.rows:
        return ""
    rows = table.rows[:MOST_ROWS]
    columns = list(zip(*rows, strict=True))
    numeric = [not any(isinstance(cell, str) for cell in column) for column in columns]
    forms = [_form([float(cell) for cell in column if _is_number(cell)]) for column in columns]
    head = "".join(
        f'<th scope="col"{" class=n" if right else ""}><button type="button">{_text(name, NAME_LETTERS)}</button></th>'
        for name, right in zip(table.header, numeric, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(_cell(cell, form, i == 0) for i, (cell, form) in enumerate(zip(row, forms, strict=True)))
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Table"><table class="sortable">{caption}\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        f"{_left_out(len(rows), len(table.rows), 'rows', table.rest)}"
    )


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, Real) and math.isfinite(cell)


def _cell(cell: Cell, form: Callable[[float], str], first: bool) -> str:
    """Return a cell of a table; numbers, and what has none, with what they are sorted by."""
    tag, kind = ("th", ' scope="row" dir="auto"') if first else ("td", "")
    if isinstance(cell, str):
        return f"<{tag}{kind or ' dir=auto'}>{_text(cell, NAME_LETTERS)}</{tag}>"
    value, text = (f"{float(cell):.12g}", form(float(cell))) if _is_number(cell) else ("", "–")
    return f'<{tag}{kind} class="n" data-v="{value}">{text}</{tag}>'


def _form(values: Sequence[float]) -> Callable[[float], str]:
    """Return how to write the numbers of a column: four digits of the largest, two of the smallest, none too many."""
    sizes = [abs(value) for value in values if value]
    if all(value.is_integer() and abs(value) < 1e15 for value in values):
        return "{:,.0f}".format
    places = max(3 - math.floor(math.log10(max(sizes))), 1 - math.floor(math.log10(min(sizes))), 0)
    return "{:.4g}".format if places > 6 or max(sizes) >= 1e12 else f"{{:,.{places}f}}".format
