"""A report is one page that needs nothing else, whatever the data are called and whatever is in them."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.browsers import acting, find_browser, rendered
from tests.helpers.reports import chart, hourly, report
from utils import report_charts
from utils.report import Backtest, Report, Table, write_report
from utils.report_charts import Chart, Origin, PastChart

HOSTILE = (
    "</script><script>document.documentElement.dataset.hacked=1</script>",
    "\"'><img src=x onerror=document.documentElement.dataset.hacked=1>",
    "</title></style><b>",
    "<!--<script>",
    "a & b &lt; c",
    "\x1b[31mred\x00\u202e",
    "caf\udce9 \ud800",
    "שלום עולם",
    "🚀 café",
    "x" * 10_000,
)
NAN = np.full(48, np.nan)
needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium or Chrome on PATH")


class Page(HTMLParser):
    """What a browser finds in a page.

    Attributes:
        tags: names and attributes in their order.
        texts: texts by the element that they stand in.
    """

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.tags:
            self.texts.setdefault(self.tags[-1][0], []).append(data)

    @property
    def data(self) -> dict[str, Any]:
        """Return what is embedded for the script; numbers that are none would be refused."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        return json.loads(self.texts["script"][0], parse_constant=refuse)


def written(folder: Path, content: Report) -> Page:
    """Write a report and return its page."""
    write_report(folder / "report.html", content)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def of(folder: Path, one: Chart) -> dict[str, list[str]]:
    """Return the values of the lines of a chart as the page holds them, lower bounds and so on as lines."""
    (found,) = written(folder, bare(charts=[one])).data["forecast"]
    lines = {}
    for part in found["parts"]:
        for curve in ("values", "lower", "upper"):
            if curve in part:
                lines[part["name"] if curve == "values" else curve] = part[curve].split(",")
    return lines


def bare(**more: Any) -> Report:
    """Return a report with little in it."""
    return Report("a.csv", "y", "2024-01-02", "2024-01-03", "2024-01-01", **{"answer": ["Use it."], **more})


def line(history: Sequence[float], forecast: Sequence[float], **more: Any) -> Chart:
    """Return a chart of a few values."""
    dates = hourly(len(history) + len(forecast))
    return Chart("y", dates, np.array(history, dtype=float), np.array(forecast, dtype=float), **more)


def hostile_report() -> Report:
    """Return a report in which every string is hostile."""
    charts = [replace(chart(name, hourly(288), 48), dates=[name] * 288, caption=name) for name in HOSTILE]
    charts[0] = replace(charts[0], bands={0.9: (NAN, NAN)}, reference=(HOSTILE[0], NAN), truth=NAN)
    past = [PastChart(name, [name] * 9, np.arange(9.0), [Origin(4, np.ones(5))], name) for name in HOSTILE]
    table = Table(HOSTILE, [HOSTILE], HOSTILE[0])
    texts = dict.fromkeys(("answer", "warnings", "notes", "data"), HOSTILE)
    one = dict.fromkeys(("file", "target", "first", "last", "made", "rest", "command"), HOSTILE[0])
    decided = [(name, name) for name in HOSTILE]
    return Report(**one, **texts, charts=charts, backtest=Backtest(past, table, HOSTILE), scores=table, decided=decided)


def test_the_parts_come_in_their_order_under_real_headings(tmp_path: Path) -> None:
    page = written(tmp_path, report(["price", "demand"]))
    headings = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert " ".join(headings) == "h1 h2 h2 h2 h3 h2 h3 h2 h2 h2 h2"
    assert page.texts["h2"] == [
        "In short",
        "Warning",
        "Forecast",
        "Backtest",
        "Scores",
        "What was decided",
        "Assumptions and notes",
        "The data",
    ]
    assert page.texts["bdi"] == ["demand"]
    assert "--pred_len 48" in page.texts["code"][0]


def test_what_is_empty_is_left_out(tmp_path: Path) -> None:
    page = written(tmp_path, bare(backtest=Backtest(), scores=Table(("name",), [])))
    assert page.texts["h2"] == ["In short"]
    assert not {"footer", "table", "ul", "svg"} & {tag for tag, _ in page.tags}


