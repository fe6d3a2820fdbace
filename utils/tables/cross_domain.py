"""Compare CALF with and without a pretrained language model after training across data sets, in cross_domain.md."""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.command import Parser, run_command, typed
from utils.files import replacing
from utils.tables.ablation import REACHED, describe, full_models, of_calf, of_the_ablation
from utils.tables.comparison import Comparison, Pair, compare
from utils.tables.comparison_text import COST, DIFFERENCES, plot_pairs
from utils.tables.markdown import bullets, numbers, whole_table
from utils.tables.records import CROSS, Block, read_records
from utils.tables.tables import make_tables

logger = logging.getLogger("calf")

NAME = "cross_domain.md"
DOMAINS = {True: "in domain", False: "out of domain"}
TITLES = ["model", "tested", "data sets", "MSE / full", "certainly better", "certainly worse", "not distinguishable"]
RATIO = (
    "MSE / full: the geometric mean, over the data sets and horizons tested, of a model's MSE divided by that of the "
    "full model; below 1 it is better. In domain are the data sets trained on, each with its own test split."
)


def summarize(models: Comparison, fulls: Mapping[tuple[Block, str], str], pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield a table of each model beside the full one, in and out of domain, and a sentence for each line of it."""
    means = models.side_by_side("mse")["mean"]
    runs = zip(models.runs.protocol, models.runs.record, strict=True)
    inside = {protocol: bool(record["data"].get("in_domain")) for protocol, record in runs}
    lines, said = [], []
    for name in models.models:
        for is_inside, domain in DOMAINS.items():
            places = [place for place, full in fulls.items() if inside[place[0]] is is_inside and full != name]
            ratios = np.array([means.loc[place][name] / means.loc[place][fulls[place]] for place in places])
            ratios = ratios[np.isfinite(ratios)]
            own = [pair for pair in pairs if pair.metric == "mse" and pair.other == name]
            words = Counter(of_the_ablation(pair) for pair in own if inside[pair.protocol] is is_inside)
            if not len(ratios):
                continue
            ratio = float(np.exp(np.log(ratios).mean()))
            counts = [str(words[word]) for word in ("better", "worse", "not distinguishable")]
            lines.append([name, domain, str(len(ratios)), numbers([ratio], 3), *counts])
            said.append(_sentence(name, domain, ratio, len(ratios), words))
    yield from whole_table(TITLES, lines)
    yield from ["", *bullets([*said, RATIO]), ""]


def _sentence(name: str, domain: str, ratio: float, count: int, words: Counter[str]) -> str:
    relation = (
        "as large as" if round(ratio, 3) == 1 else f"{abs(ratio - 1):.1%} {'lower' if ratio < 1 else 'higher'} than"
    )
    certain = f"certainly better on {words['better']} and certainly worse on {words['worse']} of {count}"
    return f"{domain.capitalize()}, the MSE of {name} is {relation} that of the full model; it is {certain}."


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, or 2 after one message when a folder cannot be used."""
    parser = Parser("python -m utils.tables.cross_domain", description=__doc__.splitlines()[0], allow_abbrev=False,
                    formatter_class=argparse.ArgumentDefaultsHelpFormatter)  # fmt: skip
    parser.add_argument("--results", default="results", help="folder below which the runs' figures lie")
    parser.add_argument("--output", default="results", help="folder for cross_domain.md and the pictures")
    args = parser.parse_args(argv)

    def work() -> None:
        folder, lines, pictures = Path(args.output), ["# CALF trained across data sets", ""], []
        tables = make_tables(*read_records(Path(args.results)))
        for models in (of_calf(one) for one in compare(tables) if one.table == CROSS):
            fulls = full_models(models)
            pairs = [pair for pair in models.pairs() if fulls.get((pair.protocol, pair.horizon)) == pair.model]
            if fulls:
                lines += [f"## In domain and out of domain, look-back {models.look_back}", ""]
                lines += [*summarize(models, fulls, pairs), *describe(models, fulls, pairs)]
            for i, full in enumerate(dict.fromkeys(pair.model for pair in pairs)):
                picture = folder / f"cross_domain_{models.look_back}{f'_{i + 1}' if i else ''}.png"
                pictures += plot_pairs(picture, [pair for pair in pairs if pair.model == full])
        if len(lines) == 2:
            lines += ["There are no two models of one mix of data sets: scripts/cross_domain.sh trains them.", ""]
        else:
            lines += [*bullets([DIFFERENCES, REACHED, COST]), ""]
        with replacing(folder / NAME) as temporary:
            temporary.write_text("\n".join(lines), encoding="utf-8")
        for path in (folder / NAME, *pictures):
            logger.info("written: %s", path)

    return run_command(work, typed("-m utils.tables.cross_domain", argv))


if __name__ == "__main__":
    sys.exit(main())
