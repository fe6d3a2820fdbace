"""Put models beside each other: their errors, which differences are certain, skill over all cells, and cost."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from utils.errors import UserError
from utils.files import check_regular
from utils.results import ERRORS
from utils.tables.records import CROSS, FEW_SHOT, LONG_TERM, ZERO_SHOT, Block, look_up
from utils.tables.statistics import difference_interval, in_a_word, summarize
from utils.tables.tables import AVERAGE, PAPER, Tables

BASELINE = "SeasonalNaive"
COMPARED = (LONG_TERM, FEW_SHOT, ZERO_SHOT, CROSS)
METRICS = ("mse", "mae")  # the columns of a run's errors by window
PLACE = ["protocol", "horizon"]
MOST_BYTES = 2**30  # of the errors of a test


class Pair(NamedTuple):
    """Two models on the same test windows.

    Attributes:
        difference: mean error of ``model`` minus that of ``other``, seeds averaged first: those that both have, or
            all where they have none in common or one of the two does not train.
        lower: bound of the 95 % interval; None, as ``upper``, where there are too few windows.
        windows: of the test.
        seeds: of both models, as they were compared, the fewer.
    """

    protocol: Block
    horizon: str
    metric: str
    model: str
    other: str
    difference: float
    lower: float | None
    upper: float | None
    verdict: str
    windows: int
    seeds: int


class Comparison(NamedTuple):
    """The models of one table at one look-back.

    Attributes:
        rows: as ``Tables.rows``, with the columns ``protocol`` and ``network``; none that were selected on test.
        runs: those that the cells show, with the same columns.
        published: as ``Tables.published``.
    """

    table: str
    look_back: int
    rows: pd.DataFrame
    runs: pd.DataFrame
    published: pd.DataFrame

    @property
    def models(self) -> list[str]:
        """Return the models with their backbones: CALF first, then its ablations, those without training last."""
        trained = {name: parameters(runs)["trained"] or 0 for name, runs in self.runs.groupby("network")}
        switched = {block.network: block.switches != "" for block in self.runs.block}

        def place(name: str) -> tuple[bool, bool, bool, str]:
            return not name.startswith(PAPER), switched[name], not trained[name], name.lower()

        return sorted(trained, key=place)

    def side_by_side(self, metric: str) -> pd.DataFrame:
        """Return a row for each data set and horizon, and for each model ``mean`` and ``std`` of a metric."""
        rows = self.rows[(self.rows.metric == metric) & self.rows["mean"].notna()]
        wide = rows.pivot(index=PLACE, columns="network", values=["mean", "std"])
        return wide.reindex(pd.MultiIndex.from_frame(rows.drop_duplicates(PLACE)[PLACE]))

    def pairs(self) -> Iterator[Pair]:
        """Yield every pair of models on every data set and horizon where both have the errors of the same windows."""
        for (protocol, horizon), runs in self.runs.groupby(PLACE, sort=False):
            errors = {name: _errors(own) for name, own in runs.groupby("network")}
            tested = {name: runs.record[runs.network == name].iloc[0]["data"] for name in errors}
            present = [name for name in self.models if errors.get(name) is not None and horizon.isdigit()]
            for model, other in combinations(present, 2):
                same = all(tested[model].get(part) == tested[other].get(part) for part in ("digest", "target_data"))
                if same and errors[model].shape[1:] == errors[other].shape[1:]:
                    own, its = (runs[runs.network == name] for name in (model, other))
                    rows = _shared_seeds(own, its)
                    yield from _differ(
                        protocol, horizon, (model, errors[model][rows[0]]), (other, errors[other][rows[1]])
                    )

    def over_all(self, metric: str) -> tuple[pd.DataFrame, pd.MultiIndex]:
        """Return ``statistics.summarize`` over all cells that every model has, and these cells.

        Skill is measured against the seasonal naive forecast, which every run has beside it.
        """
        means = self.side_by_side(metric)["mean"].drop(AVERAGE, level="horizon", errors="ignore")
        rows = self.rows[(self.rows.metric == metric) & self.rows.seasonal_naive.notna()]
        baseline = rows.drop_duplicates(PLACE).set_index(PLACE).seasonal_naive
        errors = means.assign(**{BASELINE: baseline}).astype(float).dropna()
        return (summarize(errors, BASELINE) if len(errors) else pd.DataFrame()), errors.index

    def costs(self) -> pd.DataFrame:
        """Return a row for each data set, horizon and model: what it took, as means over seeds."""
        groups = self.runs.groupby([*PLACE, "network"], sort=False)
        return pd.DataFrame([dict(zip([*PLACE, "network"], place, strict=True)) | _cost(own) for place, own in groups])


def compare(tables: Tables) -> list[Comparison]:
    """Return the models of each table of tests on windows, those of each look-back by themselves."""
    rows, runs = (
        frame.assign(protocol=[b.protocol for b in frame.block], network=[b.network for b in frame.block])
        for frame in (tables.rows, tables.runs[tables.runs.shown])
    )
    found = []
    places = dict.fromkeys((block.table, block.seq_len) for block in runs.block if block.table in COMPARED)
    for table, look_back in sorted(places, key=lambda place: (COMPARED.index(place[0]), place[1])):
        own = [
            frame[[(b.table, b.seq_len) == (table, look_back) and b.selected_on != "test" for b in frame.block]]
            for frame in (rows, runs)
        ]
        found.append(Comparison(table, look_back, *own, tables.published))
    return found


def _shared_seeds(*runs: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Return which runs of two models to compare: those of the seeds that both have, where there are any."""
    shared = set.intersection(*(set(own.seed) for own in runs))
    if not shared or not all(parameters(own)["trained"] for own in runs):
        return tuple(np.arange(len(own)) for own in runs)
    return tuple(np.flatnonzero(own.seed.isin(shared)) for own in runs)