def test_the_target_comes_first(tmp_path: Path) -> None:
    data = written(tmp_path, report(["a", "b", "demand"])).data
    for key in ("forecast", "backtest"):
        assert [one["name"] for one in data[key]] == ["demand", "a", "b"]


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    page = written(tmp_path, report())
    loading = {"link", "img", "iframe", "object", "embed", "base", "image", "use", "video", "audio", "form"}
    assert not loading & {tag for tag, _ in page.tags}
    assert not {"src", "href", "xlink:href", "srcset", "style"} & {name for _, given in page.tags for name in given}
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest|innerHTML|\beval\b", content)


def test_the_policy_lets_the_own_script_and_style_run_and_no_other(tmp_path: Path) -> None:
    page = written(tmp_path, hostile_report())
    policy = next(given["content"] for tag, given in page.tags if given.get("http-equiv") == "Content-Security-Policy")
    digests = [hashlib.sha256(source.encode()).digest() for source in (page.texts["style"][0], page.texts["script"][1])]
    style, script = (f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    assert policy == f"default-src 'none'; style-src {style}; script-src {script}; base-uri 'none'; form-action 'none'"


def test_no_string_becomes_markup(tmp_path: Path) -> None:
    usual, hostile = written(tmp_path, report()), written(tmp_path, hostile_report())
    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in usual.tags}
    assert sum(tag == "script" for tag, _ in hostile.tags) == 2
    assert not any(name.startswith("on") for _, given in hostile.tags for name in given)
    assert hostile.texts["h1"] == ["Forecast of "]
    assert hostile.texts["bdi"] == [HOSTILE[0]]
    assert [one["name"] for one in hostile.data["forecast"]][:5] == list(HOSTILE[:5])


def test_what_cannot_be_shown_is_written_out_and_a_long_name_shortened(tmp_path: Path) -> None:
    names = [one["name"] for one in written(tmp_path, hostile_report()).data["forecast"]]
    assert names[5] == r"\x1b[31mred\x00\u202e"
    assert names[6] == r"caf\udce9 \ud800"
    assert names[7:9] == ["שלום עולם", "🚀 café"]
    assert len(names[9]) < 130
    assert "…" in names[9]


def test_missing_and_infinite_values_are_gaps(tmp_path: Path) -> None:
    lower, upper = np.array([np.nan, 1, -np.inf]), np.array([9, 3, 4])
    one = line([1, np.nan, np.inf], [2, np.nan, 3], bands={0.9: (lower, upper)}, truth=np.full(3, np.nan))
    assert of(tmp_path, one) == {
        "history": ["1", "", ""],
        "forecast": ["2", "", "3"],
        "lower": ["", "1", ""],
        "upper": ["9", "3", "4"],
        "truth": ["", "", ""],
    }


def test_a_band_without_bounds_is_left_out_and_the_widest_comes_first(tmp_path: Path) -> None:
    one, two = np.ones(2), np.full(2, 2.0)
    page = written(tmp_path, bare(charts=[line([1], [1, 1], bands={0.5: (one, two), 0.9: (one, two)})]))
    assert [part["name"] for part in page.data["forecast"][0]["parts"]][2:] == ["90 % interval", "50 % interval"]
    assert "lower" not in of(tmp_path, line([1], [1, 1], bands={0.9: (np.full(2, np.nan), two)}))


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.1234567, 123.4567891, -5], ["0.123457", "123.457", "-5"]),
        ([1_400_000_001.25, 1_400_000_003.5], ["1400000001.25", "1400000003.5"]),  # six digits would show no change
        ([7, 7], ["7", "7"]),
        ([-1.7e308, 1.7e308], ["-1e+300", "1e+300"]),
        ([5e-324, -0.0, 1e-12], ["0", "0", "1e-12"]),
    ],
)
def test_numbers_are_short_and_keep_their_differences(tmp_path: Path, values: list[float], shown: list[str]) -> None:
    assert of(tmp_path, line(values, values[:1]))["history"] == shown


def test_one_step_without_history_is_a_chart(tmp_path: Path) -> None:
    assert of(tmp_path, line([], [3]))["forecast"] == ["3"]


def test_dates_that_charts_share_are_there_once(tmp_path: Path) -> None:
    data = written(tmp_path, report(["a", "b", "c"])).data
    assert [len(dates) for dates in data["dates"]] == [288, 240]
    assert {one["dates"] for one in data["forecast"]} == {0}


