"""Write the paper's tables with the figures of all runs so far: ``python -m utils.tables``.

Reads every ``metrics.json`` below a folder and writes ``tables.md``, for people, and ``tables.csv``, for programs.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from utils.command import Parser, run_command, typed
from utils.errors import shown_path
from utils.files import replacing
from utils.tables.comparison import Comparison, Pair, compare
from utils.tables.comparison_text import describe_comparison, describe_published, plot_pairs
from utils.tables.markdown import bullets, numbers, table_line, whole_table
from utils.tables.records import CROSS, FEW_SHOT, LONG_TERM, M4, NOTHING, ZERO_SHOT, look_up, read_records
from utils.tables.tables import AVERAGE, BASELINES, CELL, PAPER, Tables, by_size, make_tables

logger = logging.getLogger("calf")

TITLES = {
    LONG_TERM: "Long-term forecasting",
    FEW_SHOT: "Few-shot forecasting",
    ZERO_SHOT: "Zero-shot forecasting",
    M4: "Short-term forecasting: M4 and M3",
}
WINDOWS = "MSE and MAE on the standardised scale, over every window of the test split"
PROTOCOLS = {
    LONG_TERM: f"{WINDOWS}; 96 steps seen where the row does not say otherwise.",
    FEW_SHOT: f"Trained on the share of the training rows that stands beside the data set. {WINDOWS}.",
    ZERO_SHOT: f"Trained on the first data set, tested on the second with the second's own scaler. {WINDOWS}.",
    CROSS: f"Trained on the first data sets together, tested on the one after the arrow. {WINDOWS}.",
    M4: "Scored as the competition does: sMAPE, MASE, and OWA relative to Naive2. Others pools Weekly, Daily and "
    "Hourly of M4, Average all patterns, weighted by series (M4) or by their steps (M3). The best epoch was chosen on "
    "the last values of the training series; rows selected on test chose it on the test set, as in the released code.",
}
PROTOCOLS["imputation"] = (
    "MSE and MAE of the hidden values of all test windows, on the standardised scale. Windows lie inside their split, "
    "and every model meets the same hidden values. Published figures are of windows that reach into the split before, "
    "with hidden values of their own."
)
PROTOCOLS["anomaly_detection"] = (
    "Scores of test rows, each scored once; higher is better. VUS-PR and AUC-PR need no threshold; range F and F1 have "
    "one from training and validation rows. PA-F1 rewrites the flags by the labels: it stands beside the published "
    "figures, which are PA-F1 of windows that overlap at a threshold that saw the test, and beside that of chance."
)
PROTOCOLS["classification"] = (
    "Shares of the test cases, higher is better; the best epoch was chosen on held-out training cases. Published "
    "figures are of the best epoch on the test set, as are rows selected on test."
)
VARIANTS = {
    "imputation": "hidden",
    "anomaly_detection": "series",
    "classification": "–",
}  # what tells the rows of a data set apart, where it is no horizon
SEEDS = (
    "Mean ± sample standard deviation over seeds; a single seed has no ±. An average is taken for each seed first, "
    "over the seeds that have all its parts."
)
DIFFERENCE = " The difference is ours minus published; lower is better."
NO_RUNS = "Nothing has been run yet: {}sh scripts/reproduce.sh{} runs what has data on disk."
METRICS = {
    "mse": "MSE", "mae": "MAE", "smape": "sMAPE", "mase": "MASE", "owa": "OWA", "vus_pr": "VUS-PR", "auc_pr": "AUC-PR",
    "range_f": "range F", "f1": "F1", "pa_f1": "PA-F1", "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
}  # fmt: skip
COLUMNS = [
    "table", "data", "target", "percent", "features", "seq_len", "horizon", "model", "switches", "backbone", "init",
    "gpt_layers", "selected_on", "subset", "metric", "mean", "std", "seeds", "gap", "published", "difference",
    *BASELINES,
]  # fmt: skip

Compared = Sequence[tuple[Comparison, Sequence[Pair]]]


def to_csv(tables: Tables) -> str:
    """Return one line for each row and metric, seeds with spaces between, empty where there is nothing."""
    blocks = pd.DataFrame([asdict(block) for block in tables.rows.block])
    blocks = blocks.map(lambda value: shown_path(value) if isinstance(value, str) else value)
    blocks = blocks.astype({"seq_len": object, "gpt_layers": object}).replace({"seq_len": 0, "gpt_layers": 0}, "")
    rows = pd.concat([blocks, tables.rows.drop(columns=["block", "table"])], axis=1)
    return rows.to_csv(columns=COLUMNS, index=False, lineterminator="\n")


def differences_csv(pairs: Iterable[Pair]) -> str:
    """Return one line for each pair of models, data set, horizon and metric."""
    lines = [{**asdict(pair.protocol), **pair._asdict()} for pair in pairs]
    columns = ["table", "data", "target", "percent", "features", "seq_len", *Pair._fields[1:]]
    return pd.DataFrame(lines, columns=columns).to_csv(index=False, lineterminator="\n")


def to_markdown(tables: Tables, compared: Compared = ()) -> str:
    """Return a section for each table with its notes; then the runs left out and the files not read."""
    lines, titles = ["# CALF: figures of the runs here beside the published ones", ""], _titles(tables)
    if tables.runs.empty:
        lines += [NO_RUNS.format("`", "`"), ""]
    for name, title in titles.items():
        lines += [f"## {title}", "", *_table(name, tables.rows[tables.rows.table == name]), ""]
        lines += [*bullets(_notes(name, tables)), ""]
        for models, pairs in compared:
            if models.table == name:
                lines += describe_comparison(models, pairs)
        if name == LONG_TERM:
            lines += [
                "### Published averages",
                "",
                *describe_published(tables.published, name),
                "",
            ]
    if left_out := [*_left_out(tables.runs, titles)]:
        lines += ["## Left out", "", "Runs that stand behind others of the same cell:", "", *bullets(left_out), ""]
    if tables.unread:
        lines += ["## Not read", "", *bullets(tables.unread), ""]
    return "\n".join(lines)


def _titles(tables: Tables) -> dict[str, str]:
    """Return the titles of all sections: those with published figures, then one for each other task."""
    tasks = {run.table: shown_path(run.record["task"]["title"]) for run in tables.runs.itertuples()}
    tasks |= {CROSS: "Training across data sets"} if CROSS in tasks else {}
    return TITLES | {name: tasks[name] for name in sorted(tasks.keys() - TITLES.keys())}


def _table(name: str, rows: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of one table; where figures are published, all metrics of ours stand in one column."""
    published, digits = name in TITLES, 3 if name == M4 else 4
    known = [metric for metric in rows.metric.unique() if rows.published[rows.metric == metric].notna().any()]
    metrics = [METRICS.get(metric, metric) for metric in rows.metric.unique()]
    ours = [" / ".join(metrics), "published", "difference"] if published else metrics
    if known and not published:  # under another protocol: for the eye, not for a difference
        ours.append(f"published {' / '.join(METRICS.get(metric, metric) for metric in known)}")
    baselines = [baseline for baseline in BASELINES if rows[baseline].notna().any()]
    if published:
        baselines = BASELINES[: 3 if name == M4 else 2]
    first = f", {metrics[0]}" if len(metrics) > 2 and not published else ""
    rivals = [baseline.replace("_", " ") + first for baseline in baselines]
    place = ["data set", {M4: "pattern", **VARIANTS}.get(name, "horizon")]
    titles = [*place, *ours, *rivals, "look-back", "trained", "seeds", "model, backbone"]
    yield from whole_table(titles, ())
    for (block, horizon), row in rows.groupby(CELL, sort=False):
        deviations = ["" if pd.isna(std) else f" ± {std:.{digits}f}" for std in row["std"]]
        ours = [numbers([mean], digits) + std for mean, std in zip(row["mean"], deviations, strict=True)]
        gap, seeds = row.gap.iloc[0], row.seeds.iloc[0]
        if published:
            ours = [gap or " / ".join(ours), numbers(row.published, 3), numbers(row.difference, digits, "+")]
        else:
            ours = [gap] * len(ours) if gap else ours
            ours += [numbers(row.published[row.metric.isin(known)], 3)] if known else []
        told = row[:1] if len(row) > 2 and not published else row  # of many metrics the first, as its title says
        rivals = [numbers(told[baseline], digits) for baseline in baselines]
        count = NOTHING if pd.isna(seeds) else str(len(seeds.split()))
        more = [str(block.seq_len or NOTHING), row.trained.iloc[0] or NOTHING, count, block.network or NOTHING]
        yield table_line([block.title, horizon, *ours, *rivals, *more])