def _differ(
    protocol: Block, horizon: str, own: tuple[str, np.ndarray], other: tuple[str, np.ndarray]
) -> Iterator[Pair]:
    """Yield the difference by each metric between two models with errors (seeds, W, 2)."""
    difference = own[1].mean(axis=0) - other[1].mean(axis=0)  # (W, 2)
    difference = difference[np.isfinite(difference).all(axis=1)]
    for metric, values in zip(METRICS, difference.T, strict=True):
        interval = difference_interval(values, max(1, protocol.seq_len + int(horizon)))
        yield Pair(
            protocol, horizon, metric, own[0], other[0], values.mean() if len(values) else np.nan,
            *(interval or (None, None)), in_a_word(interval), len(values), min(len(own[1]), len(other[1])),
        )  # fmt: skip


def _errors(runs: pd.DataFrame) -> np.ndarray | None:
    """Return the errors (seeds, W, 2) of a model's runs; None where a run has none, or those of other windows."""
    try:
        for folder in runs.folder:
            check_regular(Path(folder, ERRORS), MOST_BYTES)
        found = [np.load(Path(folder, ERRORS), mmap_mode="r", allow_pickle=False) for folder in runs.folder]
        stacked = np.stack(found).astype(np.float64)
    except (UserError, OSError, ValueError):
        return None
    record = runs.record.iloc[0]
    windows = look_up(record["scores"]["metrics"].get(record["model"]["name"]), "windows")
    return stacked if stacked.shape[1:] == (windows, len(METRICS)) else None


def _cost(runs: pd.DataFrame) -> dict[str, Any]:
    """Return what the runs of one cell took."""
    figures = [
        {
            "seconds": (look_up(record, "run.training.seconds") or np.nan)
            / (len(look_up(record, "run.training.epochs") or ()) or np.nan),
            "milliseconds": look_up(record, "cost.milliseconds_per_forecast"),
            "gib": (look_up(record, "cost.peak_memory") or np.nan) / 2**30,
        }
        for record in runs.record
    ]
    machines = sorted({str(look_up(record, "run.environment.device")) for record in runs.record})
    means = pd.DataFrame(figures, dtype=float).mean()
    return {"seeds": len(runs), **parameters(runs), **means, "machine": ", ".join(machines)}


def parameters(runs: pd.DataFrame) -> dict[str, int | None]:
    """Return how many numbers of a model train, and how many it has; None where a record does not say it."""
    return {name: look_up(runs.record.iloc[0], f"model.parameters.{name}") for name in ("trained", "total")}