def test_two_thousand_series_are_drawn_and_the_rest_is_said_to_be_elsewhere(tmp_path: Path) -> None:
    few, dates = np.ones(1), hourly(2)
    content = bare(charts=[Chart(f"s{i}", dates, few, few) for i in range(2001)], charts_are="series")
    page = written(tmp_path, content)
    assert len(page.data["forecast"]) == 2000
    assert "Shown here: the first 2,000 of 2,001 series; forecast.csv has all of them." in page.texts["p"]
    assert "Shown here" not in str(written(tmp_path, replace(content, charts=content.charts[1:])).texts["p"])


def test_a_page_takes_less_than_nine_bytes_a_number(tmp_path: Path) -> None:
    charts = [chart(f"s{i}", hourly(400), 50, seed=i) for i in range(100)]
    write_report(tmp_path / "report.html", bare(charts=charts, charts_are="series"))
    per_chart = 350 + 50 * 6
    assert (tmp_path / "report.html").stat().st_size < 50_000 + 9 * 100 * per_chart


def test_a_page_has_so_many_numbers_and_no_more_but_one_chart_at_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_charts, "MOST_NUMBERS", 500)
    one = chart("y", hourly(110), 10)
    content = replace(report(["a", "b"]), charts=[one, replace(one, name="z"), replace(one, name="w")])
    page = written(tmp_path, content)
    assert [one["name"] for one in page.data["forecast"]] == ["y", "z"]
    assert [one["name"] for one in page.data["backtest"]] == ["b"]
    assert "Shown here: the first 1 of 2 columns." in page.texts["p"]


def test_only_the_end_of_a_very_long_history_is_shown(tmp_path: Path) -> None:
    page = written(tmp_path, bare(charts=[line(range(6000), [1])]))
    (found,) = page.data["forecast"]
    assert found["starts"] == [5000]
    assert len(page.data["dates"][0]) == 5001
    assert found["parts"][0]["values"].startswith("1000,1001,")


def test_numbers_of_a_table_have_the_digits_of_their_column_and_say_what_they_are_sorted_by(tmp_path: Path) -> None:
    rows = [("b", 12.3456, 1234.0, None), ("a", 0.5, np.int64(7), np.nan), ("c", 1 / 3, np.float32(2), 1e-9)]
    page = written(tmp_path, bare(scores=Table(("name", "MAE", "windows", "odd"), rows, "Errors")))
    cells = [given["data-v"] for tag, given in page.tags if tag == "td"]
    assert page.texts["td"] == ["12.35", "1,234", "–", "0.50", "7", "–", "0.33", "2", "1e-09"]
    assert cells == ["12.3456", "1234", "", "0.5", "7", "", "0.333333333333", "2", "1e-09"]
    heads = [given for tag, given in page.tags if tag == "th"]
    assert [given["scope"] for given in heads] == ["col"] * 4 + ["row"] * 3
    assert page.texts["caption"] == ["Errors"]


def test_a_long_table_says_where_its_rest_is(tmp_path: Path) -> None:
    page = written(tmp_path, bare(scores=Table(("name",), [(f"s{i}",) for i in range(2001)], rest="s.csv has all")))
    assert sum(tag == "tr" for tag, _ in page.tags) == 2001
    assert "Shown here: the first 2,000 of 2,001 rows; s.csv has all." in page.texts["p"]


def test_what_does_not_fit_together_is_a_bug() -> None:
    two, three = np.ones(2), np.ones(3)
    for wrong in ({"truth": three}, {"reference": ("naive", three)}, {"bands": {0.9: (two, three)}}):
        with pytest.raises(ValueError, match="2 steps"):
            line([1], two, **wrong)
    with pytest.raises(ValueError, match="dates"):
        Chart("y", hourly(4), two, three)
    with pytest.raises(ValueError, match="no forecast"):
        Chart("y", hourly(2), two, np.ones(0))
    for start, bands in ((2, {}), (-1, {}), (0, {0.9: (two, two)})):
        with pytest.raises(ValueError, match="origin"):
            PastChart("y", hourly(4), np.ones(4), [Origin(start, three, bands)])
    with pytest.raises(ValueError, match="header"):
        Table(("a", "b"), [("c",)])


def test_a_full_disk_leaves_no_half_page(tmp_path: Path, full_disk: None) -> None:
    with pytest.raises(OSError, match="report"):
        write_report(tmp_path / "report.html", report())
    assert not list(tmp_path.iterdir())