def _notes(name: str, tables: Tables) -> Iterator[str]:
    """Yield the notes below one table: protocol, sources of published figures, and how our figures came about."""
    yield from [PROTOCOLS[name]] if name in PROTOCOLS else []
    yield SEEDS + (DIFFERENCE if name in TITLES else "")
    printed = tables.published[tables.published.table == name]
    backbone = "with the pretrained GPT-2: "
    papers = printed[(printed.model == PAPER) & (printed.source != "")]
    yield from (f"Published, {backbone}{source}." for source in papers.source.unique())
    yield from (f"{note}." for note in printed.note.unique() if note)
    shown = tables.runs[tables.runs.shown & (tables.runs.table == name)]
    for network, runs in shown.groupby("network"):
        origins = pd.DataFrame(map(_origin, runs.record))
        yield f"{network}: {'; '.join(f'{name} {_listed(values.dropna())}' for name, values in origins.items())}."
    yield from sorted(_settings(shown))


def _origin(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the figures of a run come from, by its name in the notes."""
    device, torch = look_up(record, "run.environment.device"), look_up(record, "run.environment.torch")
    found = {"seeds": record["run"]["seed"]}
    if "word_embeddings" in record["model"]["origin"]:
        found["word embeddings of"] = look_up(record, "model.origin.word_embeddings.llm")
    found["machines"] = device and f"{device} (PyTorch {torch})"
    found["commits"] = look_up(record, "run.environment.commit")
    if "naive2" in record["data"]:
        found["Naive2"] = record["data"]["naive2"]
    return found


def _settings(shown: pd.DataFrame) -> Iterator[str]:
    """Yield the training flags that rows have in common, with the rows."""
    settings = [json.loads(text).items() for text in shown.settings]
    flags = [" ".join(f"{name} {value}" for name, value in one if name.startswith("--")) for one in settings]
    places = [f"{block.model} on {block.title}" for block in shown.block]
    for text, runs in shown.assign(flags=flags, place=places).groupby("flags"):
        rows = runs.groupby("place").horizon.agg(_listed)
        yield f"Settings of {'; '.join(f'{place} ({horizons})' for place, horizons in rows.items())}: `{text}`"


def _left_out(runs: pd.DataFrame, titles: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each group of runs that are not shown, with the settings that differ."""
    for (block, horizon, settings), group in runs[~runs.shown].groupby([*CELL, "settings"], sort=False):
        here, shown = json.loads(settings), json.loads(group.shown_settings.iloc[0])
        differing = [name for name in sorted({*here, *shown}) if here.get(name) != shown.get(name)]
        reason = ", ".join(f"{one} {here.get(one, 'unset')} (shown: {shown.get(one, 'unset')})" for one in differing)
        place = f"{titles[block.table]}, {block.title}, {horizon}, {block.network}"
        yield f"{place}, seeds {_listed(group.seed)}: {reason or 'a newer run has the same settings and seed'}"


def _listed(values: Iterable[Any]) -> str:
    """Return each value once, numbers by size."""
    return ", ".join(sorted(set(map(str, values)), key=by_size)) or "unknown"


def summary(tables: Tables) -> Iterator[str]:
    """Yield lines that say how much of the paper has been run, and which runs and files were passed over."""
    for name, title in _titles(tables).items():
        rows = tables.rows[(tables.rows.table == name) & (tables.rows.horizon != AVERAGE)]
        if name in TITLES:
            runs = rows[rows.published.notna()].groupby(["protocol", "horizon"]).seeds.count()  # over all backbones
            yield f"{title}: {(runs > 0).sum()} of {len(runs)} published cells"
        else:
            yield f"{title}: {len(rows.groupby(CELL))} cell(s), none of them published"
    if tables.runs.empty:
        yield NO_RUNS.format("", "")
    if left_out := (~tables.runs.shown).sum():
        yield f"{left_out} run(s) stand behind others of the same cell; they are listed under Left out"
    yield from (f"not read: {note}" for note in tables.unread)


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        "python -m utils.tables",
        description=__doc__.splitlines()[0],
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--results", default="results", help="folder below which the runs' figures lie")
    parser.add_argument("--output", default="results", help="folder for tables.md, tables.csv and differences.csv")
    parser.add_argument("--plot", action="store_true", help="draw the differences of each table, differences_*.png")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, or 2 after one message when a folder cannot be used."""
    args = build_parser().parse_args(argv)

    def work() -> None:
        tables, folder = make_tables(*read_records(Path(args.results))), Path(args.output)
        compared = [(models, [*models.pairs()]) for models in compare(tables)]
        texts = {"tables.md": to_markdown(tables, compared), "tables.csv": to_csv(tables)}
        texts["differences.csv"] = differences_csv(pair for _, pairs in compared for pair in pairs)
        for name, text in texts.items():
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        written = [folder / name for name in texts]
        for models, pairs in compared if args.plot else ():
            written += plot_pairs(folder / f"differences_{models.table}_{models.look_back}.png", pairs)
        for line in (*summary(tables), *(f"written: {path}" for path in written)):
            logger.info("%s", line)

    return run_command(work, typed("-m utils.tables", argv))


if __name__ == "__main__":
    sys.exit(main())
