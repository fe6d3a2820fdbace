"""Put CALF's ablations beside CALF itself: errors, certain differences, what trains, and cost, in ablation.md."""

import argparse
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from utils.command import Parser, run_command, typed
from utils.files import replacing
from utils.tables.comparison import METRICS, PLACE, Comparison, Pair, compare
from utils.tables.comparison_text import COST, DIFFERENCES, DIGITS, plot_pairs
from utils.tables.markdown import bullets, numbers, whole_table
from utils.tables.records import LONG_TERM, NOTHING, Block, read_records
from utils.tables.tables import PAPER, make_tables

logger = logging.getLogger("calf")

NAME = "ablation.md"
TITLES = [
    "model", "seeds", "MSE", "MAE", "MSE, ablation - full", "95 % interval", "ablation is", "reached by the loss",
    "s / epoch", "s / 1,000 forecasts",
]  # fmt: skip
REACHED = "Reached by the loss: parameters that train, all of which the training loss depends on."


def of_calf(models: Comparison) -> Comparison:
    """Return CALF and its ablations alone, without other models and without tests on shuffled windows."""

    def wanted(block: Block) -> bool:
        return block.model == PAPER and "--shuffle_input" not in block.switches

    rows, runs = (frame[[wanted(block) for block in frame.block]] for frame in (models.rows, models.runs))
    return models._replace(rows=rows, runs=runs)


def full_models(models: Comparison) -> dict[tuple[Block, str], str]:
    """Return the full model by data set and horizon: the first that has no switches, where there are ablations too."""
    found = {}
    for place, runs in models.runs.groupby(PLACE, sort=False):
        full = {block.network for block in runs.block if not block.switches}
        if full and runs.network.nunique() > 1:
            found[place] = min(full, key=models.models.index)
    return found


def describe(models: Comparison, fulls: Mapping[tuple[Block, str], str], pairs: Iterable[Pair]) -> Iterator[str]:
    """Yield a section for each data set and horizon: the table, and what follows from its intervals.

    Args:
        fulls: the full model of each.
        pairs: each full model and its ablations.
    """
    differences = {(pair.protocol, pair.horizon, pair.other): pair for pair in pairs if pair.metric == "mse"}
    costs = models.costs().set_index([*PLACE, "network"])
    figures = [models.side_by_side(metric) for metric in METRICS]
    for (protocol, horizon), full in fulls.items():
        place = protocol, horizon
        runs = models.runs[(models.runs.protocol == protocol) & (models.runs.horizon == horizon)]
        named = {name: differences.get((*place, name)) for name in models.models if name in set(runs.network)}
        cells = [frame.loc[place] for frame in figures]
        yield from [f"## {protocol.title}, {horizon} steps ahead, look-back {models.look_back}", ""]
        rows = (_row(name, pair, cells, costs.loc[(*place, name)]) for name, pair in named.items())
        yield from whole_table(TITLES, rows)
        said = verdict(full, {name: pair for name, pair in named.items() if pair})
        yield from ["", *bullets([*said, *trained_otherwise(full, runs)]), ""]


def trained_otherwise(full: str, runs: pd.DataFrame) -> Iterator[str]:
    """Yield what differs in the training of an ablation from that of the full model, beside its switches."""
    settings = {name: json.loads(own.settings.iloc[0]) for name, own in runs.groupby("network")}
    switches = {f"--{name}" for run in runs.record for name in run["model"].get("switches") or {}}
    usual = settings.pop(full, {})
    for name, own in settings.items() if usual else ():
        differing = [flag for flag in usual.keys() & own.keys() - switches if flag.startswith("--")]
        if told := [
            f"{flag} {own[flag]} (full: {usual[flag]})" for flag in sorted(differing) if own[flag] != usual[flag]
        ]:
            yield f"NOT trained as the full model: {name}, {', '.join(told)}."