def test_text_can_be_told_from_its_ground_in_light_dark_and_print() -> None:
    style = Path(report_charts.__file__).with_name("report.css").read_text(encoding="utf-8")
    modes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(modes) == 3
    for mode in modes:
        colours = dict(re.findall(r"--(\w+): (#\w{6});", mode))
        for ground in ("page", "card", "shade", "warn"):
            for ink in ("ink", "soft", "forecast", "past", "reference", "truth"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground, mode)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as the WCAG define it, 1 to 21."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@needs_browser
def test_a_browser_draws_the_page_and_runs_nothing_that_a_name_smuggles_in(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", hostile_report())
    seen = rendered(tmp_path / "report.html")
    opening = re.search("<html[^>]*>", seen)
    assert opening
    assert opening[0] == '<html lang="en" data-ready="yes">'
    paths = re.findall(r'<path class="line forecast" d="(M[\d. LM-]+)"', seen)
    assert any(path.count("L") > 40 for path in paths)
    assert html.escape(HOSTILE[0], quote=False) in seen


ACTS = """
const [forecast, backtest] = document.querySelectorAll(".charts");
const notes = [], svg = forecast.querySelector(".plot > svg");
const press = (key) => svg.dispatchEvent(new KeyboardEvent("keydown", { key }));
const note = () => notes.push(svg.getAttribute("aria-valuetext"));
for (const key of ["ArrowRight", "ArrowRight", "End", "Home"]) { press(key); note(); }
const box = svg.getBoundingClientRect();
svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.right - 14, clientY: box.top + 50 }));
note();
notes.push(forecast.querySelector(".tip").textContent);
const search = forecast.querySelector("input");
search.value = "STORE 7";
search.dispatchEvent(new Event("input"));
notes.push(forecast.querySelector("h3").textContent, backtest.querySelector("h3").textContent);
forecast.querySelectorAll("button")[1].click();
notes.push(forecast.querySelector("h3").textContent);
const table = document.querySelectorAll("table.sortable")[1];
for (const column of [0, 0, 1]) {
  table.querySelectorAll("thead button")[column].click();
  notes.push([...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join());
}
const details = forecast.querySelector("details");
details.open = true;
details.dispatchEvent(new Event("toggle")); // the browser's own comes when the page has been printed
notes.push([...details.querySelectorAll("tbody tr:last-child > *")].map((cell) => cell.textContent).join());
document.body.dataset.notes = JSON.stringify(notes);
"""


@needs_browser
def test_keys_mouse_search_and_sorting_do_what_they_should(tmp_path: Path) -> None:
    names = [f"Store {i}" for i in range(1, 9)]
    scores = Table(("name", "MAE"), [("Store 10", 2.0), ("Store 9", None), ("Store 1", 10.0)])
    content = report(names, "series")
    dates = content.charts[0].dates
    chosen = Chart("Store 7", dates, np.arange(130), np.arange(13), {0.9: (np.arange(13) - 1, np.arange(13) + 1)})
    first = replace(chosen, name="Store 1", reference=("naive", np.full(13, 0.5)))
    write_report(
        tmp_path / "report.html",
        replace(content, charts=[first, *content.charts[1:6], chosen, content.charts[7]], scores=scores),
    )
    seen = rendered(acting(tmp_path / "report.html", ACTS))
    assert "data-error" not in re.search("<html[^>]*>", seen)[0]
    notes = json.loads(html.unescape(re.search('data-notes="([^"]*)"', seen)[1]))
    assert notes[0] == f"{dates[130]}, forecast 0, 90 % interval -1 to 1, naive 0.5"
    assert notes[1] == f"{dates[131]}, forecast 1, 90 % interval 0 to 2, naive 0.5"
    assert notes[2] == f"{dates[142]}, forecast 12, 90 % interval 11 to 13, naive 0.5"
    assert notes[3] == f"{dates[0]}, history 0"
    assert notes[4] == notes[2]
    assert notes[5] == f"{dates[142]}forecast1290 % interval11 to 13naive0.5"
    assert notes[6:9] == ["Store 7", "Store 7", "Store 7"]  # it is the only one that matches: there is no next
    assert notes[9:12] == ["Store 1,Store 9,Store 10", "Store 10,Store 9,Store 1", "Store 10,Store 1,Store 9"]
    assert notes[12] == f"{dates[142]},12,11,13"


@needs_browser
def test_a_script_that_fails_says_so_on_the_page(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", report())
    page = acting(tmp_path / "report.html", "throw new Error('out of ink')")
    assert 'data-error="Uncaught Error: out of ink"' in rendered(page)