def _row(name: str, pair: Pair | None, cells: Sequence[pd.Series], cost: pd.Series) -> list[str]:
    errors = []
    for cell in cells:
        deviation = cell["std"].get(name)
        errors.append(
            numbers([cell["mean"][name]], DIGITS) + ("" if pd.isna(deviation) else f" ± {deviation:.{DIGITS}f}")
        )
    beside = [NOTHING] * 3
    if pair is not None:  # a pair is full minus ablation
        interval = NOTHING if pair.lower is None else f"{-pair.upper:+.{DIGITS}f} to {-pair.lower:+.{DIGITS}f}"
        beside = [numbers([-pair.difference], DIGITS, "+"), interval, of_the_ablation(pair)]
    trained = NOTHING if pd.isna(cost.trained) else f"{int(cost.trained):,}"
    return [name, str(cost.seeds), *errors, *beside, trained, numbers([cost.seconds], 1),
            numbers([cost.milliseconds], 3)]  # fmt: skip


def of_the_ablation(pair: Pair) -> str:
    """Return in a word how an ablation compares with the full model, from a pair of full model and ablation."""
    return {"better": "worse", "worse": "better"}.get(pair.verdict, pair.verdict)


def verdict(full: str, pairs: dict[str, Pair]) -> Iterator[str]:
    """Yield what the intervals say: how many ablations beat the full model, and which differences are certain.

    Args:
        pairs: the full model minus each ablation, by MSE.
    """
    if not pairs:
        yield f"Nothing can be said: no ablation was tested on the same windows as {full}."
        return
    lower = [name for name, pair in pairs.items() if pair.difference > 0]
    yield f"{len(lower)} of {len(pairs)} ablations ({len(lower) / len(pairs):.0%}) have a lower mean MSE than {full}."
    words = {"better": "Certainly better than", "worse": "Certainly worse than",
             "not distinguishable": "Not distinguishable from"}  # fmt: skip
    for word, title in words.items():
        if found := [name for name, pair in pairs.items() if of_the_ablation(pair) == word]:
            yield f"{title} {full}: {'; '.join(found)}."
    if untold := [name for name, pair in pairs.items() if pair.lower is None]:
        yield f"Too few windows for an interval: {'; '.join(untold)}."
    if (fewest := min(pair.seeds for pair in pairs.values())) < 3:
        yield f"Of some there are {fewest} seed(s): an interval is over test windows and knows nothing of other seeds."


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, or 2 after one message when a folder cannot be used."""
    parser = Parser("python -m utils.tables.ablation", description=__doc__.splitlines()[0], allow_abbrev=False,
                    formatter_class=argparse.ArgumentDefaultsHelpFormatter)  # fmt: skip
    parser.add_argument("--results", default="results", help="folder below which the runs' figures lie")
    parser.add_argument("--output", default="results", help="folder for ablation.md and the pictures")
    args = parser.parse_args(argv)

    def work() -> None:
        folder, lines, pictures = Path(args.output), ["# CALF and its ablations", ""], []
        tables = make_tables(*read_records(Path(args.results)))
        for models in map(of_calf, compare(tables)):
            fulls = full_models(models) if models.table == LONG_TERM else {}
            if not fulls:
                continue
            pairs = [pair for pair in models.pairs() if fulls.get((pair.protocol, pair.horizon)) == pair.model]
            lines += describe(models, fulls, pairs)
            for i, full in enumerate(dict.fromkeys(pair.model for pair in pairs)):
                picture = folder / f"ablation_{models.look_back}{f'_{i + 1}' if i else ''}.png"
                pictures += plot_pairs(picture, [pair for pair in pairs if pair.model == full])
        if len(lines) == 2:
            lines += ["There are no runs of CALF and an ablation on one data set: scripts/ablation.sh makes them.", ""]
        else:
            lines += [*bullets([DIFFERENCES, REACHED, COST]), ""]
        with replacing(folder / NAME) as temporary:
            temporary.write_text("\n".join(lines), encoding="utf-8")
        for path in (folder / NAME, *pictures):
            logger.info("written: %s", path)

    return run_command(work, typed("-m utils.tables.ablation", argv))


if __name__ == "__main__":
    sys.exit(main())
